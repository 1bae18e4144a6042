"""Whom and when the judge believes: a table of the states of certificates, answers and stamps, RSA and EC."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from signing.formats import Level, validation_data
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.revocation import CertificateStatus, RevocationState, StatusSource, judge_crl, judge_ocsp
from signing.verification.findings import Finding
from signing.verification.judge import Trust, asked_about, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, TimeSource, Verdict
from tests.support.test_pki import DAY, NOW, PkiEvidence, pki, sign_with

DOCUMENT = "病理報告 王測試".encode()
TRUST = Trust(roots=(pki().root,), now=NOW + timedelta(hours=1))
YEARS_LATER = NOW + 800 * DAY
"""Every certificate of a signer has expired, the authorities' have not."""


async def made(label: str, level: Level, evidence: PkiEvidence, when: datetime = NOW) -> bytes:
    form = Cades()
    ready = form.prepare(DOCUMENT, pki().signer(label), Hash.SHA_256, when)
    return await form.augment(ready.finish(sign_with(label, ready.digest, Hash.SHA_256)), level, evidence)


async def told_now(message: bytes, trust: Trust, evidence: PkiEvidence) -> dict[bytes, CertificateStatus]:
    """What authorities say when they are asked, as the agent asks them."""
    statuses = {}
    for der, issuer in asked_about(read(DOCUMENT, message), trust):
        answer = await evidence.revocation(der, issuer)
        statuses[der] = (
            judge_ocsp(answer.ocsp, der, issuer, trust.now)
            if answer.ocsp
            else judge_crl(answer.crl, der, issuer, trust.now)
        )
    return statuses


def found(report: DocumentReport) -> set[str]:
    return {remark.finding for each in report.signatures for remark in each.remarks}


@dataclass(frozen=True)
class Case:
    """One signature and what is to be said of it.

    Attributes:
        evidence: what the authorities answered when it was made.
        now: when it is judged.
        asked: what they answer now; None where nobody can be asked.
    """

    says: str
    label: str
    level: Level
    verdict: Verdict
    findings: frozenset[Finding] = frozenset()
    evidence: dict[str, Any] = field(default_factory=dict)
    now: datetime = TRUST.now
    asked: dict[str, Any] | None = None
    trust: dict[str, Any] = field(default_factory=dict)
    reaches: str | None = None


