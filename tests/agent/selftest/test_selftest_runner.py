"""The runner: isolation, streaming, what is skipped and why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from agent.errors import AgentError, ErrorId
from agent.selftest.context import ProbeContext
from agent.selftest.model import Bilingual, Finding, Group, Probe, ResultRow, RowStatus, passed, warned
from agent.selftest.runner import run
from pcsc.errors import CardRemovedError
from tests.support.log import Log
from tests.support.selftest import short


class Nothing:
    """A context for probes that need none."""

    closed = False

    def close(self) -> None:
        self.closed = True


def probe(name: str, run: Callable[[ProbeContext], Awaitable[Finding]], **more: Any) -> Probe:
    return Probe(f"host.{name}", Bilingual(name, name.upper()), run, **more)


async def good(_: ProbeContext) -> Finding:
    return passed("好", "good")


async def warning(_: ProbeContext) -> Finding:
    return warned(ErrorId.AUTOSTART_OFF, "關", "off")


def raising(error: Exception) -> Callable[[ProbeContext], Awaitable[Finding]]:
    async def fail(_: ProbeContext) -> Finding:
        raise error

    return fail


async def rows(*probes: Probe, context: Nothing | None = None) -> list[ResultRow]:
    async with aclosing(run(probes, cast("ProbeContext", context or Nothing()))) as finished:
        return [row async for row in finished]


async def test_what_one_probe_raises_never_hides_another() -> None:
    done = await rows(
        probe("a", raising(AgentError(ErrorId.BUSY))),
        probe("b", raising(RuntimeError("unforeseen"))),
        probe("c", good),
    )
    assert [short(row) for row in done] == ["fail busy", "fail internal", "pass"]


async def test_the_words_of_an_unforeseen_exception_are_not_logged(caplog: Log) -> None:
    with caplog.at_level(logging.DEBUG):
        await rows(probe("a", raising(RuntimeError("123456"))))
    assert "RuntimeError" in caplog.text and "host.a" in caplog.text and "123456" not in caplog.text


async def test_a_row_whose_need_failed_is_not_run_and_names_the_first_cause() -> None:
    done = await rows(
        probe("a", raising(AgentError(ErrorId.BUSY)), number=7),
        probe("b", good, needs=("host.a",), number=8),
        probe("c", good, needs=("host.b",), number=9),
        probe("d", good, number=10),
    )
    assert [short(row) for row in done] == ["fail busy", "because 7", "because 7", "pass"]
    assert str(done[2].detail) == "因第 7 列未通過而未執行 · not run because of row 7"


async def test_a_row_without_number_is_named_by_its_title() -> None:
    done = await rows(probe("a", raising(AgentError(ErrorId.BUSY))), probe("b", good, needs=("host.a",)))
    assert str(done[1].detail) == "因「a」未通過而未執行 · not run because of “A”"


async def test_a_warning_is_good_enough_for_the_rows_that_need_it() -> None:
    done = await rows(probe("a", warning), probe("b", good, needs=("host.a",)))
    assert [short(row) for row in done] == ["warn autostart.off", "pass"]


async def test_after_the_card_is_lost_only_rows_without_card_are_run() -> None:
    done = await rows(
        probe("a", raising(CardRemovedError()), on_card=True, number=1),
        probe("b", good, on_card=True, number=2),
        probe("c", good, number=3),
    )
    assert [short(row) for row in done] == ["fail card.removed", "because 1", "pass"]


async def test_a_probe_that_hangs_is_given_up() -> None:
    async def hang(_: ProbeContext) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    done = await rows(
        probe("a", hang, seconds=0.01), probe("b", hang, seconds=0.01, on_card=True), probe("c", good)
    )
    assert [short(row) for row in done] == ["fail check.timeout", "fail card.timeout", "pass"]
    assert done[0].ms >= 10


async def test_each_row_comes_as_soon_as_it_is_finished() -> None:
    gate = asyncio.Event()

    async def wait(_: ProbeContext) -> Finding:
        await gate.wait()
        return passed("好")

    context = Nothing()
    async with aclosing(run([probe("a", good), probe("b", wait)], cast("ProbeContext", context))) as finished:
        assert (await anext(finished)).id == "host.a"
        gate.set()
        assert (await anext(finished)).id == "host.b"


async def test_the_bench_is_closed_when_the_run_is_given_up() -> None:
    context = Nothing()
    async with aclosing(run([probe("a", good), probe("b", good)], cast("ProbeContext", context))) as finished:
        await anext(finished)
        assert not context.closed
    assert context.closed


async def test_what_a_probe_found_cannot_steer_a_terminal() -> None:
    async def hostile(_: ProbeContext) -> Finding:
        return Finding(RowStatus.PASS, Bilingual("\x1b[2J\u202e"), Bilingual("\x07"))

    (row,) = await rows(probe("a", hostile))
    assert row.detail.zh == "�[2J�" and row.mask().detail.zh == "�"
    assert row.group is Group.HOST
