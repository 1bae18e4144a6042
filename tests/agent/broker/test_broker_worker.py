"""A worker at a real broker signs what its own card has to sign, once, whatever happens in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.batch.choice import Choice
from agent.broker.connection import Broker, lasting
from agent.broker.messages import FAILED_BEFORE, TAKEN, Failed, Signed, now, packed
from agent.broker.outcomes import Outcomes
from agent.errors import AgentError, ErrorId
from agent.interaction.scripted import ScriptedInteraction
from hca_card.errors import PinWrongError
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verify import verify
from tests.support.brokers import BATCH, job, working
from tests.support.nats_server import NatsServer
from tests.support.operations import PIN, World, agent


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=[PIN] * 3)) as made:
        yield made


def signatures(world: World) -> int:
    """How often the card was made to sign."""
    return sum(row.verb == "sign" and row.result == "ok" for row in world.audit())


async def test_jobs_are_signed_in_one_session_and_their_audit_rows_come_back(
    world: World, server: NatsServer
) -> None:
    jobs = [job(number) for number in range(1, 21)]
    async with working(world, server.settings) as at_work:
        await at_work.put(*jobs)
        for each in jobs:
            outcome = await at_work.outcome(each.item)
            assert isinstance(outcome, Signed)
            verify(outcome.certificate, each.document, outcome.document, Hash.SHA_256)
            assert outcome.audit in world.audit()
        await at_work.idle()
    assert len(world.pins_asked()) == 1
    assert signatures(world) == 20
    assert (world.paths.home / "worker.sqlite").stat().st_mode & 0o777 == 0o600


async def test_a_job_that_comes_again_finds_its_result_and_is_not_signed_again(
    world: World, server: NatsServer
) -> None:
    one, taken, failed = job(1), job(2), job(3)
    async with working(world, server.settings) as at_work:
        await at_work.put(one)
        first = await at_work.outcome(one.item)
        await at_work.broker.put_result(BATCH, taken.item, TAKEN, after=0)
        await at_work.broker.put_result(BATCH, failed.item, FAILED_BEFORE, after=0)
        for each in (one, taken, failed):
            await at_work.broker.put_job(at_work.card, BATCH, f"again {each.item}", packed(each))
        await at_work.idle()
        assert await at_work.outcome(one.item) == first
        assert (await at_work.broker.result(BATCH, taken.item))[1] == TAKEN
        assert isinstance(await at_work.outcome(failed.item), Signed)
    assert signatures(world) == 2


async def test_what_was_signed_and_not_stored_is_stored_and_not_signed_again(
    world: World, server: NatsServer
) -> None:
    """The worker is killed between its journal and the broker."""
    one = job()

    class Dying:
        def __init__(self, broker: Broker) -> None:
            self._broker = broker

        def __getattr__(self, name: str) -> Any:
            return getattr(self._broker, name)

        async def put_result(self, *_words: object, **_options: object) -> bool:
            raise AgentError(ErrorId.BROKER_UNUSABLE)

    async with working(world, server.settings, through=Dying) as at_work:  # type: ignore[arg-type]
        await at_work.put(one)
        assert at_work.task is not None
        with pytest.raises(AgentError):
            await at_work.task
    assert signatures(world) == 1
    async with working(world, server.settings) as at_work:
        assert isinstance(await at_work.outcome(one.item), Signed)
        await at_work.idle()
    assert signatures(world) == 1
    with Outcomes(world.paths.home) as outcomes:
        assert outcomes.find(one.item) is None


async def test_a_worker_takes_the_jobs_of_its_own_card_alone(world: World, server: NatsServer) -> None:
    mine, foreign = job(1), job(2)
    async with working(world, server.settings) as at_work:
        await lasting(
            at_work.broker, lambda: at_work.broker.put_job("f" * 32, BATCH, "foreign", packed(foreign))
        )
        await at_work.put(mine)
        await at_work.outcome(mine.item)
        assert await at_work.broker.result(BATCH, foreign.item) == (0, b"")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"document": b""}, None),
        ({"choice": Choice(format=SignatureFormat.PADES)}, ErrorId.DOCUMENT_UNUSABLE),
        ({"made": now() - timedelta(days=4)}, ErrorId.JOB_EXPIRED),
        ({"made": now() + timedelta(days=4)}, ErrorId.JOB_EXPIRED),
        ({"document": bytes(700_000)}, ErrorId.JOB_TOO_LARGE),
    ],
    ids=["an empty one", "no PDF", "too old", "from the future", "too large"],
)
async def test_a_job_that_cannot_be_done_is_answered_in_words_once(
    world: World, server: NatsServer, changed: dict[str, Any], error: ErrorId | None
) -> None:
    one = job(**changed)
    async with working(world, server.settings) as at_work:
        await at_work.put(one)
        outcome = await at_work.outcome(one.item)
        await at_work.idle()
    if error is None:
        assert isinstance(outcome, Signed)
    else:
        assert isinstance(outcome, Failed) and outcome.error == error
        assert signatures(world) == 0


@pytest.mark.parametrize(
    "tampering", ["no message", "an unknown member", "another batch", "a path for a name"]
)
async def test_poison_is_answered_by_what_it_was_and_never_comes_again(
    world: World, server: NatsServer, tampering: str
) -> None:
    import hashlib

    members = msgspec.msgpack.decode(packed(job()))
    data = {
        "no message": b"\xc1",
        "an unknown member": msgspec.msgpack.encode({**members, "pin": "123456"}),
        "another batch": msgspec.msgpack.encode({**members, "batch": "f" * 32}),
        "a path for a name": msgspec.msgpack.encode({**members, "name": "../../x"}),
    }[tampering]
    async with working(world, server.settings) as at_work:
        await at_work.broker.put_job(at_work.card, BATCH, "poison", data)
        outcome = await at_work.outcome(hashlib.sha256(data).hexdigest())
        assert isinstance(outcome, Failed) and outcome.error == ErrorId.JOB_INVALID
        await at_work.idle()
        good = job(2)
        await at_work.put(good)
        assert isinstance(await at_work.outcome(good.item), Signed)
    assert signatures(world) == 1


async def test_a_job_that_breaks_whoever_takes_it_is_given_up(world: World, server: NatsServer) -> None:
    one = job()
    async with working(world, server.settings) as at_work:
        assert at_work.task is not None
        at_work.worker.stop()
        await at_work.task
        jobs = await at_work.broker.jobs(at_work.card, 4)
        await at_work.put(one)
        for _ in range(5):
            message = await jobs.next()
            assert message is not None
            await message.again()
    async with working(world, server.settings) as at_work:
        outcome = await at_work.outcome(one.item)
    assert isinstance(outcome, Failed) and outcome.error == ErrorId.JOB_GIVEN_UP
    assert signatures(world) == 0


async def test_a_session_that_is_used_up_is_opened_anew_by_its_person_and_nothing_is_lost(
    world: World, server: NatsServer
) -> None:
    jobs = [job(number) for number in range(1, 11)]
    async with working(world, server.settings, most=4) as at_work:
        await at_work.put(*jobs)
        for each in jobs:
            assert isinstance(await at_work.outcome(each.item), Signed)
        await at_work.says("all the signatures agreed on")
    assert len(world.pins_asked()) == 3
    assert all(question.terms is not None and question.terms.most == 4 for question in world.pins_asked())
    assert signatures(world) == 10


async def test_a_card_that_is_pulled_ends_it_and_its_jobs_wait_until_it_is_back(
    world: World, server: NatsServer
) -> None:
    first, second = job(1), job(2)
    async with working(world, server.settings) as at_work:
        await at_work.put(first)
        await at_work.outcome(first.item)
        world.reader.remove()
        await at_work.says("the card was pulled")
        await at_work.put(second)
        world.reader.insert(world.card)
        assert isinstance(await at_work.outcome(second.item), Signed)
    assert len(world.pins_asked()) == 2


async def test_a_person_who_gives_no_pin_again_ends_it(tmp_path: Path, server: NatsServer) -> None:
    async with (
        agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=[PIN])) as world,
        working(world, server.settings, most=1) as at_work,
    ):
        await at_work.put(job(1), job(2))
        assert at_work.task is not None
        with pytest.raises(AgentError) as info:
            await at_work.task
        assert info.value.error_id is ErrorId.PIN_CANCELLED
        stored = [await at_work.broker.result(BATCH, job(number).item) for number in (1, 2)]
        assert sum(bool(content) for _place, content in stored) == 1, "whichever came to the card first"
    assert signatures(world) == 1
    assert world.tries == 3


async def test_a_wrong_pin_ends_it_and_no_second_try_is_spent(tmp_path: Path, server: NatsServer) -> None:
    async with (
        agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=["999999", PIN])) as world,
        working(world, server.settings) as at_work,
    ):
        await at_work.put(job())
        assert at_work.task is not None
        with pytest.raises(PinWrongError):
            await at_work.task
        assert world.tries == 2


async def test_a_broker_that_is_killed_and_started_again_changes_nothing(
    world: World, server: NatsServer
) -> None:
    jobs = [job(number) for number in range(1, 31)]
    async with working(world, server.settings) as at_work:
        await at_work.put(*jobs)
        await at_work.outcome(jobs[0].item)
        server.kill()
        server.start()
        for each in jobs:
            assert isinstance(await at_work.outcome(each.item), Signed)
    assert signatures(world) == 30


async def test_what_stands_under_no_batch_is_thrown_away_and_a_flood_of_it_stops_nobody(
    world: World, server: NatsServer
) -> None:
    good = job()
    async with working(world, server.settings) as at_work:
        for number in range(200):
            await at_work.broker.put_job(at_work.card, f"flood-{number}", str(number), bytes(number))
        await at_work.put(good)
        assert isinstance(await at_work.outcome(good.item), Signed)
        await at_work.idle()
        standing = await at_work.broker._stream.stream_info(at_work.broker._results)
        assert standing.state.messages == 1
