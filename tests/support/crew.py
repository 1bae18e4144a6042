"""Tests in several processes that share one collection: `python -m pytest -p tests.support.crew --crew 4`.

The tests are collected once; then the process forks, and each fork runs what it is handed. pytest-xdist
collects in each of its processes, which takes each of them as long as a thousand tests.

The long tests come first. The last process of the crew begins with the quick ones meanwhile.
"""

from __future__ import annotations

import atexit
import gc
import os
import random
import signal
import warnings
from collections import deque
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest

_LEFT = "left"
_NO_MORE: tuple[int, ...] = ()
_FEW = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of processes."""
    parser.addoption("--crew", type=int, default=0, metavar="N", help="run the tests in N processes (POSIX)")


def pytest_configure(config: pytest.Config) -> None:
    """Take over the running of tests where that is asked for."""
    if config.getoption("crew") > 1 and not config.option.collectonly and not config.option.usepdb:
        gc.disable()  # until what is collected is there: none of it goes
        config.pluginmanager.register(_Crew(config))


class _Crew:
    """Hands the tests out, and passes on what comes back as if they had run here."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed and not self.config.option.continue_on_collection_errors:
            return None  # pytest's own says so
        self.items = _together(session.items)
        _find_places(self.items)
        self.next, self.end = 0, len(self.items)
        quick = sum(not (_group(item) or _takes_long(item)) for item in self.items)
        self.first_quick = self.end - quick
        self.left_for_the_end = self.end - quick * 2 // 3
        self.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        gc.collect()
        gc.enable()
        gc.freeze()  # what was collected is not looked through again, and not copied for being looked at
        forking = get_context("fork")
        self.members: dict[Connection, _Member] = {}
        for number in range(self.config.getoption("crew")):
            ours, theirs = forking.Pipe()
            process = forking.Process(target=_work, args=(number, session, self.items, theirs))
            process.start()
            theirs.close()
            self.members[ours] = _Member(process, is_last_of_crew=number == self.config.getoption("crew") - 1)
        try:
            while self.members:
                for connection in wait(list(self.members)):
                    assert isinstance(connection, Connection)
                    self._hear(session, connection)
        except BaseException:
            for member in self.members.values():
                member.process.terminate()
            raise
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        return True

    def _hear(self, session: pytest.Session, connection: Connection) -> None:
        member = self.members[connection]
        try:
            what, told = connection.recv()
        except (EOFError, ConnectionResetError):
            what, told = _LEFT, None
        if what == "more":
            ended = session.shouldfail or session.shouldstop
            handed = _NO_MORE if ended else self._quick() if member.is_last_of_crew else self._some()
            member.has.extend(handed)
            connection.send(handed)
        elif what == "ended":
            hook, item = self.config.hook, self.items[member.has.popleft()]
            hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for data in told:
                hook.pytest_runtest_logreport(report=self._report(item, data))
            hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        elif what == "warning":
            self.config.hook.pytest_warning_recorded.call_historic(kwargs=told)
        else:
            del self.members[connection]
            member.process.join()
            if member.process.exitcode:
                for number in member.has:  # what it died of, and what it had not come to
                    self._lost(self.items[number], member.process.exitcode)

    def _report(self, item: pytest.Item, told: Any) -> pytest.TestReport:
        if isinstance(told, float):
            return pytest.TestReport(item.nodeid, item.location, {}, "passed", None, "call", duration=told)
        report = self.config.hook.pytest_report_from_serializable(config=self.config, data=told)
        assert isinstance(report, pytest.TestReport)
        return report

    def _some(self) -> tuple[int, ...]:
        """Return the numbers of the next tests: many at first, few at last, so that all end at once.

        Of those that take long, a few that stand together and may share what they set up; of the last, one.
        """
        most = self._most()
        if most and _takes_long(self.items[self.next]):
            long = self.first_quick - self.next
            most = min(most, _FEW, max(1, long // (2 * self.config.getoption("crew"))))
        end = self.next + most
        while (
            0 < end < self.end
            and _group(self.items[end])
            and _group(self.items[end]) == _group(self.items[end - 1])
        ):
            end += 1
        numbers = tuple(range(self.next, end))
        self.next = end
        return numbers

    def _quick(self) -> tuple[int, ...]:
        """Return the numbers of some from the other end: while others wait for windows, one computes.

        What is left of the quick ones fills the time at the end, when the last long ones are waited for.
        """
        begin = self.end - self._most()
        if begin < self.left_for_the_end:
            return self._some()
        numbers = tuple(range(begin, self.end))
        self.end = begin
        return numbers

    def _most(self) -> int:
        rest = self.end - self.next
        return min(rest, max(1, rest // (4 * self.config.getoption("crew"))))

    def _lost(self, item: pytest.Item, status: int | None) -> None:
        words = f"the process that was to run it ended with {status}"
        report = pytest.TestReport(
            item.nodeid, item.location, {}, outcome="failed", longrepr=words, when="call", sections=[]
        )
        self.config.hook.pytest_runtest_logreport(report=report)


class _Member:
    """A process, and the numbers of the tests that it has and has not ended."""

    def __init__(self, process: Any, *, is_last_of_crew: bool) -> None:
        self.process = process
        self.is_last_of_crew = is_last_of_crew
        self.has: deque[int] = deque()


def _group(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("xdist_group")
    return str(mark.kwargs.get("name") or mark.args[0]) if mark else None


def _takes_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("slow", "browser", "pcscd", "packages"))


def _together(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests: those that must stay together first, then the long ones."""

    def place(item: pytest.Item) -> tuple[bool, str, bool]:
        return _group(item) is None, _group(item) or "", not _takes_long(item)

    return sorted(items, key=place)


def _find_places(items: list[pytest.Item]) -> None:
    """Find out once where each function stands: every report says it, and pytest looks it up for each row."""
    known: dict[Any, tuple[str, int | None]] = {}
    for item in items:
        function = getattr(item, "function", item)
        if function in known:
            item.__dict__["location"] = (*known[function], item.getmodpath())  # type: ignore[attr-defined]
        else:
            known[function] = item.location[:2]


def _work(number: int, session: pytest.Session, items: list[pytest.Item], connection: Connection) -> None:
    """Run what is handed to this process until there is no more."""
    config = session.config
    atexit._clear()  # what the other process has registered is its own
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    random.seed()
    config._tmp_path_factory._basetemp /= f"process-{number}"  # type: ignore[attr-defined]
    config._tmp_path_factory._basetemp.mkdir()  # type: ignore[attr-defined]
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:  # the files that output goes to would be shared, with their place in them
        capture.stop_global_capturing()
        capture.start_global_capturing()
    config.pluginmanager.unregister(name="terminalreporter")
    teller = _Teller(config, connection)
    config.pluginmanager.register(teller)
    waiting: deque[int] = deque()
    more = True
    while waiting or more:
        if len(waiting) < 2 and more:  # what comes next decides which fixtures stay
            connection.send(("more", None))
            handed = connection.recv()
            waiting.extend(handed)
            more = bool(handed)
            continue
        item = items[waiting[0]]
        following = items[waiting[1]] if len(waiting) > 1 else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        connection.send(("ended", teller.reports))
        teller.reports = []
        waiting.popleft()
        if session.shouldfail or session.shouldstop:
            break
    session._setupstate.teardown_exact(None)  # where it was ended in the middle, fixtures are still up
    atexit._run_exitfuncs()
    connection.close()
    os._exit(0)  # the rest of pytest's own ending is the other process's


class _Teller:
    """Tells the other process what the terminal is to show."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self.config = config
        self.connection = connection
        self.reports: list[Any] = []
        self.dull = () if config.getoption("durations") is not None else ("setup", "teardown")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what is worth telling: of a test that passed, most often how long it took and no more."""
        plain = report.passed and not (
            report.sections or report.user_properties or hasattr(report, "wasxfail")
        )
        if plain and report.when in self.dull:
            return
        if plain and report.when == "call":
            self.reports.append(report.duration)
            return
        self.reports.append(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        of = warning_message
        plain = warnings.WarningMessage(str(of.message), of.category, of.filename, of.lineno)  # what it shows
        told = {"warning_message": plain, "when": when, "nodeid": nodeid, "location": location}
        self.connection.send(("warning", told))
