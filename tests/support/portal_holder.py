"""Holders of certificates as HCA issues them, in software, who log in at the demo portal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from asn1crypto import core
from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from signing.hashes import Hash
from signing.login import create_token
from tests.support.signing import sign_document
from tests.support.software_card import SoftwareCard, issue, rsa_key

PERSONNEL: Final = "2.16.886.1.100.3.1.7"
INSTITUTION: Final = "2.16.886.1.100.3.2.21"
_ARC: Final = "2.16.886.1.100.2"
_DAY: Final = timedelta(days=1)


class Holder:
    """Somebody with a card.

    Args:
        subject_type: the OID of what the holder is.
        issuer_key: the name of the key that signs the certificate; `ca` is the trusted one.
        ends: how long the certificate is valid from now.
    """

    def __init__(
        self, subject_type: str = PERSONNEL, *, issuer_key: str = "ca", ends: timedelta = _DAY
    ) -> None:
        self._card = SoftwareCard()
        now = datetime.now(UTC)
        attributes = x509.UnrecognizedExtension(
            ObjectIdentifier("2.5.29.9"), directory_attributes(subject_type)
        )
        self.certificate = issue(
            key=rsa_key("signature"),
            issuer_key=rsa_key(issuer_key),
            begins=min(now, now + ends) - _DAY,
            ends=now + ends,
            extensions=(attributes,),
        )

    def token(self, origin: str, nonce: str) -> dict[str, str]:
        """The login token, as a page posts it."""
        token = create_token(self._card, self.certificate, origin, nonce, allow_loopback_http=True)
        return token.to_dict()

    def sign(self, document: bytes) -> bytes:
        return sign_document(self._card, document, Hash.SHA_256)


def directory_attributes(subject_type: str) -> bytes:
    """SubjectDirectoryAttributes (RFC 5280 §4.2.1.8) with subject type and card number."""
    return core.SequenceOf(
        spec=core.Any,
        value=[
            core.Any(_attribute(f"{_ARC}.1", core.ObjectIdentifier(subject_type))),
            core.Any(_attribute(f"{_ARC}.204", core.PrintableString("000000335361"))),
            core.Any(_attribute(f"{_ARC}.111", core.PrintableString("9900000001"))),
        ],
    ).dump()


class _Attribute(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("values", core.SetOf, {"spec": core.Any})]  # noqa: RUF012


def _attribute(oid: str, value: core.Asn1Value) -> _Attribute:
    return _Attribute({"type": oid, "values": [core.Any(value)]})
