"""A batch whose cards are elsewhere: each document has one signed file, whatever is killed in between."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from agent.audit import AuditLog, AuditRow
from agent.batch.engine import Engine, Outcome, Progress, Summary
from agent.batch.files import FileBatch, FileItem
from agent.batch.listing import entries_of_folder
from agent.broker.connection import Broker, open_broker
from agent.broker.messages import TAKEN, Job, Signed, packed
from agent.broker.submit import RemoteCards, Submission, Submitted, submission
from agent.config import AuditSettings
from agent.errors import AgentError, ErrorId
from agent.vocabulary import Verb
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.verification.reading import read
from tests.support.batches import PLAIN, documents
from tests.support.brokers import job, key_of, working
from tests.support.nats_server import NatsServer
from tests.support.operations import OWN, World, agent
from tests.support.waiting import until_async


@contextmanager
def batch_of(folder: Path) -> Iterator[tuple[FileBatch, Submission]]:
    """The batch of a folder, declared or gone on with."""
    outputs = folder / "signed"
    with FileBatch(folder, outputs, "the folder") as files:
        resumed = files.unfinished()
        if resumed:
            files.resume(asked=True)
        else:
            files.declare(entries_of_folder(folder, PLAIN, outputs), 10_000)
        yield files, submission(outputs, resumed=resumed)


def audit_of(files: FileBatch) -> AuditLog:
    return AuditLog(files.folder.parent / "audit.jsonl", AuditSettings())


async def submit(
    files: FileBatch, named: Submission, broker: Broker, *cards: str, stop_after: int = 0
) -> tuple[Summary, list[Outcome[FileItem]]]:
    outcomes: list[Outcome[FileItem]] = []

    def report(outcome: Outcome[FileItem], _progress: Progress) -> None:
        outcomes.append(outcome)
        if len(outcomes) == stop_after:
            engine.stop()
            remote.withdraw()

    done, of = files.counts()
    async with RemoteCards(broker, named, cards, lambda _zh, _en: None, audit_of(files)) as remote:
        submitted = Submitted(files, remote)
        engine = Engine(submitted, of - done, report)
        return await engine.run(submitted.lanes(len(cards))), outcomes


@asynccontextmanager
async def world_of(folder: Path, kind: str) -> AsyncIterator[World]:
    async with agent(folder / kind, kind) as world:
        yield world


@asynccontextmanager
async def at(server: NatsServer) -> AsyncIterator[Broker]:
    async with open_broker(server.settings, "submit") as broker:
        await broker.prepare()
        yield broker


def verified(folder: Path, count: int, certificates: set[bytes]) -> None:
    """Every document has one signature, which holds."""
    assert len(list((folder / "signed").glob("*.sig"))) == count
    for document in folder.glob("*.txt"):
        signature = (folder / "signed" / f"{document.name}.sig").read_bytes()
        assert any(
            found.intact
            for certificate in certificates
            for found in read(
                document.read_bytes(), signature, certificate=certificate, algorithm=Hash.SHA_256
            ).signatures
        )


@pytest.mark.slow
async def test_a_folder_is_signed_by_two_cards_that_share_it(
    tmp_path: Path, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a card may say nothing for a second: what it has is not to be given to the other.
    monkeypatch.setattr("agent.broker.submit.QUIET_SECONDS", 60.0)
    documents(tmp_path / "records", 40)
    async with (
        world_of(tmp_path, "hpc") as one,
        world_of(tmp_path, "hop") as two,
        working(one, server.settings) as first,
        working(two, server.settings) as second,
        at(server) as broker,
    ):
        with batch_of(tmp_path / "records") as (files, named):
            summary, outcomes = await submit(files, named, broker, first.card, second.card)
        assert [each.error for each in outcomes if each.error] == []
        assert (summary.done, summary.failed, summary.stopped) == (40, 0, None)
        certificates = {each.signed.certificate for each in outcomes if each.signed is not None}
        assert len(certificates) == 2
        rows = audit_of(files).read(100)
        assert len(rows) == 40 and all(row.elsewhere for row in rows)
        theirs = [row for world in (one, two) for row in world.audit() if row.verb is Verb.SIGN]
        assert {(row.time, row.session) for row in rows} == {(row.time, row.session) for row in theirs}
        verified(tmp_path / "records", 40, certificates)
        assert first.worker.signed + second.worker.signed == 40
        assert min(first.worker.signed, second.worker.signed) >= 4
        await first.idle()
        standing = await broker._stream.stream_info(broker._results)
        assert standing.state.bytes < 40 * 300, "the broker still has documents"


@pytest.mark.slow
async def test_a_batch_that_is_stopped_goes_on_and_signs_nothing_twice(
    tmp_path: Path, server: NatsServer
) -> None:
    documents(tmp_path / "records", 60)
    async with (
        world_of(tmp_path, "hpc") as world,
        working(world, server.settings) as at_work,
        at(server) as broker,
    ):
        with batch_of(tmp_path / "records") as (files, named):
            first, _ = await submit(files, named, broker, at_work.card, stop_after=10)
        assert isinstance(first.stopped, AgentError) and first.stopped.error_id is ErrorId.BATCH_CANCELLED
        assert 10 <= first.done < 60
        await at_work.idle()
        with batch_of(tmp_path / "records") as (files, again):
            second, outcomes = await submit(files, again, broker, at_work.card)
        assert (again.batch, again.run) == (named.batch, 2)
        assert first.done + second.done == 60
        assert at_work.worker.signed == 60
        certificate = outcomes[0].signed
        assert certificate is not None
        verified(tmp_path / "records", 60, {certificate.certificate})


@pytest.mark.slow
async def test_a_broker_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    tmp_path: Path, server: NatsServer
) -> None:
    documents(tmp_path / "records", 60)
    async with (
        world_of(tmp_path, "hpc") as world,
        working(world, server.settings) as at_work,
        at(server) as broker,
    ):
        with batch_of(tmp_path / "records") as (files, named):
            running = asyncio.create_task(submit(files, named, broker, at_work.card))
            for wanted in (5, 30):
                await until_async(lambda wanted=wanted: at_work.worker.signed >= wanted, "no progress")
                server.kill()
                server.start()
            summary, _ = await running
        assert (summary.done, summary.failed) == (60, 0)
        assert at_work.worker.signed == 60


async def test_items_of_a_card_that_nobody_holds_go_to_the_other(tmp_path: Path, server: NatsServer) -> None:
    documents(tmp_path / "records", 30)
    async with (
        world_of(tmp_path, "hpc") as world,
        working(world, server.settings) as at_work,
        at(server) as broker,
    ):
        # Somebody held it once, and died with a job of it.
        jobs = await broker.jobs("f" * 32, 4)
        await broker.put_job("f" * 32, "e" * 32, "1", b"x")
        assert await jobs.next() is not None
        await jobs.close()
        with batch_of(tmp_path / "records") as (files, named):
            summary, _ = await submit(files, named, broker, "f" * 32, at_work.card)
        assert (summary.done, at_work.worker.signed) == (30, 30)


async def test_an_error_of_a_document_comes_back_and_the_rest_is_signed(
    tmp_path: Path, server: NatsServer
) -> None:
    documents(tmp_path / "records", 3)
    (tmp_path / "records" / "large.txt").write_bytes(bytes(700_000))
    (tmp_path / "records" / "login.txt").write_bytes(b"\x30" * 32 + b"\x31" * 32)
    async with (
        world_of(tmp_path, "hpc") as world,
        working(world, server.settings) as at_work,
        at(server) as broker,
    ):
        with batch_of(tmp_path / "records") as (files, named):
            summary, _ = await submit(files, named, broker, at_work.card)
            wrong = dict(files.failures())
        assert wrong["large.txt"] == ErrorId.JOB_TOO_LARGE
        assert summary.done == 5 - len(wrong)


def signed_by_somebody(work: Job) -> Signed:
    row = AuditRow(
        time=work.made, origin=None, verb=Verb.SIGN, card="", certificate="", result="ok", simulated=True
    )
    digest = hashlib.sha256(work.document).digest()
    return Signed(item=work.item, document=b"x" * 256, certificate=b"0", digest=digest, audit=row)


@pytest.mark.parametrize(
    "reply",
    [
        *("nonsense", "no signature", "another card", "another document", "what the card signed before"),
        *("another format", "a failure nobody knows", "a mark"),
    ],
)
async def test_what_others_put_in_the_place_of_a_result_is_never_written(
    tmp_path: Path, server: NatsServer, reply: str
) -> None:
    [document] = documents(tmp_path / "records", 1)
    async with world_of(tmp_path, "hpc") as world, at(server) as broker:
        key, jobs = await key_of(world), await broker.jobs("f" * 32, 4)
        certificate = (await world.operations.certificate(OWN, 1)).der
        before = await world.operations.sign_document(OWN, Cades(detached=False), b"quite another record")
        otherwise = await world.operations.sign_document(OWN, Cades(), document.read_bytes())

        async def pretend() -> None:
            while (message := await jobs.next()) is None:
                pass
            work = msgspec.msgpack.decode(message.data, type=Job)
            honest = signed_by_somebody(work)
            lies: dict[str, bytes] = {
                "nonsense": b"\xc1",
                "no signature": packed(msgspec.structs.replace(honest, certificate=certificate)),
                "another card": packed(honest),
                "another document": packed(
                    msgspec.structs.replace(honest, certificate=certificate, digest=bytes(32))
                ),
                "what the card signed before": packed(
                    msgspec.structs.replace(honest, certificate=certificate, document=before.document)
                ),
                "another format": packed(
                    msgspec.structs.replace(honest, certificate=certificate, document=otherwise.document)
                ),
                "a failure nobody knows": msgspec.msgpack.encode(
                    {"type": "failed", "item": work.item, "error": "\x1b[2J"}
                ),
                "a mark": TAKEN,
            }
            await broker.put_result(work.batch, work.item, lies[reply], after=0)
            if reply == "a mark":
                await asyncio.sleep(0.5)
                place = (await broker.result(work.batch, work.item))[0]
                await broker.put_result(work.batch, work.item, b"\xc1", after=place)

        liar = asyncio.create_task(pretend())
        with batch_of(tmp_path / "records") as (files, named):
            summary, _ = await submit(files, named, broker, "f" * 32, key)
            [(_, error)] = files.failures()
        await liar
        assert (summary.done, summary.failed) == (0, 1)
        assert error in {ErrorId.JOB_OUTCOME, ErrorId.INTERNAL}
        assert not (tmp_path / "records" / "signed" / f"{document.name}.sig").exists()
        async with working(world, server.settings) as at_work:
            with batch_of(tmp_path / "records") as (files, named):
                again, _ = await submit(files, named, broker, at_work.card)
        assert (again.done, again.failed) == (1, 0)


async def test_what_was_stored_and_is_gone_is_not_signed_anew_unasked(
    tmp_path: Path, server: NatsServer
) -> None:
    [document] = documents(tmp_path / "records", 1)
    async with at(server) as broker:
        with batch_of(tmp_path / "records") as (_, named):
            pass
        work = job(1, batch=named.batch, name=document.name, document=document.read_bytes())
        await broker.put_result(named.batch, work.item, TAKEN, after=0)
        with batch_of(tmp_path / "records") as (files, again):
            summary, _ = await submit(files, again, broker, "f" * 32)
            assert files.failures() == [(document.name, ErrorId.JOB_TAKEN)]
        assert summary.failed == 1
        place, mark = await broker.result(named.batch, work.item)
        assert (place > 0, mark) == (True, TAKEN)


@pytest.mark.parametrize("text", ["", "{}", '{"batch":"../x"}', '{"batch":"%s","run":"x"}' % ("a" * 32)])
def test_a_torn_note_of_the_name_begins_a_new_one(tmp_path: Path, text: str) -> None:
    (tmp_path / ".hca-agent-submit.json").write_text(text)
    assert submission(tmp_path, resumed=True).run == 1


def test_names_at_the_broker_cannot_be_guessed_and_stay_the_same(tmp_path: Path) -> None:
    first = submission(tmp_path, resumed=False)
    again = submission(tmp_path, resumed=True)
    assert (again.batch, again.run) == (first.batch, 2)
    assert submission(tmp_path, resumed=False).batch != first.batch
    assert len(first.batch) == 32
    assert (tmp_path / ".hca-agent-submit.json").stat().st_mode & 0o777 == 0o600
