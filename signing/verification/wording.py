"""How a report words what was judged: persons, certificates, findings, and the verdict in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from hca_card.certificate import CertificateDescription, describe
from hca_card.errors import CardDataError
from hca_card.model import CardKind
from signing.verification.certificate_checks import key_of
from signing.verification.findings import Remark, rows
from signing.verification.found import FoundSignature
from signing.verification.report import ChainReport, PersonReport, RemarkReport, SignatureReport, Verdict

_CATEGORIES: Final = {
    "personnel": "醫事人員",
    "institution": "醫事機構",
    "natural-person": "自然人",
    "company": "公司行號",
}
_KINDS: Final = {
    "personnel": CardKind.PERSONNEL.value,
    "institution": CardKind.INSTITUTION.value,
    "natural-person": CardKind.CITIZEN.value,
}


def algorithm_of(found: FoundSignature) -> str:
    """Return key and hash, as "RSA 2048, SHA-256"."""
    parts = () if found.certificate is None else key_of(found.certificate)
    key = " ".join(str(part) for part in parts if part)
    return ", ".join(part for part in (key, "" if found.hash is None else found.hash.value) if part)


def person(description: CertificateDescription) -> PersonReport:
    """Return whom a certificate names."""
    kind = description.subject_type or ""
    name = description.common_name or description.subject
    return PersonReport(
        name=name,
        category=_CATEGORIES.get(kind, ""),
        institution=name if kind == "institution" else description.institution_code or "",
        card=_KINDS.get(kind, ""),
        simulated=description.simulated,
    )


def name_of(der: bytes) -> str:
    """Return a certificate's common name; empty where it cannot be read."""
    try:
        description = describe(der)
    except CardDataError:
        return ""
    return (description.common_name or description.subject)[:80]


def link(der: bytes) -> ChainReport:
    """Return a certificate as one of a chain."""
    try:
        subject = describe(der).subject
    except CardDataError:
        subject = ""
    return ChainReport(subject=subject, sha256=sha256(der).hexdigest())


def worded(remarks: Iterable[Remark]) -> tuple[RemarkReport, ...]:
    """Return the remarks with their sentences, worst first."""
    ordered = sorted(remarks, key=lambda each: -each.weight)
    return tuple(
        RemarkReport(finding=each.finding.value, zh=row.zh, en=row.en, detail=each.detail)
        for each in ordered
        for row in (rows()[each.finding],)
    )


def sentence(
    verdict: Verdict, signatures: tuple[SignatureReport, ...], remarks: tuple[RemarkReport, ...]
) -> tuple[str, str]:
    """Return the verdict in one sentence: what decided it, where something did."""
    decisive = next((each for each in signatures if each.verdict is verdict), None)
    reasons = remarks or (() if decisive is None else decisive.remarks)
    zh, en = (reasons[0].zh, reasons[0].en) if reasons else ("", "")
    count = len(signatures)
    match verdict:
        case Verdict.VALID:
            return f"{count} 個簽章全部有效。", f"All signatures are valid ({count})."
        case Verdict.REMARK:
            return f"簽章有效，但請注意：{zh}", f"Valid, with a remark: {en}"
        case Verdict.UNDECIDED:
            return f"無法判定：{zh}", f"It cannot be decided: {en}"
        case Verdict.INVALID:
            return f"簽章無效：{zh}", f"Invalid: {en}"
