"""An upgrade while the agent runs: it begins anew with the new files, and not in the middle of work."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from agent.cli.replaced_program import ReplacedProgram, own_file
from agent.vocabulary import Verb
from tests.support.agent import running_agent


async def test_a_replaced_program_begins_anew_when_the_upgrade_is_finished_and_nothing_is_under_way(
    tmp_path: Path,
) -> None:
    program, looks, ended = tmp_path / "hca-agent", asyncio.Queue[None](), asyncio.Event()
    waiting = asyncio.Event()

    async def pause() -> None:
        waiting.set()
        await looks.get()

    async def look() -> None:
        waiting.clear()
        looks.put_nowait(None)
        tasks = [asyncio.create_task(each.wait()) for each in (waiting, ended)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in tasks:
            each.cancel()

    program.write_bytes(b"one")
    replaced = ReplacedProgram(program, pause)
    async with running_agent(tmp_path / "agent") as agent, replaced.beside(None)(agent.daemon, ended.set):
        await waiting.wait()
        await look()
        program.unlink()
        await look()
        assert not ended.is_set()
        program.write_bytes(b"the next")
        await look()
        assert not ended.is_set()  # it may be written still
        with agent.daemon.operations._workflow.audit.begin(None, Verb.READ):
            await look()
            assert not ended.is_set()
        await look()
        assert ended.is_set() and replaced.again


async def test_what_runs_beside_goes_on_beside(tmp_path: Path) -> None:
    said = []

    @asynccontextmanager
    async def tray(*_: object):  # type: ignore[no-untyped-def]
        said.append("begins")
        yield
        said.append("ends")

    beside = ReplacedProgram(None).beside(tray)
    async with running_agent(tmp_path) as agent, beside(agent.daemon, lambda: None):
        assert said == ["begins"]
    assert said == ["begins", "ends"]


def test_a_developers_python_is_not_watched() -> None:
    assert not getattr(sys, "frozen", False) and own_file() is None
