"""What an authority says of a certificate, and what makes its word count: its time and its hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from signing.errors import StatusAnswerStaleError, StatusAnswerUnusableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock and the authority's may differ."""

UNDATED_MAX: Final = timedelta(hours=24)
"""How old an OCSP answer without nextUpdate may be (RFC 6960 §4.2.2.1 leaves it to the client)."""

_HASHES: Final = frozenset(("sha256", "sha384", "sha512", "sha224"))


class State(StrEnum):
    """What the authority says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The OCSP responder does not know the certificate."""


class Source(StrEnum):
    """By what the authority said it."""

    OCSP = "OCSP"
    CRL = "CRL"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the authority says of one certificate.

    Attributes:
        said: when it said so (thisUpdate), aware UTC.
        until: when it will say anew (nextUpdate); None where it does not say.
        revoked: since when it is revoked.
        reason: CRLReason of RFC 5280 §5.3.1, for example `keyCompromise`; empty where none is given.
    """

    state: State
    source: Source
    said: datetime
    until: datetime | None
    revoked: datetime | None = None
    reason: str = ""


def check_times(said: datetime, until: datetime | None, at: datetime) -> None:
    """Return if an answer of `said`, good until `until`, counts at the moment `at`.

    Raises:
        StatusAnswerStaleError: it does not.
    """
    at = at.astimezone(UTC)
    if said > at + SKEW:
        raise StatusAnswerStaleError("the answer is dated in the future")
    if at > (until or said + UNDATED_MAX) + SKEW:
        raise StatusAnswerStaleError(f"the answer held until {until or said + UNDATED_MAX:%Y-%m-%d %H:%M}")


def check_hash(algorithm: HashAlgorithm | None) -> None:
    """Return if an answer signed with this hash proves anything.

    Raises:
        StatusAnswerUnusableError: it does not.
    """
    if algorithm is None or algorithm.name not in _HASHES:
        raise StatusAnswerUnusableError("the answer is signed with a hash that proves nothing")
