"""The queue at work on simulated cards: who signs what, when, why, and that both signatures hold."""

from __future__ import annotations

import asyncio
import errno
import itertools
import multiprocessing
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.cli.queue import _row
from agent.config import Config, QueueSettings, UnattendedSettings
from agent.errors import AgentError, ErrorId
from agent.interaction.scripted import ScriptedInteraction
from agent.masking import mask_card
from agent.native.queue import record_message
from agent.paths import Paths
from agent.pins.unattended import Grant, Unattended
from agent.queue import Order, Record, RecordQueue, Records, RecordState, Signature, service
from agent.queue.service import LATER_REASON
from agent.vocabulary import Errand, SessionEnd
from hca_card.model import CardKind
from hca_card.pin import Pin
from signing.formats import Level, SignatureFormat
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, Verdict
from tests.support.cards import simulator_ca
from tests.support.keyrings import FakeKeyring
from tests.support.medical_records import RECORD
from tests.support.openssl import openssl_program
from tests.support.operations import OWN, Sabotage, World, agent, until
from tests.support.pdf_judges import valid_to_pdfsig
from tests.support.pdfs import pdf
from tests.support.platforms import not_on_windows
from tests.support.waiting import until as until_sync
from tests.support.xml_signatures import xmlsec_agrees

DOCTOR, SUBJECT_NUMBER, HOP = "000000335361", "0000000000335361", "000000335401"
PSO = bytes.fromhex("002A9E9A")  # ISO 7816-8 §11.8
MORNING = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=10)
"""Certificates and revocation lists of simulated cards hold then, and programs of others judge now."""
REASON = QueueSettings().reason


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    fake = FakeKeyring()
    monkeypatch.setattr(
        "agent.pins.unattended.Unattended.__init__.__kwdefaults__", {"open_keyring": lambda: fake}
    )
    return fake


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

    async def card_back(self) -> bool:
        """Whether the reader has a card, as operations see it."""
        return any(view.condition == "card" for view in await self.world.operations.readers(OWN))

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, document: bytes, kind: SignatureFormat
) -> None:
    async with ward(tmp_path, "hpc", "hop") as here:
        clock = SimpleNamespace(now=lambda _zone: here.now[0])
        monkeypatch.setattr("agent.operations.documents.datetime", clock)
        record = await here.queue.add(Order(name, DOCTOR, kind, reason="主治醫師確認"), document)
        assert record.due == MORNING + timedelta(hours=24)
        here.later(hours=23, minutes=49)
        early = await here.queue.open(institution=True, wait=False)
        assert await here.queue.served(early) == 0, "not before its time"
        institution = await here.queue.open(institution=True)
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
    times = [MORNING + timedelta(days=days, hours=23, minutes=50) for days in (0, 2)]
    assert [each.time for each in done.signatures] == times
    report = verified(both)
    assert [each.verdict for each in report.signatures] == [Verdict.VALID] * 2, report.signatures
    told = [(each.time, each.reason, each.signer and each.signer.category) for each in report.signatures]
    assert told == [
        (times[0], REASON, "醫事機構"),
        (times[1], f"主治醫師確認；{LATER_REASON}", "醫事人員"),
    ]
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


# --- sessions of the right card --------------------------------------------------------------------------


async def test_one_pin_signs_what_waits_for_this_person_and_what_comes_meanwhile_until_it_is_used_up(
    tmp_path: Path,
) -> None:
    async with ward(tmp_path, "hpc") as here:
        for signer in (DOCTOR, "", SUBJECT_NUMBER, "000000000001"):
            await here.queue.add(Order("note.txt", signer), f"for {signer}".encode())
        session = await here.queue.open(most=4)
        served = asyncio.create_task(here.queue.served(session))
        await here.state(3, RecordState.SIGNED)
        assert here.records.find(4).state is RecordState.WAITING, "it is somebody else's"
        assert session.ended is None
        for number in (5, 6):  # they come while the session is open
            await here.queue.add(Order("late.txt", DOCTOR), b"late %d" % number)
        assert await served == 4
        assert session.ended is SessionEnd.USED_UP
        states = [here.records.find(number).state for number in (1, 2, 3, 5, 6)]
        assert sorted(states) == [RecordState.SIGNED] * 4 + [RecordState.WAITING]
        [asked] = here.world.pins_asked()
        assert asked.terms is not None
        assert asked.terms.most == 4
        rows = [row for row in here.world.audit() if row.verb == "sign"]
        assert [row.session for row in rows] == [session.number] * 4
        assert {each.card for record in here.records.all() for each in record.signatures} == {DOCTOR}