ONLINE: dict[str, Any] = {}
CASES = [
    Case("good, asked now", "rsa", Level.B_B, Verdict.VALID, asked=ONLINE, reaches="B-B"),
    Case("good, a list instead of an answer", "ec", Level.B_B, Verdict.VALID, asked={"answers": "crl"}),
    Case("nobody to ask", "rsa", Level.B_B, Verdict.UNDECIDED, frozenset({Finding.REVOCATION_UNKNOWN})),
    Case(
        "nobody to ask, and the policy is soft", "rsa", Level.B_B, Verdict.REMARK,
        frozenset({Finding.REVOCATION_UNCHECKED}), trust={"hard": False},
    ),
    Case("all in it, network gone", "rsa", Level.B_LT, Verdict.VALID, reaches="B-LT"),
    Case("all in it, EC", "ec", Level.B_LT, Verdict.VALID, reaches="B-LT"),
    Case("all in it, signer expired since", "rsa", Level.B_LT, Verdict.VALID, now=YEARS_LATER,
         reaches="B-LT"),
    Case("all in it as a list", "ec", Level.B_LT, Verdict.VALID, evidence={"answers": "crl"}, reaches="B-LT"),
    Case(
        "expired since, and no stamp", "rsa", Level.B_B, Verdict.UNDECIDED,
        frozenset({Finding.CERTIFICATE_EXPIRED}), now=YEARS_LATER,
    ),
    Case(
        "expired since, stamped, but nobody can say any more", "rsa", Level.B_T, Verdict.UNDECIDED,
        frozenset({Finding.REVOCATION_UNKNOWN}), now=YEARS_LATER, reaches="B-T",
    ),
    Case("signed after it had expired", "expired", Level.B_B, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_OUT_OF_TIME}), asked=ONLINE),
    Case("signed and stamped after it had expired", "expired-ec", Level.B_T, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_OUT_OF_TIME}), asked=ONLINE),
    Case("not valid yet", "not-yet", Level.B_B, Verdict.UNDECIDED,
         frozenset({Finding.CERTIFICATE_NOT_YET}), asked=ONLINE),
    Case("stamped before it was valid", "not-yet", Level.B_T, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_OUT_OF_TIME}), asked=ONLINE),
    Case("revoked", "revoked", Level.B_B, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_REVOKED}), asked=ONLINE),
    Case("revoked, by the list", "revoked-ec", Level.B_B, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_REVOKED}), asked={"answers": "crl"}),
    Case("revoked before the stamp", "revoked", Level.B_T, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_REVOKED}), asked=ONLINE),
    Case("revoked after the stamp", "revoked-ec", Level.B_T, Verdict.REMARK,
         frozenset({Finding.CERTIFICATE_REVOKED_LATER}), evidence={"at": NOW - 20 * DAY}, asked=ONLINE),
    Case("a stamp of another thing proves no time", "revoked", Level.B_T, Verdict.INVALID,
         frozenset({Finding.STAMP_WRONG, Finding.CERTIFICATE_REVOKED}),
         evidence={"at": NOW - 20 * DAY, "stamps": "wrong"}, asked=ONLINE, reaches="B-B"),
    Case("a forged stamp proves no time", "revoked-ec", Level.B_T, Verdict.INVALID,
         frozenset({Finding.STAMP_WRONG}), evidence={"at": NOW - 20 * DAY, "stamps": "forged"}, asked=ONLINE),
    Case("a stranger's stamp proves no time", "revoked", Level.B_T, Verdict.INVALID,
         frozenset({Finding.STAMP_UNTRUSTED}),
         evidence={"at": NOW - 20 * DAY, "stamps": "tsa-stranger"}, asked=ONLINE),
    Case("a stamp of a certificate that is none for stamps", "rsa", Level.B_T, Verdict.REMARK,
         frozenset({Finding.STAMP_WRONG}), evidence={"stamps": "tsa-purpose"}, asked=ONLINE, reaches="B-B"),
    Case("a stamp from the future", "rsa", Level.B_T, Verdict.UNDECIDED,
         frozenset({Finding.STAMP_FUTURE}), evidence={"stamps": "future"}, asked=ONLINE, reaches="B-B"),
    Case("of another purpose: encryption", "encryption", Level.B_B, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_PURPOSE}), asked=ONLINE),
    Case("of another purpose: a server's", "tls-server", Level.B_B, Verdict.INVALID,
         frozenset({Finding.CERTIFICATE_PURPOSE}), asked=ONLINE),
    Case("of no policy that is demanded", "rsa", Level.B_B, Verdict.UNDECIDED,
         frozenset({Finding.CERTIFICATE_POLICY}), asked=ONLINE, trust={"policies": frozenset(("1.2.3.4",))}),
    Case("a short key", "weak", Level.B_B, Verdict.UNDECIDED, frozenset({Finding.KEY_SHORT}), asked=ONLINE),
    Case("nobody's root", "stranger", Level.B_B, Verdict.UNDECIDED,
         frozenset({Finding.CHAIN_UNKNOWN}), asked=ONLINE),
    Case("a forged answer inside", "rsa", Level.B_LT, Verdict.UNDECIDED,
         frozenset({Finding.REVOCATION_FORGED, Finding.REVOCATION_UNKNOWN}), evidence={"answers": "forged"},
         reaches="B-T"),
    Case("a changed list inside", "ec", Level.B_LT, Verdict.UNDECIDED,
         frozenset({Finding.REVOCATION_FORGED}), evidence={"answers": "forged-crl"}, reaches="B-T"),
    Case("an answer inside that had run out", "rsa", Level.B_LT, Verdict.UNDECIDED,
         frozenset({Finding.REVOCATION_UNKNOWN}), evidence={"answers": "stale"}, reaches="B-T"),
    Case("a list inside that had run out", "ec", Level.B_LT, Verdict.UNDECIDED,
         frozenset({Finding.REVOCATION_UNKNOWN}), evidence={"answers": "stale-crl"}, reaches="B-T"),
]  # fmt: skip


class _Unchecked:
    """What a maker that checks no stamp takes for one: this program refuses such stamps when it signs."""

    certificate = pki().certificate("tsa")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
async def test_the_state_decides(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation_data, "verify_token", lambda _octets, _token: _Unchecked)
    message = await made(case.label, case.level, pki().evidence(**case.evidence))
    trust = replace(TRUST, now=case.now, **case.trust)
    statuses = None
    if case.asked is not None:
        statuses = await told_now(message, trust, pki().evidence(**{"at": case.now, **case.asked}))
    report = judge(read(DOCUMENT, message), DOCUMENT, trust, statuses=statuses)
    assert report.verdict is case.verdict, found(report)
    assert case.findings <= found(report), found(report)
    [signature] = report.signatures
    assert signature.unchanged
    if case.reaches is not None:
        assert signature.level == case.reaches
    if case.reaches in ("B-T", "B-LT"):
        assert signature.time_source is TimeSource.STAMP


async def test_who_cannot_be_asked_does_not_make_a_revoked_one_good() -> None:
    message = await made("revoked", Level.B_B, pki().evidence())
    unknown = CertificateStatus(RevocationState.UNKNOWN, StatusSource.OCSP, NOW, None)
    report = judge(read(DOCUMENT, message), DOCUMENT, TRUST, statuses={pki().certificate("revoked"): unknown})
    assert report.verdict is Verdict.UNDECIDED


async def test_an_archive_of_many_judges_paths_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from signing.verification import judge as module

    calls: list[bytes] = []
    genuine = module.trusted_path

    def counted(der: bytes, *rest: Any) -> tuple[bytes, ...]:
        calls.append(der)
        return genuine(der, *rest)

    monkeypatch.setattr(module, "trusted_path", counted)
    message = await made("rsa", Level.B_LT, pki().evidence())
    judge(read(DOCUMENT, message), DOCUMENT, TRUST)
    assert len(calls) == len(set(calls))
