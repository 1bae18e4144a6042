"""One thread behind the event loop; what a reader's worker adds is in test_agent_workers.py."""

from __future__ import annotations

import asyncio
import threading
import traceback

import pytest

from agent.errors import AgentError
from agent.threads import GivenUp, OneThread
from tests.support.waiting import LIMIT


class Ended:
    """Notes in which thread it was called."""

    def __init__(self) -> None:
        self.thread: int | None = None

    def __call__(self) -> None:
        self.thread = threading.get_ident()


def ident(_given_up: GivenUp) -> int:
    return threading.get_ident()


async def test_its_end_comes_in_the_very_thread_that_did_the_work() -> None:
    ended = Ended()
    thread = OneThread("test", ended)
    worked = await thread.submit(ident, LIMIT)
    assert ended.thread is None
    thread.close()
    await asyncio.to_thread(thread.join, LIMIT)
    assert ended.thread == worked != threading.get_ident()


async def test_where_there_was_no_work_there_is_no_thread_to_end() -> None:
    ended = Ended()
    thread = OneThread("never begun", ended)
    thread.close()
    thread.join(LIMIT)
    assert "never begun" not in [each.name for each in threading.enumerate()]
    assert ended.thread is None


async def test_work_after_the_end_is_refused_at_once() -> None:
    thread = OneThread("test", Ended())
    thread.close()
    with pytest.raises(RuntimeError):
        await thread.submit(ident, LIMIT)


async def test_work_taken_before_the_end_is_still_done() -> None:
    thread = OneThread("test", Ended())
    let_on = threading.Event()
    first = thread.submit(lambda _given_up: let_on.wait(LIMIT), LIMIT)
    second = thread.submit(ident, LIMIT)
    await asyncio.sleep(0)
    thread.close()
    let_on.set()
    assert await first
    assert await second


async def test_silence_ends_the_wait_and_the_work_is_told() -> None:
    thread = OneThread("test", Ended())
    let_on, told = threading.Event(), []

    def work(given_up: GivenUp) -> None:
        told.append(given_up())
        let_on.wait(LIMIT)
        told.append(given_up())

    with pytest.raises(AgentError) as caught:
        await thread.submit(work, 0.05)
    assert caught.value.error_id == "card.timeout"
    let_on.set()
    assert await thread.submit(ident, LIMIT)
    assert told == [False, True]
    thread.close()


async def test_work_given_up_in_the_queue_is_told_before_it_begins() -> None:
    thread = OneThread("test", Ended())
    let_on, told = threading.Event(), []
    first = thread.submit(lambda _given_up: let_on.wait(LIMIT), LIMIT)
    second = thread.submit(lambda given_up: told.append(given_up()), LIMIT)
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    let_on.set()
    await first
    await thread.submit(ident, LIMIT)
    assert told == [True]
    thread.close()


async def test_what_was_done_is_heard_of_although_nobody_waits_and_what_failed_is_not() -> None:
    thread = OneThread("test", Ended())
    begun, let_on, heard = threading.Event(), threading.Event(), []

    def work(_given_up: GivenUp) -> str:
        begun.set()
        let_on.wait(LIMIT)
        return "done"

    def fail(_given_up: GivenUp) -> str:
        raise ZeroDivisionError

    leaving = thread.submit(work, LIMIT, heard.append)
    assert await asyncio.to_thread(begun.wait, LIMIT)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert heard == []
    let_on.set()
    with pytest.raises(ZeroDivisionError):
        await thread.submit(fail, LIMIT, heard.append)
    assert heard == ["done"]
    thread.close()


async def test_what_failing_work_had_in_its_variables_is_gone_before_anybody_sees_the_error() -> None:
    thread = OneThread("test", Ended())

    def work(_given_up: GivenUp) -> None:
        octets = b"123456"
        raise ValueError(len(octets))

    with pytest.raises(ValueError, match="6") as caught:
        await thread.submit(work, LIMIT)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "123456" not in "".join(shown.format())
    thread.close()


def test_a_loop_that_has_ended_is_told_nothing() -> None:
    thread = OneThread("test", Ended())
    let_on = threading.Event()

    async def give_up() -> None:
        thread.submit(lambda _given_up: let_on.wait(LIMIT), LIMIT).cancel()

    async def work() -> int:
        return await thread.submit(ident, LIMIT)

    asyncio.run(give_up())
    let_on.set()
    assert asyncio.run(work())
    thread.close()
