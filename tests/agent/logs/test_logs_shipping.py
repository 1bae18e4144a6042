"""Where the daemon's log goes, what can never be in it, and that nobody ever waits for it."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from agent.audit import AuditLog, AuditRow, now
from agent.config import AuditSettings, LogSettings
from agent.errors import AgentError, ErrorId
from agent.interaction.scripted import ScriptedInteraction
from agent.logs import logged, shipping
from agent.logs.event_log import EVENT_ID, SOURCE, EventLog
from agent.paths import Paths
from agent.vocabulary import Verb
from tests.support.agent import ANY_PORT, running_agent
from tests.support.log import Log
from tests.support.platforms import not_on_windows
from tests.support.waiting import LIMIT, until

log = logging.getLogger("agent.something")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path).make()


def row(result: str = "ok") -> AuditRow:
    return AuditRow(
        time=now(),
        origin="https://portal.example.tw",
        verb=Verb.SIGN,
        card="********5361",
        certificate="0AF3",
        result=result,
        simulated=True,
    )


@not_on_windows("/dev/full")
def test_a_log_on_a_full_disk_is_told_of_once_without_a_traceback(
    paths: Paths, caplog: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    paths.log.symlink_to("/dev/full")
    with logged(LogSettings(), paths):
        for _ in range(3):
            log.info("something")
    said = [record.getMessage() for record in caplog.records if "cannot be written" in record.getMessage()]
    assert said == [f"the log cannot be written: {paths.log}: No space left on device"]
    assert "Traceback" not in capfd.readouterr().err


def test_text_lines_have_time_level_and_place(paths: Paths) -> None:
    with logged(LogSettings(), paths):
        log.info("listening on %d", 56440)
        log.debug("not wanted")
    line = paths.log.read_text("utf-8")
    when, _, rest = line.partition(" ")
    assert rest == "INFO agent.something: listening on 56440\n"
    assert when.endswith("Z")
    assert abs(time.time() - _seconds(when)) < 3600


def _seconds(when: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()


def test_json_lines_are_one_object_each(paths: Paths) -> None:
    with logged(LogSettings(format="json", level="debug"), paths):
        log.debug("a 卡 \n and more")
        log.warning("second")
    first, second = (json.loads(line) for line in paths.log.read_text("utf-8").splitlines())
    assert set(first) == {"time", "level", "logger", "message"}
    assert first["message"] == "a 卡 \N{REPLACEMENT CHARACTER} and more"
    assert second["level"] == "warning"


def test_a_line_cannot_be_forged_nor_a_terminal_steered(paths: Paths) -> None:
    with logged(LogSettings(), paths):
        log.error("origin %s", "https://a\n2026-01-01T00:00:00.000Z INFO agent: fine \x1b[2J \u202e")
    text = paths.log.read_text("utf-8")
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_of_an_exception_only_type_and_places_are_written(paths: Paths) -> None:
    with logged(LogSettings(), paths):
        try:
            int("the PIN is 493817")
        except ValueError:
            log.exception("a request failed")
    text = paths.log.read_text("utf-8")
    assert "493817" not in text
    assert "a request failed: ValueError at " in text
    assert "test_logs_shipping.py" in text


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_the_file_is_the_users_alone_and_is_put_aside_when_full(paths: Paths) -> None:
    with logged(LogSettings(kilobytes=16, keep=2), paths):
        for number in range(700):
            log.info(f"{number:0100}")
    files = sorted(path.name for path in paths.home.glob("hca-agent.log*"))
    assert files == ["hca-agent.log", "hca-agent.log.1", "hca-agent.log.2"]
    for path in paths.home.glob("hca-agent.log*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size <= 16 * 1024


def test_what_ended_the_program_is_in_the_file(paths: Paths) -> None:
    with pytest.raises(AgentError), logged(LogSettings(), paths):
        raise AgentError(ErrorId.PORT_TAKEN, detail="56440 user alice")
    assert "56440 user alice" in paths.log.read_text("utf-8")


def test_afterwards_the_loggers_are_as_they_were(paths: Paths) -> None:
    root, rows = logging.getLogger(), logging.getLogger(shipping.AUDIT_ROWS)
    before = root.level, list(root.handlers), list(rows.handlers)
    with logged(LogSettings(level="debug", syslog="127.0.0.1:9"), paths):
        assert root.handlers != before[1]
    assert (root.level, list(root.handlers), list(rows.handlers)) == before


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(LIMIT)
        yield server


def test_syslog_gets_records_and_masked_audit_rows(paths: Paths, udp: socket.socket) -> None:
    with logged(LogSettings(syslog=f"127.0.0.1:{udp.getsockname()[1]}"), paths):
        log.warning("something")
        AuditLog(paths.audit, AuditSettings()).record(row("pin.wrong"))
    told = [udp.recv(4096).decode() for _ in range(2)]
    assert told[0].startswith("<12>hca-agent[")  # user.warning, RFC 3164 section 4.1.1
    assert told[0].endswith("]: agent.something: something")
    members = json.loads(told[1].partition("agent.audit.rows: ")[2])
    assert members["result"] == "pin.wrong"
    assert members["card"] == "********5361"
    assert members == json.loads(paths.audit.read_bytes())
    assert "pin.wrong" not in paths.log.read_text("utf-8")


def test_audit_rows_stay_here_when_that_is_wanted(paths: Paths, udp: socket.socket) -> None:
    with logged(LogSettings(syslog=f"127.0.0.1:{udp.getsockname()[1]}", audit=False), paths):
        AuditLog(paths.audit, AuditSettings()).record(row())
        log.info("last")
    assert udp.recv(4096).endswith(b"last")


@not_on_windows("there is no syslog there")
def test_the_local_syslog_is_a_socket_of_this_machine(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "log"
    monkeypatch.setitem(shipping._LOCAL_SYSLOG, sys.platform, str(place))
    with logged(LogSettings(syslog="local"), paths):
        pass
    assert "no local syslog" in paths.log.read_text("utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(place))
        server.settimeout(LIMIT)
        with logged(LogSettings(syslog="local"), paths):
            log.info("here")
        assert server.recv(4096).endswith(b"here")


def test_a_place_that_cannot_be_written_stops_nobody(paths: Paths) -> None:
    paths.log.mkdir()
    with logged(LogSettings(syslog="no-such-host.invalid", event_log=True), paths):
        log.info("still here")


def test_a_writer_that_hangs_keeps_nobody_waiting(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    monkeypatch.setattr(shipping, "_QUEUE_MAX", 10)
    monkeypatch.setattr(shipping._PrivateFile, "emit", lambda self, record: free.wait(LIMIT))
    with logged(LogSettings(), paths):
        for _ in range(100):
            log.info("on the event loop")
        free.set()


def test_what_was_lost_is_said_as_soon_as_there_is_room(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, free = threading.Event(), threading.Event()
    emit = shipping._PrivateFile.emit

    def emit_later(self: shipping._PrivateFile, record: logging.LogRecord) -> None:
        hangs.set()
        free.wait(LIMIT)
        emit(self, record)

    monkeypatch.setattr(shipping, "_QUEUE_MAX", 10)
    monkeypatch.setattr(shipping._PrivateFile, "emit", emit_later)
    with logged(LogSettings(), paths):
        log.info("the first")
        hangs.wait(LIMIT)
        for number in range(30):
            log.info(f"{number} on the event loop")  # each another, or they were counted
        free.set()
        until(
            lambda: paths.log.read_text("utf-8").count("on the event loop") >= 10,
            lambda: paths.log.read_text("utf-8"),
        )
        log.info("later")
    assert "20 records were lost here" in paths.log.read_text("utf-8")


@pytest.mark.slow
def test_a_writer_that_never_ends_keeps_nobody_from_ending(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    monkeypatch.setattr(shipping._PrivateFile, "emit", lambda self, record: free.wait(60))
    with logged(LogSettings(), paths):
        log.info("on the event loop")
    assert not free.is_set()
    free.set()


class FakeEventLog(ModuleType):
    """The three functions of win32evtlog, as pywin32 has them."""

    def __init__(self, *, opens: bool = True) -> None:
        super().__init__("win32evtlog")
        self.opens = opens
        self.events: list[tuple[int, int, str]] = []
        self.closed = False

    def RegisterEventSource(self, server: None, source: str) -> int:
        assert (server, source) == (None, SOURCE)
        if not self.opens:
            raise RuntimeError(5, "RegisterEventSource", "Access is denied.")
        return 7

    def ReportEvent(
        self, handle: int, kind: int, category: int, event: int, user: None, texts: list[str], data: None
    ) -> None:
        assert (handle, category, user, len(texts), data) == (7, 0, None, 1, None)
        self.events.append((kind, event, texts[0]))

    def DeregisterEventSource(self, handle: int) -> None:
        assert handle == 7
        self.closed = True


def test_the_event_log_gets_kind_and_text(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    events = FakeEventLog()
    monkeypatch.setitem(sys.modules, "win32evtlog", events)
    with logged(LogSettings(event_log=True), paths):
        log.error("bad")
        log.warning("doubtful")
        AuditLog(paths.audit, AuditSettings()).record(row())
    kinds = [(kind, event) for kind, event, _ in events.events]
    assert kinds == [(1, EVENT_ID), (2, EVENT_ID), (4, EVENT_ID)]
    assert events.events[0][2] == "agent.something: bad"
    assert "********5361" in events.events[2][2]
    assert events.closed


def test_an_event_log_that_does_not_open_is_an_error() -> None:
    with pytest.raises(OSError, match="cannot be opened"):
        EventLog(FakeEventLog(opens=False))


async def test_a_pin_is_in_no_log_at_any_level(tmp_path: Path, udp: socket.socket) -> None:
    pins = ["839274", "123456"]
    home = tmp_path / "home"
    paths = Paths(home, home).make()
    settings = LogSettings(level="debug", format="json", syslog=f"127.0.0.1:{udp.getsockname()[1]}")
    config = replace(ANY_PORT, log=settings)
    with logged(settings, paths):
        person = ScriptedInteraction(pins=list(pins))
        async with running_agent(home, config=config, interaction=person) as agent, agent.page() as page:
            await page.failing("sign", document="dGV4dA==")
            await page.call("sign", document="dGV4dA==")
    udp.setblocking(False)
    shipped = b""
    with suppress(BlockingIOError):
        while True:
            shipped += udp.recv(65536)
    assert b"pin.wrong" in shipped
    for path in home.glob("*.log*"):
        shipped += path.read_bytes()
    assert all(pin.encode() not in shipped for pin in pins)
    assert os.fsencode("dGV4dA") not in shipped
