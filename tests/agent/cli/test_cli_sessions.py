"""`sessions`: what a person without an icon does to the sessions of the running agent."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from agent.vocabulary import SessionEnd
from tests.support.agent import ANY_PORT, PORTAL, running_agent


async def sessions(home: Path, *words: str) -> tuple[int | None, str, str]:
    """The end and the words of `hca-agent sessions`."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "sessions", *words),
        env={**os.environ, "HCA_AGENT_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await command.communicate()
    return command.returncode, out.decode(), errors.decode()


@pytest.mark.slow
async def test_open_sessions_are_listed_and_stopped(tmp_path: Path) -> None:
    async with running_agent(tmp_path, config=ANY_PORT) as agent, agent.page() as page:
        session = (await page.call("session.open", signatures=9))["session"]
        [known] = agent.daemon.operations.sessions.open
        code, out, _ = await sessions(tmp_path, "list", "--json")
        [row] = json.loads(out)["sessions"]
        assert (code, row["number"], row["origin"], row["left"]) == (0, known.number, PORTAL, 9)
        assert session not in out
        code, out, errors = await sessions(tmp_path, "stop", "00000000")
        assert code == 1 and "00000000" in errors and known.ended is None
        code, out, _ = await sessions(tmp_path, "stop")
        assert (code, known.ended) == (0, SessionEnd.STOPPED)
        assert known.number in out


@pytest.mark.slow
async def test_without_an_agent_there_is_none(tmp_path: Path) -> None:
    code, out, _ = await sessions(tmp_path, "stop")
    assert code == 0 and "沒有進行中的連續簽章" in out
