"""The daemon's side of the link, with small programs in the tray's place."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from agent.tray.messages import NO_TRAY, Choice, Chosen, TrayState
from agent.tray.tray_process import Patience, TrayProcess
from tests.support.log import Log
from tests.support.operations import until
from tests.support.platforms import not_on_windows
from tests.support.tray import tray_state

SOON = Patience(pauses=(0.01, 0.01, 0.01), settled=600.0)

ECHO = """
import sys, json
for text in sys.stdin:
    state = json.loads(text)
    open(PATH, "a").write(text)
"""


class Host:
    """What a link asks, and what it was told."""

    def __init__(self) -> None:
        self.version = "1"
        self.chosen: list[Chosen] = []
        self.asked: list[int] = []
        self.trouble: Exception | None = None

    async def state(self, answers: int) -> TrayState:
        self.asked.append(answers)
        if self.trouble is not None:
            raise self.trouble
        return tray_state(version=self.version, answers=answers)

    async def choose(self, message: Chosen) -> None:
        self.chosen.append(message)
        if message.choice is Choice.SELF_TEST:
            raise RuntimeError("no browser")


def tray(program: str, path: Path, host: Host, patience: Patience = SOON) -> TrayProcess:
    code = f"PATH = {str(path)!r}\n{program}"
    return TrayProcess((sys.executable, "-c", code), host.state, host.choose, patience)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def test_the_tray_is_told_at_once_and_at_each_change_that_matters(tmp_path: Path) -> None:
    host, told = Host(), tmp_path / "told"
    async with tray(ECHO, told, host) as link:
        await until(lambda: len(lines(told)) == 1)
        link.changed()
        await until(lambda: len(host.asked) == 2)
        host.version = "2"
        for _ in range(5):
            link.changed()
        await until(lambda: len(lines(told)) == 2)
        assert '"version":"2"' in lines(told)[1]
        assert len(host.asked) <= 4, "changes that come close together are told once"


async def test_what_the_person_chooses_is_done_and_a_failure_of_it_is_survived(
    tmp_path: Path, caplog: Log
) -> None:
    program = """
import sys, time
for choice in ("self-test", "about"):
    print('{"type":"chosen","choice":"%s"}' % choice, flush=True)
sys.stdin.read()
"""
    host = Host()
    async with tray(program, tmp_path / "x", host):
        await until(lambda: len(host.chosen) == 2)
    assert [message.choice for message in host.chosen] == [Choice.SELF_TEST, Choice.ABOUT]
    assert "self-test" in caplog.text


async def test_a_menu_that_opens_is_answered_with_its_number(tmp_path: Path) -> None:
    program = """
import sys
sys.stdin.readline()
print('{"type":"opened","number":5}', flush=True)
open(PATH, "w").write(sys.stdin.readline())
sys.stdin.read()
"""
    told = tmp_path / "told"
    async with tray(program, told, Host()):
        await until(lambda: bool(lines(told)))
    assert '"answers":5' in lines(told)[0]


async def test_a_tray_that_crashes_is_started_again_a_few_times_and_the_daemon_goes_on(
    tmp_path: Path, caplog: Log
) -> None:
    starts = tmp_path / "starts"
    async with tray("open(PATH, 'a').write('x\\n'); raise SystemExit(9)", starts, Host()) as link:
        await until(lambda: "going on without it" in caplog.text)
        link.changed()
        await until(link._running.done)
    assert len(lines(starts)) == 1 + len(SOON.pauses)


async def test_a_tray_that_worked_for_long_is_forgiven_its_earlier_crashes(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    patience = Patience(pauses=(0.01,), settled=0.0)
    async with tray("open(PATH, 'a').write('x\\n')", starts, Host(), patience):
        await until(lambda: len(lines(starts)) >= 4)


async def test_after_a_crash_the_new_tray_is_told_the_state_again(tmp_path: Path) -> None:
    told, host = tmp_path / "told", Host()
    program = "import sys\nopen(PATH, 'a').write(sys.stdin.readline())\nsys.exit(1)"
    async with tray(program, told, host):
        await until(lambda: len(lines(told)) == 1 + len(SOON.pauses))
    assert len(set(lines(told))) == 1


async def test_where_nothing_shows_icons_the_tray_is_not_started_again(tmp_path: Path, caplog: Log) -> None:
    caplog.set_level(logging.INFO)
    starts = tmp_path / "starts"
    async with tray(f"open(PATH, 'a').write('x\\n'); raise SystemExit({NO_TRAY})", starts, Host()) as link:
        await until(lambda: "shows no tray icons" in caplog.text)
        await until(link._running.done)
    assert len(lines(starts)) == 1


@pytest.mark.parametrize(
    "words",
    [
        "print('hello', flush=True)",
        """print('{"type":"chosen","choice":"about","more":1}', flush=True)""",
        "print('x' * 100000, flush=True)",
        "print('x' * 10_000_000, flush=True)",
        "sys.stdout.buffer.write(bytes([255, 10])); sys.stdout.flush()",
        r"""sys.stdout.buffer.write(b'{"type":"chosen","choice":"tries","reader":"\xff"}\n')
sys.stdout.flush()""",
    ],
)
async def test_a_tray_that_speaks_nonsense_is_ended(tmp_path: Path, caplog: Log, words: str) -> None:
    starts, host = tmp_path / "starts", Host()
    program = f"import sys\nopen(PATH, 'a').write('x\\n')\n{words}\nsys.stdin.read()"
    async with tray(program, starts, host, Patience(pauses=())):
        await until(lambda: "going on without it" in caplog.text)
    assert "nonsense" in caplog.text and not host.chosen


@not_on_windows("signal 0 asks nothing there")
async def test_a_tray_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tray.tray_process._END_SECONDS", 0.2)
    pids = tmp_path / "pid"
    program = "import os, time\nopen(PATH, 'w').write(str(os.getpid()) + '\\n')\ntime.sleep(60)"  # stays
    async with tray(program, pids, Host()):
        await until(lambda: bool(lines(pids)))
    with pytest.raises(ProcessLookupError):
        os.kill(int(lines(pids)[0]), 0)


async def test_a_tray_ends_with_its_daemon(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"{ECHO}\nopen(PATH, 'a').write('ended\\n')"
    async with tray(program, told, Host()):
        await until(lambda: bool(lines(told)))
    assert lines(told)[-1] == "ended"


async def test_a_tray_that_cannot_be_started_is_done_without(tmp_path: Path, caplog: Log) -> None:
    host = Host()
    async with TrayProcess((str(tmp_path / "nothing"),), host.state, host.choose, SOON):
        await until(lambda: "cannot be started" in caplog.text)


async def test_a_state_that_cannot_be_told_now_is_told_at_the_next_change(
    tmp_path: Path, caplog: Log
) -> None:
    host, told = Host(), tmp_path / "told"
    host.trouble = OSError("disk")
    async with tray(ECHO, told, host) as link:
        await until(lambda: "cannot be told" in caplog.text)
        host.trouble = None
        link.changed()
        await until(lambda: len(lines(told)) == 1)
