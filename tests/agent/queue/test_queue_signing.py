"""The queue at work on simulated cards: who signs what, when, why, and that both signatures hold."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.config import Config, QueueSettings, UnattendedSettings
from agent.interaction.scripted import ScriptedInteraction
from agent.queue import Order, RecordQueue, Records, RecordState
from agent.queue.service import LATER_REASON
from agent.vocabulary import Errand, SessionEnd
from hca_card.model import CardKind
from signing.formats import SignatureFormat
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, Verdict
from tests.support.cards import simulator_ca
from tests.support.medical_records import RECORD
from tests.support.openssl import openssl_program
from tests.support.operations import World, agent, until
from tests.support.pdf_judges import valid_to_pdfsig
from tests.support.pdfs import pdf
from tests.support.xml_signatures import xmlsec_agrees

DOCTOR = "000000335361"
MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
REASON = QueueSettings().reason


@dataclass
class Ward:
    """A queue with an agent around it and a clock that the test sets."""

    world: World
    queue: RecordQueue
    records: Records
    settings: QueueSettings
    results: Path
    now: list[datetime]
    told: list[tuple[str, Errand | None]] = field(default_factory=list)

    def later(self, **time: int) -> None:
        self.now[0] += timedelta(**time)

    async def state(self, number: int, wanted: RecordState) -> None:
        await until(lambda: self.records.find(number).state is wanted, f"record {number} is not {wanted}")

    def result(self, number: int) -> bytes:
        return (self.results / self.records.find(number).result).read_bytes()


def verified(document: bytes) -> DocumentReport:
    """What `hca-agent verify` says."""
    authority = simulator_ca()
    trust = Trust(
        authority.roots,
        intermediates=authority.intermediates,
        crls=(authority.crl(), authority.authorities_crl()),
        simulated=True,
    )
    return judge(read(document), document, trust)


@asynccontextmanager
async def ward(
    folder: Path, *kinds: str, person: ScriptedInteraction | None = None, **settings: object
) -> AsyncIterator[Ward]:
    chosen = QueueSettings(enabled=True, **settings)  # type: ignore[arg-type]
    unattended = UnattendedSettings(enabled=True)
    config = Config(queue=chosen, unattended=unattended)
    now = [MORNING]
    told: list[tuple[str, Errand | None]] = []

    async def tell(_zh: str, en: str, errand: Errand | None) -> None:
        told.append((en, errand))

    async with agent(folder, *kinds, config=config, interaction=person) as world:
        with Records(world.paths.queue, chosen.records) as records:
            queue = RecordQueue(
                world.operations,
                records,
                chosen,
                folder / "results",
                tell=tell,
                unattended=True,
                clock=lambda: now[0],
            )
            try:
                yield Ward(world, queue, records, chosen, folder / "results", now, told)
            finally:
                await queue.close()


@pytest.mark.parametrize(
    ("name", "document", "kind"),
    [
        ("note.txt", "出院病摘".encode(), SignatureFormat.CADES),
        ("summary.pdf", pdf("Discharge summary"), SignatureFormat.PADES),
        ("order.xml", b"<?xml version='1.0'?><order><drug>Amoxicillin</drug></order>", SignatureFormat.XADES),
        ("record.xml", RECORD, SignatureFormat.EMR),
    ],
)
async def test_institution_signs_at_the_deadline_and_the_person_later_and_both_hold(
    tmp_path: Path, name: str, document: bytes, kind: SignatureFormat
) -> None:
    async with ward(tmp_path, "hpc", "hop") as here:
        record = await here.queue.add(Order(name, DOCTOR, kind, reason="主治醫師確認"), document)
        assert record.due == MORNING + timedelta(hours=24)
        institution = await here.queue.open(institution=True)
        here.later(hours=23, minutes=49)
        await here.queue.tick()
        assert here.records.find(1).state is RecordState.WAITING, "not before its time"
        here.later(minutes=1)
        await here.queue.tick()
        await here.state(1, RecordState.BY_INSTITUTION)
        institution.end(SessionEnd.CLOSED)
        await here.queue.tick()
        first = here.result(1)
        here.later(days=2)
        person = await here.queue.open()
        await here.state(1, RecordState.COMPLETED)
        person.end(SessionEnd.CLOSED)
        await here.queue.tick()
        both = here.result(1)
        done = here.records.find(1)
    assert [each.kind for each in done.signatures] == [CardKind.INSTITUTION, CardKind.PERSONNEL]
    assert [each.reason for each in done.signatures] == [REASON, f"主治醫師確認；{LATER_REASON}"]
    assert [each.time - MORNING for each in done.signatures] == [
        timedelta(hours=23, minutes=50),
        timedelta(days=2, hours=23, minutes=50),
    ]
    report = verified(both)
    assert [each.verdict for each in report.signatures] == [Verdict.VALID] * 2, report.signatures
    assert {each.reason: each.signer.category for each in report.signatures if each.signer} == {
        REASON: "醫事機構",
        f"主治醫師確認；{LATER_REASON}": "醫事人員",
    }
    assert others_agree(kind, both, first, tmp_path)


def others_agree(kind: SignatureFormat, both: bytes, first: bytes, folder: Path) -> bool:
    """Whether a program of other makers takes both signatures, and the first is there as it was."""
    if kind is SignatureFormat.PADES:
        return both.startswith(first) and valid_to_pdfsig(both, folder)
    [root], ca = simulator_ca().roots, simulator_ca().intermediates[0]
    if kind is SignatureFormat.CADES:
        for name, der in (("root", root), ("ca", ca)):
            pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
            (folder / f"{name}.pem").write_bytes(pem)
        (folder / "both").write_bytes(both)
        words = ("-CAfile", "root.pem", "-certfile", "ca.pem", "-in", "both", "-out", "content")
        checked = subprocess.run(
            [openssl_program(), "cms", "-verify", "-inform", "DER", "-purpose", "any", *words],
            cwd=folder,
            capture_output=True,
            check=False,
        )
        return checked.returncode == 0
    return all(xmlsec_agrees(both, folder, number, (root, ca)) for number in (1, 2))
