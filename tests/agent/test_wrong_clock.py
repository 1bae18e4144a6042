"""A computer whose date is wrong for a while: nothing goes on its word (`faketime` for real starts)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import tls
from agent.renewal import Renewal, SteadyClock
from agent.vocabulary import Errand
from tests.support.agent import running_agent

FAKETIME = shutil.which("faketime")

real = pytest.mark.skipif(FAKETIME is None, reason="needs faketime")


def run(home: Path, *words: str, clock: str = "") -> str:
    """Run Python with these words at a computer whose clock is off by that much, or stands at that date."""
    command = [sys.executable, *words]
    if clock:
        command = [str(FAKETIME), "-f", clock, *command]
    environment = {"HOME": str(home), "HCA_AGENT_HOME": str(home / "agent"), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


SHOWN = "import sys, pathlib; from agent import tls; print(tls.shown(pathlib.Path(sys.argv[1]), None).fresh)"


@pytest.mark.slow
@real
def test_a_start_with_the_clock_behind_keeps_the_certificate_that_browsers_trust(tmp_path: Path) -> None:
    folder = tmp_path / "agent/tls"
    tls.ensure(folder)
    before = files(folder)
    for clock in ("-8h", "@2001-01-01 00:00:00"):
        assert run(tmp_path, "-c", SHOWN, str(folder), clock=clock) == "False\n"
    assert files(folder) == before
    said = run(tmp_path, "-m", "agent", "trust", "status", clock="-8h")
    assert "clock.behind" in said and "--renew" in said
    assert "clock.behind" not in run(tmp_path, "-m", "agent", "trust", "status")


@pytest.mark.slow
@real
def test_a_certificate_made_while_the_clock_was_ahead_is_renewed_when_the_person_says_so(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "agent/tls"
    assert run(tmp_path, "-c", SHOWN, str(folder), clock="+3000d") == "True\n"
    assert not tls.ensure(folder).fresh
    assert tls.ensure(folder, renew=True).not_before < datetime.now(UTC)


@pytest.mark.slow
@real
def test_a_day_with_the_clock_ahead_forgets_no_answer(tmp_path: Path) -> None:
    run(tmp_path, "-m", "agent", "origins", "allow", "https://portal.example.tw")
    run(tmp_path, "-m", "agent", "origins", "allow", "https://other.example.tw", clock="+400d")
    told = run(tmp_path, "-m", "agent", "origins", "list")
    assert "https://portal.example.tw" in told
    assert "https://other.example.tw" not in told  # it would hold for more than a year from now


async def test_an_agent_that_starts_with_the_clock_behind_says_so_and_shows_what_it_has(
    tmp_path: Path,
) -> None:
    made = tls.ensure(tmp_path / "tls", now=datetime.now(UTC) + timedelta(hours=8))
    before = made.leaf.read_bytes()
    async with running_agent(tmp_path) as agent:
        await agent.notices_shown()
        told = [en for _, en in agent.interaction.notices]
        assert [en for en in told if "date is too early" in en]
        assert Errand.TRUST not in agent.interaction.offers
    assert made.leaf.read_bytes() == before


def test_the_machines_certificate_is_shown_although_the_clock_is_behind(tmp_path: Path) -> None:
    tls.ensure(tmp_path / "machine", now=datetime.now(UTC) + timedelta(hours=8))
    assert tls.in_use(tmp_path / "own", tmp_path / "machine") == tmp_path / "machine"
    assert tls.shown(tmp_path / "own", tmp_path / "machine").machines
    assert not (tmp_path / "own").exists()


async def test_a_clock_that_jumps_ahead_while_the_agent_runs_renews_nothing(tmp_path: Path) -> None:
    wall, passed = [datetime.now(UTC)], [0.0]
    told: list[tls.TlsIdentity] = []
    clock = SteadyClock(lambda: wall[0], lambda: passed[0])
    keeper = Renewal(tmp_path, told.append, clock=clock)
    wall[0] += timedelta(days=3000)
    await keeper.look()
    assert told == []
    passed[0] += 790 * 86400.0  # it really runs for that long
    await keeper.look()
    assert len(told) == 1


def test_a_clock_that_is_set_right_while_the_agent_runs_is_followed_back() -> None:
    wall, passed = [datetime(2026, 1, 1, 8, tzinfo=UTC)], [0.0]
    clock = SteadyClock(lambda: wall[0], lambda: passed[0])
    wall[0] -= timedelta(hours=8)
    assert clock() == wall[0]
