"""Whom and when the judge believes: a table of the states of certificates, answers and stamps, RSA and EC."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from signing.formats import Level, SignatureFormat, validation_data
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.revocation import CertificateStatus, RevocationState, StatusSource, judge_crl, judge_ocsp
from signing.verification.findings import Finding
from signing.verification.found import FoundDocument, FoundSignature
from signing.verification.judge import Trust, asked_about, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, TimeSource, Verdict
from tests.support.cards import simulator_ca
from tests.support.test_pki import DAY, NOW, PkiEvidence, key, pki, sign_with

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


def alone(certificate: bytes | None, **facts: Any) -> FoundDocument:
    """One signature that holds, with nothing that came with it."""
    signature = FoundSignature(SignatureFormat.CMS, certificate, **{"intact": True, **facts})
    return FoundDocument("cms", (signature,))


def test_a_verdict_is_of_its_moment() -> None:
    later = TRUST.at(YEARS_LATER)
    assert later == replace(TRUST, now=YEARS_LATER)
    signature = alone(pki().certificate("rsa"), certificates=(pki().ca,))
    assert Finding.CERTIFICATE_EXPIRED not in found(judge(signature, b"", TRUST))
    assert Finding.CERTIFICATE_EXPIRED in found(judge(signature, b"", later))


def test_without_a_signature_nothing_is_decided() -> None:
    report = judge(FoundDocument("cms", ()), b"record", TRUST, name="a.p7m")
    assert (report.verdict, report.name, report.size) == (Verdict.UNDECIDED, "a.p7m", 6)


def test_a_certificate_that_is_none_is_nobodys() -> None:
    report = judge(alone(b"none"), b"", TRUST)
    assert found(report) == {Finding.CERTIFICATE_UNREADABLE}
    [signature] = report.signatures
    assert (report.verdict, signature.signer, signature.chain) == (Verdict.UNDECIDED, None, ())
    [missing] = judge(alone(None), b"", TRUST).signatures
    assert (missing.signer, missing.time_source) == (None, TimeSource.NONE)


def test_what_is_not_bound_to_its_certificate_reaches_no_level() -> None:
    [signature] = (report := judge(alone(pki().certificate("rsa"), claimed_time=NOW), b"", TRUST)).signatures
    assert Finding.CERTIFICATE_NOT_BOUND in found(report)
    assert signature.level == ""
    bound = alone(pki().certificate("rsa"), claimed_time=NOW, binds_certificate=True)
    assert judge(bound, b"", TRUST).signatures[0].level == Level.B_B


def test_a_simulated_card_is_believed_by_nobody_who_does_not_simulate() -> None:
    certificate = simulator_ca().intermediates[0]
    trust = replace(TRUST, roots=simulator_ca().roots)
    report = judge(alone(certificate), b"", trust)
    assert Finding.SIMULATED in found(report)
    assert report.signatures[0].chain == ()
    assert asked_about(alone(certificate), trust) == ()
    simulating = replace(trust, simulated=True)
    assert Finding.SIMULATED not in found(judge(alone(certificate), b"", simulating))
    assert asked_about(alone(certificate), simulating) == ((certificate, simulator_ca().roots[0]),)


async def test_a_persons_path_serves_all_signatures_of_a_document() -> None:
    one = read(DOCUMENT, await made("rsa", Level.B_B, pki().evidence())).signatures[0]
    bare = replace(one, certificates=())
    first, second = judge(FoundDocument("cms", (one, bare)), b"", TRUST).signatures
    assert len(first.chain) == 3
    assert second.chain == first.chain
    # In the other order the first of them has no path, and the second one's does not mend it.
    first, second = judge(FoundDocument("cms", (bare, one)), b"", TRUST).signatures
    assert (len(first.chain), len(second.chain)) == (0, 3)


def revoked_stamper(reason: x509.ReasonFlags, since: datetime) -> bytes:
    """The root's list, with the time stamp authority on it."""
    root, stamper = (x509.load_der_x509_certificate(pki().certificate(each)) for each in ("root", "tsa"))
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(stamper.serial_number)
        .revocation_date(since)
        .add_extension(x509.CRLReason(reason), critical=False)
    )
    made = x509.CertificateRevocationListBuilder().issuer_name(root.subject)
    made = made.last_update(NOW).next_update(NOW + 7 * DAY).add_revoked_certificate(entry.build())
    return made.sign(key("root"), hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@cache
def stamped_yesterday() -> FoundSignature:
    evidence = pki().evidence(at=NOW - DAY)
    message = asyncio.run(made("rsa", Level.B_T, evidence, when=NOW - DAY))
    return read(DOCUMENT, message).signatures[0]


@pytest.mark.parametrize(
    ("reason", "since", "counts"),
    [
        (x509.ReasonFlags.key_compromise, NOW - timedelta(hours=12), False),
        (x509.ReasonFlags.superseded, NOW - 2 * DAY, False),
        (x509.ReasonFlags.superseded, NOW - timedelta(hours=12), True),
    ],
)
def test_a_stamp_holds_that_was_made_before_its_authority_ended_unless_the_key_got_out(
    reason: x509.ReasonFlags, since: datetime, counts: bool
) -> None:
    listed = replace(stamped_yesterday(), crls=(revoked_stamper(reason, since),))
    report = judge(FoundDocument("cms", (listed,)), b"", TRUST)
    assert (Finding.STAMP_UNTRUSTED not in found(report)) is counts
    assert (report.signatures[0].time_source is TimeSource.STAMP) is counts


def test_an_answer_given_after_the_stamp_counts_at_its_own_time() -> None:
    later = pki().evidence()
    answers = tuple(
        asyncio.run(later.revocation(pki().certificate(der), pki().certificate(issuer))).ocsp
        for der, issuer in (("rsa", "ca"), ("ca", "root"))
    )
    document = FoundDocument("cms", (replace(stamped_yesterday(), ocsp=answers),))
    [told] = judge(document, b"", TRUST).signatures
    assert (told.verdict, told.level) == (Verdict.VALID, Level.B_LT)
    assert told.revocation is not None
    assert (told.revocation.state, told.revocation.at) == (RevocationState.GOOD.value, NOW)
    # While it is to come, it says nothing.
    assert Finding.REVOCATION_UNKNOWN in found(judge(document, b"", TRUST.at(NOW - timedelta(hours=2))))
