"""What can be said of a signature, each with a stable id; `findings.toml` has weight and sentences."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from pathlib import Path
from typing import Final


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
    """The ids."""

    CONTENT_CHANGED = "content.changed"
    CONTENT_MISSING = "content.missing"
    CONTENT_LAYERS = "content.layers"
    CONTENT_ACTIVE = "content.active"
    CONTENT_NOT_COVERED = "content.not_covered"
    CONTENT_BESIDE = "content.beside"
    CONTENT_ADDED = "content.added"
    CONTENT_HIDDEN = "content.hidden"
    SIGNATURE_WRONG = "signature.wrong"
    SIGNATURE_UNREADABLE = "signature.unreadable"
    STRUCTURE_AMBIGUOUS = "structure.ambiguous"
    STRUCTURE_REFUSED = "structure.refused"
    STRUCTURE_DAMAGED = "structure.damaged"
    ALGORITHM_UNKNOWN = "algorithm.unknown"
    ALGORITHM_WEAK = "algorithm.weak"
    KEY_SHORT = "key.short"
    KEY_COMPUTABLE = "key.computable"
    CERTIFICATE_MISSING = "certificate.missing"
    CERTIFICATE_UNREADABLE = "certificate.unreadable"
    CERTIFICATE_OTHER = "certificate.other"
    CERTIFICATE_NOT_BOUND = "certificate.not_bound"
    CERTIFICATE_PURPOSE = "certificate.purpose"
    CERTIFICATE_POLICY = "certificate.policy"
    CERTIFICATE_EXPIRED = "certificate.expired"
    CERTIFICATE_OUT_OF_TIME = "certificate.out_of_time"
    CERTIFICATE_NOT_YET = "certificate.not_yet_valid"
    CERTIFICATE_REVOKED = "certificate.revoked"
    CERTIFICATE_REVOKED_LATER = "certificate.revoked_later"
    CHAIN_UNKNOWN = "chain.unknown"
    SIMULATED = "chain.simulated"
    REVOCATION_UNKNOWN = "revocation.unknown"
    REVOCATION_UNCHECKED = "revocation.unchecked"
    REVOCATION_FORGED = "revocation.forged"
    TIME_ONLY_CLAIMED = "time.only_claimed"
    TIME_CLAIM_DISAGREES = "time.claim_disagrees"
    STAMP_WRONG = "stamp.wrong"
    STAMP_UNTRUSTED = "stamp.untrusted"
    STAMP_FUTURE = "stamp.future"
    NO_SIGNATURE = "document.no_signature"
    FORMAT_UNKNOWN = "document.format_unknown"
    DOCUMENT_UNREADABLE = "document.unreadable"
    DOCUMENT_ENCRYPTED = "document.encrypted"


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding with what it is about: never personal, never longer than a line."""

    finding: Finding
    detail: str = ""

    @property
    def weight(self) -> Weight:
        """How much it weighs."""
        return rows()[self.finding].weight


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Weight and sentences of one finding."""

    weight: Weight
    zh: str
    en: str


@cache
def rows() -> Mapping[Finding, FindingRow]:
    """Return the table, of every finding one row."""
    table = tomllib.loads(_TABLE.read_text("utf-8"))
    return {
        finding: FindingRow(Weight[str(row["weight"]).upper()], str(row["zh"]), str(row["en"]))
        for finding in Finding
        for row in (table[finding.value],)
    }


def worst(remarks: Iterable[Remark]) -> Weight:
    """Return the greatest weight; NOTE of none."""
    return max((each.weight for each in remarks), default=Weight.NOTE)


_TABLE: Final = Path(__file__).with_name("findings.toml")
