"""Time stamps, issuers and answers as the agent fetches them, from a PKI on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.certificate_status import StatusChecker, trusted_roots
from agent.config import CertificateSettings, Config, TimestampSettings, VerificationSettings
from agent.evidence import AgentEvidence, asked_by
from agent.operations.documents import NearEvidence
from agent.paths import Paths
from signing import timestamp
from signing.errors import EvidenceError
from signing.formats import Level
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.verification.anchors import shipped
from signing.verification.cms import read_cms
from signing.verification.judge import Trust, judge
from signing.verification.report import Verdict
from tests.support.cards import simulator_ca
from tests.support.operations import OWN, agent
from tests.support.test_pki import DAY, NOW, ServedPki, served, sign_with

pytestmark = pytest.mark.slow

DATA = "檢驗報告".encode()


@pytest.fixture
async def there() -> AsyncIterator[ServedPki]:
    async with served() as pki:
        yield pki


def evidence(there: ServedPki, folder: Path, *stampers: str, ask_lists: bool = True) -> AgentEvidence:
    base = f"{there.pki.address}/pki/ocsp"
    lists = f"{there.pki.address}/pki/crls"
    settings = CertificateSettings(
        ocsp=(f"{base}/ocsp", f"{base}/ocsp-root"),
        crl=(f"{lists}/crl/latest.crl", f"{lists}/crl-root/latest.crl") if ask_lists else (),
    )
    return AgentEvidence(
        TimestampSettings(tuple(map(there.stamp_address, stampers))),
        StatusChecker(folder / "standing", settings, clock=lambda: NOW),
        known=lambda: (there.pki.ca, there.pki.root),
        clock=lambda: NOW,
    )


async def test_the_first_authority_that_gives_a_stamp_which_holds_is_taken(
    there: ServedPki, tmp_path: Path
) -> None:
    asked = evidence(there, tmp_path, "down", "refuses", "wrong", "forged", "future", "tsa", "tsa-archive")
    token = await asked.timestamp(Hash.SHA_256.digest(DATA), Hash.SHA_256)
    assert timestamp.verify_token(DATA, token).certificate == there.pki.certificate("tsa")
    assert [each.split()[1] for each in there.asked] == [
        "down",
        "refuses",
        "wrong",
        "forged",
        "future",
        "tsa",
    ]


async def test_when_nobody_gives_a_stamp_each_is_named_with_its_reason(
    there: ServedPki, tmp_path: Path
) -> None:
    asked = evidence(there, tmp_path, "down", "refuses", "wrong", "future", "tsa-purpose")
    with pytest.raises(EvidenceError) as caught:
        await asked.timestamp(Hash.SHA_256.digest(DATA), Hash.SHA_256)
    reasons = str(caught.value).split("; ")
    assert [each.split(": ")[0].rsplit("/", 1)[1] for each in reasons] == [
        "down",
        "refuses",
        "wrong",
        "future",
        "tsa-purpose",
    ]
    assert "HTTP 503" in reasons[0]


async def test_without_a_list_nobody_is_asked(tmp_path: Path) -> None:
    alone = AgentEvidence(TimestampSettings(), StatusChecker(tmp_path, CertificateSettings()))
    with pytest.raises(EvidenceError, match=r"\[timestamps\]"):
        await alone.timestamp(bytes(32), Hash.SHA_256)


@pytest.mark.parametrize("answers", ["ocsp", "crl"])
async def test_a_signature_is_brought_to_b_lt_over_the_network_and_judged_without_it(
    answers: str, there: ServedPki, tmp_path: Path
) -> None:
    there.evidence.answers = answers
    form, pki = Cades(), there.pki
    ready = form.prepare(DATA, pki.signer("ec"), Hash.SHA_256, NOW)
    signed = ready.finish(sign_with("ec", ready.digest, Hash.SHA_256))
    lasting = await form.augment(signed, Level.B_LT, evidence(there, tmp_path, "tsa"))
    report = judge(read_cms(lasting, DATA), lasting, Trust((pki.root,), now=NOW + 800 * DAY))
    assert (report.verdict, report.signatures[0].level) == (Verdict.VALID, "B-LT")


@pytest.mark.parametrize("answers", ["down", "forged", "stale"])
async def test_an_answer_that_proves_nothing_is_not_taken(
    answers: str, there: ServedPki, tmp_path: Path
) -> None:
    there.evidence.answers = answers
    asked = evidence(there, tmp_path, ask_lists=False)  # they would still be good
    with pytest.raises(EvidenceError):
        await asked.revocation(there.pki.certificate("rsa"), there.pki.ca)
    assert there.asked


@pytest.mark.parametrize("anchors", [True, False])
def test_the_roots_that_ship_are_trusted_for_evidence_too_only_while_they_are_switched_on(
    tmp_path: Path, anchors: bool
) -> None:
    config = Config(verification=VerificationSettings(anchors=anchors))
    known = tuple(asked_by(config, Paths(tmp_path, tmp_path))._known())
    assert set(shipped()).issubset(known) is anchors
    assert trusted_roots(config) == (shipped() if anchors else ())


async def test_an_issuer_that_is_not_to_be_had_is_said(there: ServedPki, tmp_path: Path) -> None:
    asked = evidence(there, tmp_path)
    assert await asked.chain(there.pki.certificate("rsa")) == (there.pki.ca, there.pki.root)
    with pytest.raises(EvidenceError):
        await asked.chain(there.pki.certificate("stranger"))


async def test_a_root_is_believed_from_the_card_and_never_from_a_document(
    there: ServedPki, tmp_path: Path
) -> None:
    asked, strange = evidence(there, tmp_path), there.pki.certificate("strange-root")
    stranger = there.pki.certificate("stranger")
    assert await NearEvidence(asked, b"", (strange,)).chain(stranger) == (strange,)
    ready = Cades().prepare(DATA, there.pki.signer("stranger"), Hash.SHA_256, NOW)
    document = ready.finish(sign_with("stranger", ready.digest, Hash.SHA_256))
    assert strange in document
    with pytest.raises(EvidenceError):
        await NearEvidence(asked, document).chain(stranger)
    with pytest.raises(EvidenceError):
        await Cades().augment(document, Level.B_LT, NearEvidence(evidence(there, tmp_path, "tsa"), document))
    assert there.asked == ["tsa tsa"]


async def test_what_stands_between_may_come_from_the_document(there: ServedPki, tmp_path: Path) -> None:
    asked = evidence(there, tmp_path)
    asked._known = lambda: (there.pki.root,)
    ready = Cades().prepare(DATA, there.pki.signer("rsa"), Hash.SHA_256, NOW)
    document = ready.finish(sign_with("rsa", ready.digest, Hash.SHA_256))
    near = NearEvidence(asked, document)
    assert await near.chain(there.pki.certificate("rsa")) == (there.pki.ca, there.pki.root)


async def test_an_operation_stamps_what_the_card_signed(there: ServedPki, tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", evidence=evidence(there, tmp_path, "down", "tsa")) as world:
        signed = await world.operations.sign_document(OWN, Cades(), DATA, level=Level.B_T)
    trust = Trust(simulator_ca().roots, (there.pki.root,), simulated=True, hard=False, now=NOW + DAY)
    report = judge(read_cms(signed.document, DATA), signed.document, trust)
    assert [(each.level, each.unchanged) for each in report.signatures] == [("B-T", True)]
