from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from pcsc.context import Context, ReaderState
from pcsc.results import ReturnCode
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from pcsc.watcher import _IDLE_WAKE_UP_PAUSE, ReaderWatcher
from pcsc.winscard import INFINITE
from tests.support.plain_card import PlainCard
from tests.support.waiting import LIMIT, until


class Listener:
    """Keeps all it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[ReaderState, ...]] = []
        self._more = threading.Condition()

    def __call__(self, states: Sequence[ReaderState]) -> None:
        with self._more:
            self.told.append(tuple(states))
            self._more.notify_all()

    def wait(self, condition: Callable[[list[tuple[ReaderState, ...]]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: condition(self.told), LIMIT), self.told

    def presence(self) -> list[dict[str, bool]]:
        with self._more:
            return [{state.name: state.present for state in states} for states in self.told]


@pytest.fixture
def winscard() -> VirtualWinscard:
    return VirtualWinscard()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def watcher(winscard: VirtualWinscard, listener: Listener) -> Iterator[ReaderWatcher]:
    watcher = ReaderWatcher(Service(winscard), listener)
    watcher.start()
    listener.wait(lambda told: len(told) >= 1)
    yield watcher
    watcher.stop()


def test_readers_and_cards_that_come_and_go_are_told(
    winscard: VirtualWinscard, listener: Listener, watcher: ReaderWatcher
) -> None:
    reader = winscard.add_reader("A")
    listener.wait(lambda told: len(told) == 2)
    reader.insert(PlainCard())
    listener.wait(lambda told: len(told) == 3)
    reader.remove()
    listener.wait(lambda told: len(told) == 4)
    reader.unplug()
    listener.wait(lambda told: len(told) == 5)
    assert listener.presence() == [{}, {"A": False}, {"A": True}, {"A": False}, {}]


def test_a_card_that_was_out_between_two_looks_is_told_as_two_events(
    winscard: VirtualWinscard, listener: Listener, watcher: ReaderWatcher
) -> None:
    reader = winscard.add_reader("A")
    reader.insert(PlainCard())
    listener.wait(lambda told: bool(told[-1]) and told[-1][0].present)
    told_before = len(listener.told)
    with winscard.changed:
        reader.remove()
        reader.insert(PlainCard())
    listener.wait(lambda told: told[-1][0].event_counter == 3)
    assert listener.presence()[told_before:] == [{"A": False}, {"A": True}]
    assert [states[0].event_counter for states in listener.told[told_before:]] == [2, 3]


@pytest.mark.parametrize("code", [ReturnCode.COMM_ERROR, ReturnCode.SERVICE_STOPPED, ReturnCode.NO_SERVICE])
def test_a_service_that_stops_and_comes_back_is_found_again(
    winscard: VirtualWinscard, listener: Listener, watcher: ReaderWatcher, code: ReturnCode
) -> None:
    reader = winscard.add_reader("A")
    reader.insert(PlainCard())
    listener.wait(lambda told: bool(told[-1]) and told[-1][0].present)
    winscard.stop_service(code)
    listener.wait(lambda told: told[-1] == ())
    winscard.start_service()
    listener.wait(lambda told: bool(told[-1]) and told[-1][0].present)


def test_a_service_that_is_not_there_at_first_is_waited_for(
    winscard: VirtualWinscard, listener: Listener
) -> None:
    winscard.stop_service()
    winscard.add_reader("A")
    watcher = ReaderWatcher(Service(winscard), listener)
    watcher.start()
    listener.wait(lambda told: told == [()])
    winscard.start_service()
    listener.wait(lambda told: bool(told[-1]))
    watcher.stop()


def test_an_absent_service_is_looked_for_ever_more_seldom(listener: Listener) -> None:
    attempts: list[float] = []

    class Absent(VirtualWinscard):
        def SCardEstablishContext(self, scope: int, /) -> tuple[int, int]:
            attempts.append(time.monotonic())
            return int(ReturnCode.NO_SERVICE), 0

    watcher = ReaderWatcher(Service(Absent()), listener)
    watcher.start()
    until(lambda: len(attempts) >= 4, "it is not looked for again")
    watcher.stop()
    gaps = [after - before for before, after in pairwise(attempts[:4])]
    assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.4), strict=True)), gaps


def test_a_listener_that_fails_does_not_end_the_watch(winscard: VirtualWinscard, listener: Listener) -> None:
    def fail_once(states: Sequence[ReaderState]) -> None:
        listener(states)
        if len(listener.told) == 1:
            raise ValueError

    watcher = ReaderWatcher(Service(winscard), fail_once)
    watcher.start()
    listener.wait(lambda told: len(told) == 1)
    winscard.add_reader("A")
    listener.wait(lambda told: len(told) == 2)
    watcher.stop()


def test_at_rest_nothing_runs(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []

    class Counting(VirtualWinscard):
        def SCardGetStatusChange(
            self, context: Any, timeout: int, states: list[tuple[Any, ...]], /
        ) -> tuple[int, list[tuple[str, int, list[int]]]]:
            waits.append(timeout)
            return super().SCardGetStatusChange(context, timeout, states)

    monkeypatch.setattr("pcsc.watcher._FIRST_PATIENCE", 0.01)
    monkeypatch.setattr("pcsc.watcher._LONGEST_PATIENCE", 0.16)
    winscard = Counting()
    winscard.add_reader("A")
    watcher = ReaderWatcher(Service(winscard), listener)
    watcher.start()
    until(lambda: waits[-1:] == [INFINITE], "it never comes to rest")
    watcher.stop()
    assert waits == [0, 10, 40, 160, INFINITE]  # one look, and then waits alone


def test_a_reader_that_appears_unannounced_is_found_soon(
    winscard: VirtualWinscard, listener: Listener
) -> None:
    class Gap(Service):
        """The reader comes in the moment between listing and waiting."""

        def context(self) -> Context:
            context = super().context()
            look = context.look

            def look_and_miss() -> list[ReaderState]:
                seen = look()
                with contextlib.suppress(ValueError):
                    winscard.add_reader("A")
                return seen

            context.look = look_and_miss  # type: ignore[method-assign]
            return context

    watcher = ReaderWatcher(Gap(winscard), listener)
    watcher.start()
    listener.wait(lambda told: bool(told[-1:]) and bool(told[-1]))
    watcher.stop()


UNLISTED = 0x8010_0FFF


@pytest.mark.parametrize(
    "code", [UNLISTED, ReturnCode.INVALID_PARAMETER, ReturnCode.UNKNOWN_READER, ReturnCode.NO_MEMORY]
)
def test_a_service_that_cannot_wait_is_no_busy_loop(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    waits = 0
    pauses: list[float] = []
    monkeypatch.setattr("pcsc.context._LONGEST_BLIND_WAIT", 0.05)

    class Unable(VirtualWinscard):
        def SCardGetStatusChange(
            self, context: Any, timeout: int, states: list[tuple[Any, ...]], /
        ) -> tuple[int, list[tuple[str, int, list[int]]]]:
            nonlocal waits
            if not timeout:
                return super().SCardGetStatusChange(context, timeout, states)
            waits += 1
            return int(code), []

    class Pausing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return super().wait(min(timeout or 0, 0.01))

    winscard = Unable()
    winscard.add_reader("A")
    services: list[bool] = []
    watcher = ReaderWatcher(Service(winscard), listener, services.append)
    monkeypatch.setattr(watcher, "_stopping", Pausing())
    begun = time.monotonic()
    watcher.start()
    until(lambda: waits >= 6, "it does not try again")
    watcher.stop()
    # Each try but the first two waits, in the context or by a pause that grows.
    assert time.monotonic() - begun >= 0.05 * 3 or pauses[2] < pauses[3] < pauses[4], pauses
    if code != ReturnCode.NO_MEMORY:
        assert services == [True] and listener.presence() == [{"A": False}]


def test_no_surprise_ends_the_watch(listener: Listener) -> None:
    surprises: list[Exception] = [OSError("a driver's own"), UnicodeDecodeError("utf-8", b"", 0, 1, "a name")]

    class Surprising(VirtualWinscard):
        def SCardListReaders(self, context: Any, groups: list[str], /) -> tuple[int, list[str]]:
            if surprises:
                raise surprises.pop()
            return super().SCardListReaders(context, groups)

    winscard = Surprising()
    winscard.add_reader("A")
    watcher = ReaderWatcher(Service(winscard), listener)
    watcher.start()
    listener.wait(lambda told: bool(told[-1:]) and bool(told[-1]))
    watcher.stop()


def test_stopping_does_not_wait_for_anything_to_happen(
    winscard: VirtualWinscard, listener: Listener, watcher: ReaderWatcher
) -> None:
    thread = watcher._thread
    assert thread is not None
    watcher.stop()
    watcher.stop()
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="once"):
        watcher.start()


def test_a_watcher_can_be_stopped_by_its_listener(winscard: VirtualWinscard) -> None:
    stopped = threading.Event()

    def stop(states: Sequence[ReaderState]) -> None:
        watcher.stop()
        stopped.set()

    watcher = ReaderWatcher(Service(winscard), stop)
    watcher.start()
    assert stopped.wait(LIMIT)
    watcher.stop()


@pytest.mark.slow
def test_thirty_swaps_and_restarts_lose_no_event(
    winscard: VirtualWinscard, listener: Listener, watcher: ReaderWatcher
) -> None:
    reader = winscard.add_reader("A")
    for _ in range(30):
        reader.insert(PlainCard())
        listener.wait(lambda told: bool(told[-1]) and told[-1][0].present)
        winscard.stop_service()
        winscard.start_service()
        reader.remove()
        listener.wait(lambda told: bool(told[-1]) and not told[-1][0].present)
    watcher.stop()
    assert not winscard._contexts


def test_a_service_that_wakes_without_a_reason_is_given_a_pause(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float | None] = []
    woken = 0

    class Restless(VirtualWinscard):
        def SCardGetStatusChange(
            self, context: Any, timeout: int, states: list[tuple[Any, ...]], /
        ) -> tuple[int, list[tuple[str, int, list[int]]]]:
            nonlocal woken
            if not timeout or woken == 3:
                return super().SCardGetStatusChange(context, timeout, states)
            woken += 1
            return 0, [(name, 0x10, []) for name, _ in states]

    class Pausing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return super().wait(0)

    winscard = Restless()
    reader = winscard.add_reader("A")
    watcher = ReaderWatcher(Service(winscard), listener)
    monkeypatch.setattr(watcher, "_stopping", Pausing())
    watcher.start()
    until(lambda: woken == 3, "it does not wait")
    reader.insert(PlainCard())
    listener.wait(lambda told: bool(told[-1]) and told[-1][0].present)
    watcher.stop()
    # After the first wait there is nothing to compare with: the look before it was news.
    assert pauses[:2] == [_IDLE_WAKE_UP_PAUSE] * 2
    assert listener.presence() == [{"A": False}, {"A": True}]


def test_whoever_listens_to_the_service_may_fail_and_the_watch_goes_on(
    winscard: VirtualWinscard, listener: Listener
) -> None:
    told: list[bool] = []

    def fail(running: bool) -> None:
        told.append(running)
        raise ValueError

    winscard.add_reader("A")
    watcher = ReaderWatcher(Service(winscard), listener, fail)
    watcher.start()
    listener.wait(lambda told: bool(told[-1:]) and bool(told[-1]))
    winscard.stop_service()
    listener.wait(lambda told: told[-1] == ())
    watcher.stop()
    assert told == [True, False]
