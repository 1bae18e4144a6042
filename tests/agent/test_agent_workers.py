from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from agent.config import CardSettings
from agent.errors import AgentError
from agent.slots.pcsc import PcscSlot, PcscVisit
from agent.workers import ReaderWorker, Workers
from pcsc.apdu import Command
from pcsc.connection import Connection
from pcsc.errors import NoCardError, PcscError, ReaderUnavailableError, ServiceUnavailableError
from pcsc.service import Service
from pcsc.virtual import VirtualReader, VirtualWinscard
from tests.support.cards import simulated
from tests.support.waiting import LIMIT, until_async

NAME = "ACS ACR39U 00 00"


class World:
    def __init__(self, limits: CardSettings) -> None:
        self.winscard = VirtualWinscard()
        self.service = Service(self.winscard)
        self.reader: VirtualReader = self.winscard.add_reader(NAME)
        self.reader.insert(simulated("nhi"))
        self.worker = ReaderWorker(NAME, PcscSlot(self.service, NAME), limits)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(CardSettings(seconds=30, queue=4, queue_per_origin=2))
    yield world
    world.worker.close()


def atr(visit: PcscVisit) -> bytes:
    return visit.atr


class Gate:
    """A job that says when it has begun and waits to be let on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.done = threading.Event()

    def __call__(self, visit: PcscVisit) -> str:
        self.begun.set()
        assert self.go.wait(LIMIT)
        visit.transaction.send(Command(0x00, 0xCA, 0x11, 0x00, b"\x00\x00", le=256))
        self.done.set()
        return "done"


async def begun(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.begun.wait, LIMIT)


async def one_at_work_and_one_waiting(
    run: Callable[[Callable[[PcscVisit], object]], Coroutine[Any, Any, object]],
) -> tuple[Gate, asyncio.Task[object], asyncio.Task[object]]:
    gate = Gate()
    first = asyncio.ensure_future(run(gate))
    await begun(gate)
    second = asyncio.ensure_future(run(atr))
    await asyncio.sleep(0)
    return gate, first, second


async def test_a_job_has_the_card_to_itself_and_gives_its_result(world: World) -> None:
    assert await world.worker.run(atr)


async def test_what_a_job_raises_reaches_whoever_waits(world: World) -> None:
    def fail(_visit: PcscVisit) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.worker.run(fail)
    assert await world.worker.run(atr)


async def test_all_jobs_of_a_reader_run_in_one_thread_which_is_not_the_event_loops(world: World) -> None:
    threads = {await world.worker.run(lambda _visit: threading.get_ident()) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_the_event_loop_runs_on_while_a_job_works(world: World) -> None:
    gate = Gate()
    job = asyncio.ensure_future(world.worker.run(gate))
    await begun(gate)
    await asyncio.sleep(0)  # would never come back if the job held the loop: it waits for the gate
    assert not job.done()
    gate.go.set()
    assert await job == "done"


async def test_a_job_given_up_in_the_queue_is_never_begun(world: World) -> None:
    gate, second = Gate(), Gate()
    first = asyncio.ensure_future(world.worker.run(gate))
    await begun(gate)
    waiting = asyncio.ensure_future(world.worker.run(second))
    await until_async(lambda: world.worker._waiting.total() == 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.go.set()
    await first
    await world.worker.run(atr)
    assert not second.begun.is_set()


async def test_a_job_given_up_while_another_program_has_the_card_is_never_begun(world: World) -> None:
    gate = Gate()
    with world.service.context() as context, Connection(context, NAME) as other, other.transaction():
        waiting = asyncio.ensure_future(world.worker.run(gate))
        await asyncio.sleep(0.05)  # nothing may begin meanwhile
        assert not gate.begun.is_set()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await world.worker.run(atr)
    assert not gate.begun.is_set()


async def test_a_job_given_up_in_its_middle_runs_to_its_end_and_spoils_nothing(world: World) -> None:
    gate = Gate()
    job = asyncio.ensure_future(world.worker.run(gate))
    await begun(gate)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert job.cancelled()
    gate.go.set()
    assert await world.worker.run(atr)
    assert gate.done.is_set()


async def test_waiting_for_another_program_ends_when_the_time_is_over() -> None:
    world = World(CardSettings(seconds=1))
    with world.service.context() as context, Connection(context, NAME) as other, other.transaction():
        with pytest.raises(AgentError) as caught:
            await world.worker.run(atr)
        assert caught.value.error_id == "card.timeout"
    world.worker._limits = CardSettings()
    assert await world.worker.run(atr)
    world.worker.close()


async def test_one_origin_cannot_fill_the_queue_and_all_of_them_not_for_ever(world: World) -> None:
    gate = Gate()
    tasks = [asyncio.ensure_future(world.worker.run(gate, origin="https://a.example"))]
    await begun(gate)
    tasks.append(asyncio.ensure_future(world.worker.run(atr, origin="https://a.example")))
    await asyncio.sleep(0)
    with pytest.raises(AgentError) as caught:
        await world.worker.run(atr, origin="https://a.example")
    assert caught.value.error_id == "busy"
    tasks += [
        asyncio.ensure_future(world.worker.run(atr, origin=origin)) for origin in ("https://b.example", None)
    ]
    await asyncio.sleep(0)
    with pytest.raises(AgentError):
        await world.worker.run(atr, origin="https://c.example")
    gate.go.set()
    await asyncio.gather(*tasks)
    assert await world.worker.run(atr, origin="https://a.example")


async def test_a_restarted_service_is_met_with_a_new_context(world: World) -> None:
    assert await world.worker.run(atr)
    world.winscard.stop_service()
    with pytest.raises(ServiceUnavailableError):
        await world.worker.run(atr)
    world.winscard.start_service()
    assert await world.worker.run(atr)


async def test_a_service_restarted_unnoticed_costs_nothing(world: World) -> None:
    assert await world.worker.run(atr)
    world.winscard.stop_service()
    world.winscard.start_service()
    assert await world.worker.run(atr)


async def test_a_service_that_stops_in_the_middle_is_no_reason_to_do_the_job_twice(world: World) -> None:
    runs = []

    def job(visit: PcscVisit) -> None:
        runs.append(1)
        world.winscard.stop_service()
        world.winscard.start_service()
        visit.transaction.send(Command(0x00, 0xCA, 0x11, 0x00, b"\x00\x00", le=256))

    with pytest.raises(PcscError):
        await world.worker.run(job)
    assert runs == [1]


async def test_an_empty_reader_is_no_card_and_the_next_one_is_served(world: World) -> None:
    world.reader.remove()
    with pytest.raises(NoCardError):
        await world.worker.run(atr)
    world.reader.insert(simulated("nhi"))
    assert await world.worker.run(atr)


async def test_what_waits_for_a_reader_that_goes_fails_by_name(world: World) -> None:
    workers = Workers(partial(PcscSlot, world.service), CardSettings())
    gate, first, second = await one_at_work_and_one_waiting(workers.of(NAME).run)
    workers.keep_only(())
    gate.go.set()
    assert await first == "done"
    with pytest.raises(ReaderUnavailableError):
        await second
    assert await workers.of(NAME).run(atr)
    workers.close()


async def test_news_of_a_reader_that_has_come_back_since_costs_no_job(world: World) -> None:
    workers = Workers(partial(PcscSlot, world.service), CardSettings())
    gate, first, second = await one_at_work_and_one_waiting(partial(workers.run, NAME))
    workers.keep_only(())
    gate.go.set()
    assert await first == "done"
    assert await second
    workers.close()


async def test_what_waits_when_all_ends_is_not_begun_anew(world: World) -> None:
    workers = Workers(partial(PcscSlot, world.service), CardSettings())
    gate, first, second = await one_at_work_and_one_waiting(partial(workers.run, NAME))
    workers.close()
    gate.go.set()
    assert await first == "done"
    with pytest.raises(ReaderUnavailableError):
        await second
    assert not workers.known(NAME)


async def test_other_programs_are_let_at_the_card_between_jobs(world: World) -> None:
    await world.worker.run(atr)
    with world.service.context() as context, Connection(context, NAME, exclusive=True) as other:
        assert other.atr


async def test_a_reader_is_known_once_visited_and_as_long_as_it_neither_hangs_nor_goes() -> None:
    world = World(CardSettings())
    workers = Workers(partial(PcscSlot, world.service), CardSettings())
    assert not workers.known(NAME)
    await workers.of(NAME).run(atr)
    assert workers.known(NAME)
    gate = Gate()
    hanging = asyncio.ensure_future(workers.of(NAME).run(gate))
    await begun(gate)
    assert not workers.known(NAME)
    gate.go.set()
    await hanging
    assert workers.known(NAME)
    workers.keep_only(())
    assert not workers.known(NAME)
    world.worker.close()


async def test_a_thread_that_cannot_begin_keeps_no_place_in_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        for _ in range(5):
            with pytest.raises(RuntimeError):
                await world.worker.run(atr)
    assert await world.worker.run(atr)