async def test_a_session_without_waiting_ends_when_nothing_more_is_there(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc") as here:
        for number in range(10):
            await here.queue.add(Order(f"{number}.txt"), b"%d" % number)
        session = await here.queue.open(wait=False)
        assert await here.queue.served(session) == 10
        assert session.ended is SessionEnd.CLOSED
        assert len([row for row in here.world.audit() if row.verb == "sign"]) == 10


def test_those_with_least_time_left_are_signed_first_whoever_was_signed_for_before(tmp_path: Path) -> None:
    with Records(tmp_path / "queue.sqlite", 10) as records:
        for name, received, hours in (("later", 5, 24), ("first", 0, 24), ("owed", -40, 24), ("soon", 0, 2)):
            came = MORNING + timedelta(hours=received)
            records.add(Order(name, DOCTOR), name.encode(), came, timedelta(hours=hours))
        owed = records.find(3)
        signature = Signature(CardKind.INSTITUTION, HOP, "1", MORNING, REASON)
        records.signed(owed, RecordState.BY_INSTITUTION, b"signed", "000003-owed.p7m", signature)
        states, chosen = (RecordState.WAITING, RecordState.BY_INSTITUTION), list[Record]()
        while record := records.next(states, without=[each.number for each in chosen]):
            chosen.append(record)
        assert [each.name for each in chosen] == ["owed", "soon", "first", "later"]
        assert records.next(states, signers=("1",)) is None
        assert records.next(states[:1], due=MORNING + timedelta(hours=1)) is None


async def test_a_card_that_is_pulled_leaves_the_rest_waiting_and_the_next_session_signs_it(
    tmp_path: Path,
) -> None:
    async with ward(tmp_path, "hpc") as here:
        for number in range(30):
            await here.queue.add(Order(f"{number}.txt"), b"%d" % number)
        signatures = itertools.count(1)

        def pulled() -> None:
            if next(signatures) == 5:
                here.world.reader.remove()

        here.world.reader.remove()
        here.world.reader.insert(Sabotage(here.world.card, PSO, pulled))
        await until(here.card_back, "no card")
        session = await here.queue.open()
        await until(lambda: session.ended is not None, "the session goes on")
        assert session.ended is SessionEnd.CARD
        assert here.records.counts(here.now[0], timedelta()).waiting > 0
        here.world.reader.insert(here.world.card)
        await until(here.card_back, "the card is not back")
        again = await here.queue.open(wait=False)
        await here.queue.served(again)
        assert here.records.counts(here.now[0], timedelta()).waiting == 0
        assert {len(record.signatures) for record in here.records.all()} == {1}


async def test_a_document_that_cannot_be_signed_is_told_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc") as here:
        await here.queue.add(Order("broken.pdf"), b"%PDF-1.7 nothing more")
        await here.queue.add(Order("note.txt"), b"note")
        session = await here.queue.open(wait=False)
        assert await here.queue.served(session) == 1
        broken = here.records.find(1)
        assert (broken.state, broken.error) == (RecordState.FAILED, "document.unusable")
        again = await here.queue.open(wait=False)
        assert await here.queue.served(again) == 0
        await here.queue.tick()
        assert (here.results / "failed" / "000001-broken.pdf").read_bytes() == b"%PDF-1.7 nothing more"


async def test_what_needs_a_stamp_waits_until_there_is_one(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc") as here:
        await here.queue.add(Order("note.txt", level=Level.B_T), b"note")
        session = await here.queue.open(wait=False)
        assert await here.queue.served(session) == 0
        record = here.records.find(1)
        assert (record.state, record.error) == (RecordState.WAITING, "evidence.unavailable")


# --- nobody there ----------------------------------------------------------------------------------------


async def test_unattended_the_institution_signs_what_its_pin_is_kept_for_and_nothing_else(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    watched, other = tmp_path / "to-sign", tmp_path / "elsewhere"
    async with ward(tmp_path, "hpc", "hop") as here:
        grant = Grant(folders=(str(watched),))
        institution = here.world.cards[1]
        await asyncio.to_thread(Unattended(enabled=True).remember, HOP, Pin("123456"), grant)
        for folder in (str(watched), str(other), ""):
            await here.queue.add(Order("note.txt", folder=folder), folder.encode() or b"api")
        here.later(hours=24)
        await here.queue.tick()
        await here.state(1, RecordState.BY_INSTITUTION)
        await until(lambda: here.records.find(3).error != "", "the others were not tried")
        assert {here.records.find(number).state for number in (2, 3)} == {RecordState.WAITING}
        assert {here.records.find(number).error for number in (2, 3)} == {"pin.unavailable"}
        assert here.world.person is not None
        assert here.world.person.questions == [], "nobody is asked for what has its time"
        assert [row.unattended for row in here.world.audit() if row.result == "ok"] == [True]
        assert here.records.find(1).signatures[0].reason == REASON
        assert institution.pin_tries == 3


async def test_a_pin_of_the_keyring_that_is_wrong_costs_one_try_and_is_gone(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    async with ward(tmp_path, "hop") as here:
        grant = Grant(folders=("/srv/emr",))
        await asyncio.to_thread(Unattended(enabled=True).remember, HOP, Pin("999999"), grant)
        for number in range(3):
            await here.queue.add(Order("note.txt", folder="/srv/emr"), b"%d" % number)
        here.later(hours=25)
        await here.queue.tick()
        await until(lambda: keyring.kept == {}, "the keyring still has it")
        await here.queue.tick()
        await here.queue.close()
        assert here.world.tries == 2
        assert here.records.counts(here.now[0], timedelta()).overdue == 3


async def test_where_nobody_can_sign_the_record_waits_on_and_the_person_is_warned_once(
    tmp_path: Path,
) -> None:
    changes: list[int] = []
    async with ward(tmp_path, "hpc", "hop") as here:
        here.queue.listen(lambda: changes.append(here.queue.counts.waiting))
        await here.queue.add(Order("note.txt"), b"note")
        await here.queue.tick()
        assert (here.told, changes) == ([], [1])
        here.later(hours=22)
        for _ in range(3):
            await here.queue.tick()
        [(words, errand)] = here.told
        assert words.startswith("1 record has little time left")
        assert errand is Errand.QUEUE
        here.later(hours=5)
        await here.queue.tick()
        assert (here.queue.counts.overdue, here.queue.counts.waiting) == (1, 1)
        session = await here.queue.open(wait=False)
        assert await here.queue.served(session) == 1
        await here.queue.tick()
        assert here.queue.counts.waiting == 0


# --- crashes, other programs, secrets --------------------------------------------------------------------


async def test_what_was_signed_but_not_written_down_is_signed_again_and_given_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ward(tmp_path, "hpc") as here:
        await here.queue.add(Order("note.txt"), b"note")
        with monkeypatch.context() as patch:

            def killed(*_details: object) -> bool:
                raise AgentError(ErrorId.JOURNAL_FULL)

            patch.setattr(Records, "signed", killed)
            session = await here.queue.open(wait=False)
            assert await here.queue.served(session) == 0
        await here.queue.tick()
        assert not (tmp_path / "results").exists()
        session = await here.queue.open(wait=False)
        assert await here.queue.served(session) == 1
        await here.queue.tick()
        assert [len(here.records.find(1).signatures), len(list((tmp_path / "results").iterdir()))] == [1, 1]


async def test_of_two_programs_with_one_queue_the_second_result_is_thrown_away(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc") as here:
        await here.queue.add(Order("note.txt"), b"note")
        before = here.records.find(1)
        with Records(here.world.paths.queue, 10) as other:
            signature = Signature(CardKind.PERSONNEL, DOCTOR, "1", MORNING, "")
            assert other.signed(before, RecordState.SIGNED, b"signed", "000001-note.txt.p7m", signature)
            assert not here.records.signed(before, RecordState.SIGNED, b"again", "x", signature)
            assert other.content(1) == b"signed"
            assert len(other.find(1).signatures) == 1


async def test_results_that_do_not_fit_wait_in_the_journal(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc") as here:
        await here.queue.add(Order("note.txt"), b"note")
        (tmp_path / "results").write_bytes(b"not a folder")
        session = await here.queue.open(wait=False)
        await here.queue.served(session)
        with pytest.raises(OSError, match="results"):
            await here.queue.tick()
        assert not here.records.find(1).delivered
        (tmp_path / "results").unlink()
        await here.queue.tick()
        assert here.records.find(1).delivered
        assert here.result(1) == here.records.content(1)


async def test_a_result_that_has_no_place_holds_up_none_behind_it_and_is_tried_again_ever_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = [10_000.0]
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: later[0]))
    tried: list[str] = []
    write = service.write_whole

    def noted(path: Path, content: bytes, **more: int) -> None:
        tried.append(path.name[:6])
        write(path, content, **more)

    monkeypatch.setattr(service, "write_whole", noted)
    async with ward(tmp_path, "hpc") as here:
        for name in ("one.txt", "two.txt"):
            await here.queue.add(Order(name), name.encode())
        occupied = tmp_path / "results" / "000001-one.txt.p7m"
        occupied.mkdir(parents=True)
        session = await here.queue.open(wait=False)
        await here.queue.served(session)
        for _ in range(2):
            with pytest.raises(OSError, match="000001"):
                await here.queue.tick()
        assert here.result(2) == here.records.content(2)
        assert [here.records.find(number).delivered for number in (1, 2)] == [False, True]
        shown = [_row(record_message(here.records.find(number)))[-1] for number in (1, 2)]
        assert shown == ["尚未放進資料夾 not in its folder yet", mask_card(DOCTOR)]
        for pause in (2, 4, 8):
            with pytest.raises(
                OSError, match="000001"
            ):  # told as long as it lasts, though not tried each time
                await here.queue.tick()
            tried.clear()
            later[0] += pause - 0.5
            with pytest.raises(OSError, match="000001"):
                await here.queue.tick()
            assert not tried
            later[0] += 0.5
            with pytest.raises(OSError, match="000001"):
                await here.queue.tick()
            assert tried == ["000001"]
        occupied.rmdir()
        later[0] += 16
        await here.queue.tick()
        assert here.result(1) == here.records.content(1)


async def test_where_no_result_has_a_place_not_all_of_them_are_tried_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(path: Path, _content: bytes, **_more: int) -> None:
        tried.append(path.name)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    async with ward(tmp_path, "hpc") as here:
        for number in range(8):
            await here.queue.add(Order(f"{number}.txt"), b"%d" % number)
        session = await here.queue.open(wait=False)
        await here.queue.served(session)
        with monkeypatch.context() as patch:
            patch.setattr(service, "write_whole", full)
            with pytest.raises(OSError, match="No space"):
                await here.queue.tick()
        assert len(tried) == 3
        await here.queue.tick()
        assert all(record.delivered for record in here.records.page(0))


async def test_a_full_disk_is_told_once_and_the_queue_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.queue.service._LOOK_SECONDS", 0.001)
    room = asyncio.Event()
    write = service.write_whole

    def full(path: Path, content: bytes, **more: int) -> None:
        if not room.is_set():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content, **more)

    monkeypatch.setattr(service, "write_whole", full)
    async with ward(tmp_path, "hpc") as here:
        await here.queue.add(Order("note.txt"), b"note")
        session = await here.queue.open(wait=False)
        await here.queue.served(session)
        running = asyncio.create_task(here.queue.run())
        await until(lambda: len(here.told) > 0, "nobody is told")
        for _ in range(3):
            await here.queue.count()
        [(words, _errand)] = here.told
        assert words.startswith("A file cannot be read or written")
        room.set()
        await until(lambda: here.records.find(1).delivered, "it does not go on")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_folder_that_cannot_be_watched_is_told_and_everything_else_goes_on(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc", folders=(tmp_path / "none",)) as here:
        await here.queue.add(Order("note.txt"), b"note")
        session = await here.queue.open(wait=False)
        await here.queue.served(session)
        with pytest.raises(AgentError) as raised:
            await here.queue.tick()
        assert raised.value.error_id == ErrorId.QUEUE_FOLDER
        assert here.records.find(1).delivered


async def test_content_is_forgotten_once_it_lies_in_its_folder_and_the_rows_stay(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc") as here:
        for name in ("one.txt", "two.txt"):
            await here.queue.add(Order(name), name.encode())
        session = await here.queue.open(most=1, wait=False)
        await here.queue.served(session)
        await here.queue.tick()
        assert here.records.forget(here.now[0] - timedelta(days=7)) == 0
        here.later(days=8)
        assert here.records.forget(here.now[0] - timedelta(days=7)) == 1
        assert here.records.find(1).state is RecordState.SIGNED
        assert here.records.content(2) == b"two.txt"
        with pytest.raises(AgentError) as raised:
            here.records.content(1)
        assert raised.value.error_id == ErrorId.QUEUE_UNKNOWN


async def test_no_pin_is_in_the_journal_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    async with ward(tmp_path, "hpc", person=ScriptedInteraction(pins=["123456"])) as here:
        await here.queue.add(Order("note.txt", DOCTOR), b"note")
        session = await here.queue.open(wait=False)
        assert await here.queue.served(session) == 1
        files = [each for each in here.world.paths.home.iterdir() if each.name.startswith("queue.sqlite")]
        assert files
        for file in files:
            assert b"123456" not in file.read_bytes()
            assert os.name == "nt" or file.stat().st_mode & 0o077 == 0


def sign_until_killed(folder: Path) -> None:
    """Sign what waits, as a new agent does after each crash; for a process of its own."""

    async def work() -> None:
        async with ward(folder, "hpc") as here:
            session = await here.queue.open(wait=False)
            await here.queue.served(session)
            await here.queue.tick()

    asyncio.run(work())
    os._exit(0)


@pytest.mark.slow
@not_on_windows("processes are forked")
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS forks no process that has threads")
def test_killed_in_the_middle_of_signing_each_record_gets_one_signature_and_one_whole_file(
    tmp_path: Path,
) -> None:
    simulator_ca()
    journal = Paths(tmp_path / "home", tmp_path / "machine").make().queue
    with Records(journal, 1000) as records:
        for number in range(40):
            records.add(Order(f"{number}.txt"), b"%d" % number, datetime.now(UTC), timedelta(hours=24))
    fork, chance, kills = multiprocessing.get_context("fork"), random.Random(16), 0

    def waiting() -> int:
        with Records(journal, 1000) as records:  # never open while a process is forked
            return records.counts(MORNING, timedelta()).waiting

    while left := waiting():
        signer = fork.Process(target=sign_until_killed, args=(tmp_path,))
        signer.start()
        enough = left - chance.randrange(1, 8)
        until_sync(lambda: not signer.is_alive() or waiting() <= enough, "nothing is signed")  # noqa: B023
        signer.kill()
        signer.join()
        kills += signer.exitcode != 0
    assert kills >= 4, "it was killed too seldom to prove anything"
    last = fork.Process(target=sign_until_killed, args=(tmp_path,))  # what was signed is delivered
    last.start()
    last.join()
    with Records(journal, 1000) as records:
        found = list(records.all())
        assert [len(record.signatures) for record in found] == [1] * 40
        assert {each.name for each in (tmp_path / "results").iterdir()} == {each.result for each in found}
        for record in found:
            document = (tmp_path / "results" / record.result).read_bytes()
            assert document == records.content(record.number)
            assert [each.verdict for each in verified(document).signatures] == [Verdict.VALID]
