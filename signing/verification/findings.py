"""What can be said of a signature, each with a stable id and how much it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Weight(IntEnum):
    """What a finding makes of a verdict, the worst of all deciding."""

    NOTE = 0
    """Worth reading; changes nothing."""
    REMARK = 1
    """Valid, with a remark."""
    UNDECIDED = 2
    """It cannot be decided."""
    INVALID = 3
    """Invalid, whatever else is true."""


class Finding(StrEnum):
    """The ids; `findings.toml` beside this file has the sentences in both languages."""

    CONTENT_CHANGED = "content.changed"
    SIGNATURE_WRONG = "signature.wrong"
    SIGNATURE_UNREADABLE = "signature.unreadable"
    ALGORITHM_UNKNOWN = "algorithm.unknown"
    ALGORITHM_WEAK = "algorithm.weak"
    KEY_SHORT = "key.short"
    CERTIFICATE_MISSING = "certificate.missing"
    CERTIFICATE_UNREADABLE = "certificate.unreadable"
    CERTIFICATE_OTHER = "certificate.other"
    CERTIFICATE_NOT_BOUND = "certificate.not_bound"
    CERTIFICATE_PURPOSE = "certificate.purpose"
    CERTIFICATE_EXPIRED = "certificate.expired"
    CERTIFICATE_NOT_YET = "certificate.not_yet_valid"
    CERTIFICATE_REVOKED = "certificate.revoked"
    CERTIFICATE_REVOKED_LATER = "certificate.revoked_later"
    CHAIN_UNKNOWN = "chain.unknown"
    SIMULATED = "chain.simulated"
    REVOCATION_UNKNOWN = "revocation.unknown"
    REVOCATION_FORGED = "revocation.forged"
    TIME_ONLY_CLAIMED = "time.only_claimed"
    STAMP_WRONG = "stamp.wrong"
    STAMP_UNTRUSTED = "stamp.untrusted"
    STAMP_FUTURE = "stamp.future"
    CONTENT_NOT_COVERED = "content.not_covered"
    CONTENT_ADDED = "content.added"
    CONTENT_HIDDEN = "content.hidden"
    CONTENT_MISSING = "content.missing"
    STRUCTURE_AMBIGUOUS = "structure.ambiguous"
    STRUCTURE_REFUSED = "structure.refused"
    NO_SIGNATURE = "document.no_signature"
    FORMAT_UNKNOWN = "document.format_unknown"


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding with what it is about: never personal, never longer than a line."""

    finding: Finding
    detail: str = ""
