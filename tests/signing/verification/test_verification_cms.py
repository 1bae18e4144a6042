"""Plain CMS as this program and HiPKI make it, what others put into it, and what the judge makes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, core, ocsp, x509

from signing.certificate import parsed
from signing.cms.build import CmsForm, sign_cms
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.revocation import CertificateStatus, RevocationState, StatusSource
from signing.verification.anchors import shipped
from signing.verification.cms import read_cms
from signing.verification.findings import Finding, Weight, rows
from signing.verification.judge import Trust, asked_about, judge
from signing.verification.reading import read
from signing.verification.report import TimeSource, Verdict
from tests.support.cms_attacks import changed
from tests.support.software_card import SoftwareCard, root, signature_certificate
from tests.support.test_pki import pki
from tests.support.vectors import sequence
from tests.support.xml_signatures import signed as signed_as

DOCUMENT = "病歷摘要 第一頁".encode()
NOW = datetime.now(UTC)
TRUST = Trust(roots=(root(),), now=NOW)
GOOD = CertificateStatus(RevocationState.GOOD, StatusSource.OCSP, NOW, NOW + timedelta(days=1))


def signed(*, detached: bool = False, algorithm: Hash = Hash.SHA_256) -> bytes:
    return sign_cms(
        SoftwareCard(), DOCUMENT, algorithm, CmsForm(detached=detached), allow_sha1=algorithm is Hash.SHA_1
    )


def findings(report: object) -> set[str]:
    return {remark.finding for each in report.signatures for remark in each.remarks} | {  # type: ignore[attr-defined]
        remark.finding
        for remark in report.remarks  # type: ignore[attr-defined]
    }


def test_a_plain_signature_of_a_trusted_and_good_certificate_is_valid() -> None:
    message = signed()
    report = judge(read(message), message, TRUST, statuses={signature_certificate(): GOOD})
    assert report.verdict is Verdict.VALID
    [signature] = report.signatures
    assert (signature.format, signature.level, signature.unchanged) == ("cms", "", True)
    assert signature.time_source is TimeSource.SIGNER
    assert [each.sha256 for each in signature.chain]
    assert findings(report) == {Finding.CERTIFICATE_NOT_BOUND, Finding.TIME_ONLY_CLAIMED}


def test_nobody_asked_is_not_the_same_as_good() -> None:
    message = signed()
    report = judge(read(message), message, TRUST)
    assert report.verdict is Verdict.UNDECIDED
    assert Finding.REVOCATION_UNKNOWN in findings(report)
    soft = judge(read(message), message, replace(TRUST, hard=False))
    assert soft.verdict is Verdict.REMARK
    assert Finding.REVOCATION_UNCHECKED in findings(soft)


def test_authorities_are_asked_about_certificates_that_lead_to_a_trusted_root_alone() -> None:
    found = read(signed())
    assert [pair[0] for pair in asked_about(found, TRUST)] == [signature_certificate()]
    assert asked_about(found, replace(TRUST, roots=())) == ()


def test_a_revoked_certificate_without_a_stamp_is_invalid_whatever_the_signer_claims() -> None:
    message = signed()
    revoked = replace(GOOD, state=RevocationState.REVOKED, revoked_at=NOW + timedelta(seconds=1))
    report = judge(read(message), message, TRUST, statuses={signature_certificate(): revoked})
    assert report.verdict is Verdict.INVALID
    assert Finding.CERTIFICATE_REVOKED in findings(report)


def test_another_document_and_a_missing_one_are_told_apart() -> None:
    message = signed(detached=True)
    statuses = {signature_certificate(): GOOD}
    assert judge(read(DOCUMENT, message), DOCUMENT, TRUST, statuses=statuses).verdict is Verdict.VALID
    changed = judge(read(DOCUMENT + b"x", message), DOCUMENT, TRUST, statuses=statuses)
    assert changed.verdict is Verdict.INVALID
    assert Finding.CONTENT_CHANGED in findings(changed)
    missing = judge(read(message), message, TRUST, statuses=statuses)
    assert missing.verdict is Verdict.UNDECIDED
    assert Finding.CONTENT_MISSING in findings(missing)


def test_a_document_beside_a_message_that_holds_another_is_a_change() -> None:
    report = judge(read(b"other", signed()), b"other", TRUST)
    assert report.verdict is Verdict.INVALID
    assert Finding.CONTENT_CHANGED in findings(report)


def test_sha1_decides_nothing_and_an_unknown_root_neither() -> None:
    message = signed(algorithm=Hash.SHA_1)
    weak = judge(read(message), message, TRUST, statuses={signature_certificate(): GOOD})
    assert weak.verdict is Verdict.UNDECIDED
    assert Finding.ALGORITHM_WEAK in findings(weak)
    message = signed()
    unknown = judge(read(message), message, replace(TRUST, roots=()))
    assert unknown.verdict is Verdict.UNDECIDED
    assert Finding.CHAIN_UNKNOWN in findings(unknown)


def test_one_bit_changed_at_any_signed_place_is_noticed() -> None:
    message = signed()
    [signer] = cms.ContentInfo.load(message)["content"]["signer_infos"]
    places = (
        DOCUMENT,
        signature_certificate(),
        signer["signed_attrs"].contents,
        bytes(signer["signature"].native),
    )
    statuses = {signature_certificate(): GOOD}
    for place in places:
        start = message.index(place)
        for position in range(start, start + len(place), 11):
            changed = bytearray(message)
            changed[position] ^= 1
            report = judge(read(bytes(changed)), bytes(changed), TRUST, statuses=statuses)
            assert report.verdict in (Verdict.INVALID, Verdict.UNDECIDED), position


def test_every_finding_has_a_row_with_both_sentences() -> None:
    for finding, row in rows().items():
        assert row.zh.endswith("。"), finding
        assert row.en.endswith("."), finding
        assert isinstance(row.weight, Weight)


@pytest.mark.parametrize("octets", [b"", b"\x30\x80", b"\x30" * 300, b"%PDF-1.7", b"\x00" * 50])
def test_what_is_no_signature_is_said_to_be_none(octets: bytes) -> None:
    report = judge(read(octets), octets, TRUST)
    assert report.verdict is Verdict.UNDECIDED
    assert report.signatures == ()


def test_the_documentation_has_every_finding_with_its_weight() -> None:
    page = (Path(__file__).parents[3] / "docs" / "verification.md").read_text("utf-8")
    for finding, row in rows().items():
        assert f"| `{finding}` | {row.weight.name.lower()} | {row.zh} | {row.en} |" in page, finding


def test_the_roots_that_ship_are_the_certificates_that_the_table_names() -> None:
    for root_certificate in shipped():
        certificate = parsed(root_certificate)
        assert certificate.issuer == certificate.subject
        assert certificate.authority is not False
    assert len(shipped()) == 5


def test_a_message_of_another_kind_holds_no_signature() -> None:
    message = cms.ContentInfo({"content_type": "data", "content": DOCUMENT}).dump()
    found = read_cms(message)
    assert found.signatures == ()
    [remark] = found.remarks
    assert (remark.finding, remark.detail) == (
        Finding.DOCUMENT_UNREADABLE,
        "this CMS message holds no signature",
    )


def test_a_signer_named_by_its_keys_identifier_is_found() -> None:
    """RFC 5652 §5.3: the identifier is not signed, so that each of the two names the same signature."""
    certificate = pki().certificate("rsa")
    identifier = x509.Certificate.load(certificate).key_identifier_value

    def named(octets: bytes) -> bytes:
        sid = cms.SignerIdentifier("subject_key_identifier", octets)
        return changed(signed_as(Cades(detached=False), DOCUMENT), lambda _, one: one.__setitem__("sid", sid))

    [found] = read_cms(named(identifier.native)).signatures
    assert (found.intact, found.certificate) == (True, certificate)
    [other] = read_cms(named(bytes(20))).signatures
    assert [each.finding for each in other.remarks] == [Finding.CERTIFICATE_MISSING]


def test_what_the_signer_says_it_is_for_is_told() -> None:
    message = signed_as(Cades(detached=False, reason="主治醫師確認"), DOCUMENT)
    assert [each.reason for each in read_cms(message).signatures] == ["主治醫師確認"]


def test_evidence_beside_the_signature_is_found_where_others_put_it() -> None:
    """CertificateValues and RevocationValues (ETSI EN 319 122-1 annex A.1.1.2, A.1.1.4)."""
    evidence, signer = pki().evidence(), pki().certificate("rsa")
    answer = asyncio.run(evidence.revocation(signer, pki().ca)).ocsp
    basic = ocsp.OCSPResponse.load(answer)["response_bytes"]["response"].parsed.dump()
    revocation_list = evidence.revocation_list("ca")
    lists = sequence(sequence(revocation_list), tag=0xA0) + sequence(sequence(basic), tag=0xA1)
    kept = {"23": sequence(pki().ca, pki().root), "24": sequence(lists, sequence(sequence(), tag=0xA2))}
    attributes = [
        sequence(core.ObjectIdentifier(f"1.2.840.113549.1.9.16.2.{arc}").dump(), sequence(value, tag=0x31))
        for arc, value in kept.items()
    ]

    def beside(message: cms.SignedData, one: cms.SignerInfo) -> None:
        message["certificates"] = [cms.CertificateChoices.load(signer)]
        one["unsigned_attrs"] = cms.CMSAttributes.load(sequence(*attributes, tag=0x31))

    [found] = read_cms(changed(signed_as(Cades(detached=False), DOCUMENT), beside)).signatures
    assert found.intact
    assert found.certificates == (signer, pki().ca, pki().root)
    assert (found.crls, found.ocsp) == ((revocation_list,), (answer,))
