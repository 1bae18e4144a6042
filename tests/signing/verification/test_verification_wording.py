"""How what was judged is put into words: who, by which key, why, and the verdict in one sentence."""

from __future__ import annotations

from hashlib import sha256

import pytest

from hca_card.certificate import describe
from hca_card.model import CardKind
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verification.findings import Finding, Remark, rows
from signing.verification.found import FoundSignature
from signing.verification.report import RemarkReport, SignatureReport, Verdict
from signing.verification.wording import algorithm_of, link, name_of, person, sentence, worded
from tests.support.test_pki import pki


def found(label: str = "", algorithm: Hash | None = None) -> FoundSignature:
    certificate = pki().certificate(label) if label else None
    return FoundSignature(SignatureFormat.CMS, certificate, intact=True, hash=algorithm)


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (found("rsa3072", Hash.SHA_512), "RSA 3072, SHA-512"),
        (found("ec384"), "EC 384"),
        (found(algorithm=Hash.SHA_1), "SHA-1"),
        (found(), ""),
    ],
)
def test_key_and_hash_are_told_as_far_as_they_are_known(signature: FoundSignature, words: str) -> None:
    assert algorithm_of(signature) == words


def test_a_person_and_an_institution_are_told_by_name_and_kind() -> None:
    holder, clinic = (person(describe(pki().certificate(each))) for each in ("rsa", "institution"))
    assert (holder.name, holder.category, holder.card) == ("王測試", "醫事人員", CardKind.PERSONNEL.value)
    assert (clinic.name, clinic.category, clinic.institution) == ("測試聯合診所", "醫事機構", "測試聯合診所")
    assert not holder.simulated
    authority = person(describe(pki().ca))
    assert (authority.name, authority.category, authority.card) == ("測試醫事憑證管理中心", "", "")


def test_a_certificate_that_cannot_be_read_has_no_name_and_is_told_by_its_digest() -> None:
    assert (name_of(pki().certificate("tsa")), name_of(b"none")) == ("測試時戳中心", "")
    told, unreadable = link(pki().ca), link(b"none")
    assert "CN=測試醫事憑證管理中心" in told.subject
    assert told.sha256 == sha256(pki().ca).hexdigest()
    assert (unreadable.subject, unreadable.sha256) == ("", sha256(b"none").hexdigest())


def test_remarks_come_worst_first_with_their_sentences() -> None:
    first, second, third = worded(
        (
            Remark(Finding.TIME_ONLY_CLAIMED),
            Remark(Finding.CHAIN_UNKNOWN, "CN=x"),
            Remark(Finding.STAMP_WRONG),
        )
    )
    assert (first.finding, first.detail) == (Finding.CHAIN_UNKNOWN, "CN=x")
    assert first.zh == rows()[Finding.CHAIN_UNKNOWN].zh
    assert (second.finding, third.finding) == (Finding.STAMP_WRONG, Finding.TIME_ONLY_CLAIMED)


@pytest.mark.parametrize(
    ("verdict", "zh", "en"),
    [
        (Verdict.VALID, "2 個簽章全部有效。", "All signatures are valid (2)."),
        (Verdict.REMARK, "簽章有效，但請注意：因。", "Valid, with a remark: why."),
        (Verdict.UNDECIDED, "無法判定：因。", "It cannot be decided: why."),
        (Verdict.INVALID, "簽章無效：因。", "Invalid: why."),
    ],
)
def test_the_sentence_says_what_decided(verdict: Verdict, zh: str, en: str) -> None:
    remark = RemarkReport(finding="x", zh="因。", en="why.")
    decisive = SignatureReport(number=2, format="cms", verdict=verdict, unchanged=True, remarks=(remark,))
    other = SignatureReport(number=1, format="cms", verdict=Verdict.VALID, unchanged=True)
    assert sentence(verdict, (other, decisive), ()) == (zh, en)
    assert sentence(verdict, (other, other), (remark,)) == (zh, en)
