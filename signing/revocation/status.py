"""What an authority says of a certificate, and what makes an answer count: its age and its hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from signing.certificate import any_public_key
from signing.errors import StatusAnswerStaleError, StatusAnswerUnusableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock and the authority's may differ."""

UNDATED_MAX: Final = timedelta(hours=24)
"""How old an OCSP answer without nextUpdate may be (RFC 6960 §4.2.2.1 leaves it to the client)."""

_HASHES: Final = frozenset(("sha224", "sha256", "sha384", "sha512"))


class RevocationState(StrEnum):
    """What the authority says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The OCSP responder does not know the certificate."""


class StatusSource(StrEnum):
    """The kind of answer."""

    OCSP = "OCSP"
    CRL = "CRL"


class RevocationReason(StrEnum):
    """CRLReason (RFC 5280 §5.3.1) by its name, in the order of the numbers; no reason is UNSPECIFIED."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    REMOVE_FROM_CRL = "removeFromCRL"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def number(self) -> int:
        """The value of the CRLReason enumeration, which has no 7."""
        position = list(RevocationReason).index(self)
        return position if position < 7 else position + 1


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """How strictly answers are judged.

    Attributes:
        allow_sha1: believe signatures over SHA-1, as the protocols of old portals need.
    """

    allow_sha1: bool = False

    def check_hash(self, algorithm: HashAlgorithm | None) -> None:
        """Return if an answer signed with this hash proves anything.

        Raises:
            StatusAnswerUnusableError: it does not.
        """
        name = algorithm.name if algorithm else ""
        if name not in _HASHES and not (self.allow_sha1 and name == "sha1"):
            raise StatusAnswerUnusableError("the answer is signed with a hash that proves nothing")


STRICT: Final = RevocationPolicy()


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What the authority says of one certificate.

    Attributes:
        this_update: the moment of the answer, aware UTC.
        next_update: when a newer answer will exist; None where the answer does not say.
        revoked_at: since when it is revoked; None where it is not.
        reason: why it is revoked.
    """

    state: RevocationState
    source: StatusSource
    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None = None
    reason: RevocationReason = RevocationReason.UNSPECIFIED


def check_times(this_update: datetime, next_update: datetime | None, at: datetime) -> None:
    """Return if an answer with these times counts at the moment `at`.

    Raises:
        StatusAnswerStaleError: it does not.
    """
    at = at.astimezone(UTC)
    if this_update > at + SKEW:
        raise StatusAnswerStaleError("the answer is dated in the future", this_update)
    until = next_update or this_update + UNDATED_MAX
    if at > until + SKEW:
        raise StatusAnswerStaleError(f"the answer held until {until:%Y-%m-%d %H:%M}")


def is_signed_by(signer: bytes, signature: bytes, data: bytes, algorithm: HashAlgorithm | None) -> bool:
    """Return whether `signature` is over `data` with the key of that certificate, PKCS#1 v1.5 or ECDSA.

    Raises:
        CertificateMalformedError: its key cannot be read.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = any_public_key(signer)
    try:
        if isinstance(key, RSAPublicKey) and algorithm is not None:
            key.verify(signature, data, PKCS1v15(), algorithm)
        elif isinstance(key, EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, data, ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True
