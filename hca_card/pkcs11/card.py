"""A card as its maker's PKCS#11 module shows it."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from hca_card.certificate import CertificateFacts, describe
from hca_card.errors import CardDataError, ObjectMissingError, PinLengthError, UnsupportedError
from hca_card.model import (
    Card,
    CardCertificate,
    CardKind,
    CertificateUse,
    Citizen,
    Keypad,
    KeyUse,
    Metadata,
    PinStatus,
)
from hca_card.pin import Pin
from hca_card.pkcs11 import messages
from hca_card.pkcs11.session import TokenSession, pin_status, puk_status
from pcsc.status import StatusError, StatusWord

_INDEXES: Final = {
    CertificateUse.CA: 0,
    CertificateUse.SIGNATURE: 1,
    CertificateUse.ENCRYPTION: 2,
    CertificateUse.INTERMEDIATE: 3,
    CertificateUse.ROOT: 4,
}
_OWN: Final = {KeyUse.SIGNATURE: CertificateUse.SIGNATURE, KeyUse.ENCRYPTION: CertificateUse.ENCRYPTION}
_SIGNING: Final = frozenset(("digital_signature", "non_repudiation", "content_commitment"))
_DECIPHERING: Final = frozenset(("key_encipherment", "data_encipherment"))


class ModuleCard(Card):
    """The token of one visit. Certificates are read when first needed.

    The holder is known from the signature certificate alone: what a module calls data objects is every
    maker's own. Keys are hidden by most modules until the PIN is verified, so a key is taken to be there when
    its certificate is.
    """

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        facts = self._facts(CertificateUse.SIGNATURE) or self._facts(CertificateUse.ENCRYPTION)
        token = session.token
        self.kind = CardKind.PKCS15 if facts is None else _kind(facts)
        self.serial = (facts.card_number if facts else None) or token.serial or token.label

    def metadata(self) -> Metadata:  # noqa: D102
        facts = self._facts(CertificateUse.SIGNATURE)
        name = facts.common_name if facts else None
        return Metadata(self.kind, version="", serial=self.serial, holder=Citizen(name) if name else None)

    def certificate_indexes(self) -> tuple[int, ...]:  # noqa: D102
        return tuple(sorted(_INDEXES[use] for use in self._certificates))

    def certificate(self, index: int) -> CardCertificate:  # noqa: D102
        for use, found in self._certificates.items():
            if _INDEXES[use] == index:
                return CardCertificate(index, use, found.der)
        raise ObjectMissingError(f"this card has no certificate {index}")

    def pin_status(self) -> PinStatus:  # noqa: D102
        return pin_status(self._session.look())

    def verify(self, pin: Pin) -> None:
        """C_Login, once.

        Raises:
            UnsupportedError: the PIN is to be typed on the keypad alone; nothing was sent.
        """
        if self._session.keypad:
            raise UnsupportedError("this token takes its PIN from the reader's keypad only")
        _require_length(pin, pin_status(self._session.token))
        self._session.login(pin)

    def takes_keypad(self) -> bool:  # noqa: D102
        return self._session.keypad

    def verify_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._require_keypad()
        self._session.login(None)

    def change_pin(self, old: Pin, new: Pin) -> None:  # noqa: D102
        if self._session.keypad:
            raise UnsupportedError("this token takes its PIN from the reader's keypad only")
        status = pin_status(self._session.token)
        _require_length(old, status)
        _require_length(new, status)
        self._session.set_pin(old, new)

    def change_pin_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._require_keypad()
        self._session.set_pin(None, None)

    def puk_status(self) -> PinStatus:  # noqa: D102
        if self._session.keypad:
            raise UnsupportedError("this token takes its PUK from the reader's keypad only")
        return puk_status(self._session.look())

    def unblock_pin(self, puk: Pin, new: Pin) -> None:
        """C_Login as security officer and C_InitPIN: many modules allow neither."""
        if self._session.keypad:
            raise UnsupportedError("this token takes its PUK from the reader's keypad only")
        _require_length(puk, puk_status(self._session.token))
        _require_length(new, pin_status(self._session.token))
        self._session.unblock(puk, new)

    def has_key(self, use: KeyUse) -> bool:  # noqa: D102
        return _OWN[use] in self._certificates

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:  # noqa: D102
        return self._session.sign(self._key(use), digest_info)

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:  # noqa: D102
        return self._session.decrypt(self._key(use), cipher)

    @cached_property
    def _certificates(self) -> dict[CertificateUse, messages.Certificate]:
        return arranged(self._session.certificates())

    def _facts(self, use: CertificateUse) -> CertificateFacts | None:
        found = self._certificates.get(use)
        return None if found is None else describe(found.der)

    def _key(self, use: KeyUse) -> int:
        """The handle of the key that belongs to the certificate: by CKA_ID, else by its modulus."""
        if not self._session.logged_in:
            raise StatusError(StatusWord.SECURITY_STATUS)
        certificate = self._certificates.get(_OWN[use])
        if certificate is None:
            raise ObjectMissingError(f"this card has no {use} key")
        keys = self._session.keys()
        modulus = _modulus(certificate.der)
        # The modulus is sure where the module tells it; a CKA_ID may be any text, or the same everywhere.
        for key in keys:
            if modulus and key.modulus == modulus:
                return key.handle
        for key in keys:
            if certificate.id and key.id == certificate.id and not (key.modulus and modulus):
                return key.handle
        raise ObjectMissingError(f"the module shows no key for the {use} certificate")

    def _require_keypad(self) -> None:
        if not self._session.keypad:
            raise UnsupportedError("this token does not take its PIN from a keypad")


def arranged(
    certificates: tuple[messages.Certificate, ...],
) -> dict[CertificateUse, messages.Certificate]:
    """Which certificate is which, told by its key usage; for each place the first in the module's order.

    An authority's certificate is the root where it is its own issuer, the CA where it issued the holder's,
    else an intermediate. What cannot be read as a certificate has no place.
    """
    found: dict[CertificateUse, messages.Certificate] = {}
    known = [(one, facts) for one in certificates if (facts := _described(one.der)) is not None]
    own = [(one, facts) for one, facts in known if not _authority(facts)]
    signing = [item for item in own if _may(item[1], _SIGNING)]
    if signing:
        found[CertificateUse.SIGNATURE] = signing[0][0]
    deciphering = [item for item in own if _may(item[1], _DECIPHERING)]
    # One certificate may serve for both; another than the one for signatures is meant first.
    for item in [item for item in deciphering if item not in signing[:1]] or deciphering:
        found.setdefault(CertificateUse.ENCRYPTION, item[0])
    issuers = {facts.issuer for _, facts in own}
    for one, facts in known:
        if _authority(facts):
            use = (
                CertificateUse.ROOT
                if facts.subject == facts.issuer
                else CertificateUse.CA
                if facts.subject in issuers
                else CertificateUse.INTERMEDIATE
            )
            found.setdefault(use, one)
    return found


def _described(der: bytes) -> CertificateFacts | None:
    try:
        return describe(der)
    except CardDataError:
        return None


def _authority(facts: CertificateFacts) -> bool:
    return facts.key_usage is not None and "key_cert_sign" in facts.key_usage


def _may(facts: CertificateFacts, usages: frozenset[str]) -> bool:
    return facts.key_usage is None or bool(facts.key_usage & usages)


def _kind(facts: CertificateFacts) -> CardKind:
    match facts.subject_type:
        case "personnel":
            return CardKind.PERSONNEL
        case "institution":
            secondary = "secondary" in (facts.card_rank or "").casefold()
            return CardKind.INSTITUTION_SECONDARY if secondary else CardKind.INSTITUTION
        case "natural-person":
            return CardKind.CITIZEN
    return CardKind.PKCS15


def _modulus(der: bytes) -> bytes:
    """The modulus of the certificate's RSA key, big-endian; empty for other keys."""
    from asn1crypto import x509

    try:
        key = x509.Certificate.load(der)["tbs_certificate"]["subject_public_key_info"]
        number = int(key["public_key"].parsed["modulus"].native)
    except (ValueError, KeyError, TypeError, AttributeError):
        return b""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _require_length(pin: Pin, status: PinStatus) -> None:
    if not status.min_length <= len(pin) <= status.max_length:
        raise PinLengthError(f"this card takes {status.min_length} to {status.max_length} characters")
