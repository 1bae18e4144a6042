"""Watching for readers that come or go and for cards that are put in or pulled out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from pcsc.context import Context, ReaderState
from pcsc.errors import PcscError, ReaderUnavailableError
from pcsc.service import Service

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_FIRST_PATIENCE: Final = 0.25
_LONGEST_PATIENCE: Final = 64.0
_PATIENCE_GROWS: Final = 4
_IDLE_WAKE_UP_PAUSE: Final = 0.05

OnChange = Callable[[Sequence[ReaderState]], None]
OnService = Callable[[bool], None]


class ReaderWatcher:
    """A thread that waits in SCardGetStatusChange; at rest nothing runs.

    While the service is away it is looked for, at first after 0.1 s and then ever more seldom, down to every
    5 s: nothing announces a service that is not there. Everything else is announced. (pcsc-lite 1.9 does not
    announce a reader that appears in the moment between listing and waiting, so that for a minute and a half
    after readers have changed the list is read again, five times and ever more seldom.)

    Args:
        service: where the readers are.
        on_change: called in the watcher's thread with the states of all readers: once at the start, then
            after every change; with none while the service is away. A card that was changed for another, or
            out for a moment only, is reported as the two events it was: first without it, then with it.
        on_service: called in the same thread when the service is found, and when it is found missing.
    """

    def __init__(self, service: Service, on_change: OnChange, on_service: OnService | None = None) -> None:
        self._service = service
        self._on_change = on_change
        self._on_service = on_service
        self._service_running: bool | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._context: Context | None = None
        self._thread: threading.Thread | None = None
        self._pause = _FIRST_PAUSE
        self._reported: tuple[ReaderState, ...] | None = None

    def start(self) -> None:
        """Start watching.

        Raises:
            RuntimeError: it is watching already, or was stopped; a watcher runs once.
        """
        if self._thread is not None:
            raise RuntimeError("a reader watcher runs once")
        self._thread = threading.Thread(target=self._run, name="reader-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread; safe from any thread, from `on_change` too, and twice."""
        with self._lock:
            self._stopping.set()
            context = self._context
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        if context is not None:
            context.cancel()
        thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._service.context() as context:
                    self._adopt(context)
                    self._watch(context)
            except PcscError as trouble:
                if not self._stopping.is_set():
                    _log.info("the smart card service is away: %s", trouble)
            except Exception:
                # Whatever a binding or a driver comes up with, the watch goes on.
                _log.exception("the smart card service could not be watched")
            finally:
                self._adopt(None)
            if not self._stopping.is_set():
                self._report_service(False)
                self._report(())
            self._stopping.wait(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _adopt(self, context: Context | None) -> None:
        with self._lock:
            self._context = context

    def _watch(self, context: Context) -> None:
        """Look and wait until stopped.

        Raises:
            PcscError: the service went away, or the wait was cancelled.
        """
        states: list[ReaderState] = []
        names: list[str] | None = None
        patience: float | None = None
        contradiction, news = 0.0, False
        while not self._stopping.is_set():
            # Where the service has just said that nothing changed, the list alone may be another one.
            if not context.quiet or context.readers() != names:
                states = context.look()
                self._report_service(True)
                news = self._report(tuple(states))
            if names != (names := [state.name for state in states]):
                patience = _FIRST_PATIENCE
            try:
                woken = context.wait(states, patience)
            except ReaderUnavailableError:
                # The next look tells which; but of a service that contradicts itself it tells nothing new.
                self._stopping.wait(contradiction)
                contradiction = min(max(contradiction * 2, _IDLE_WAKE_UP_PAUSE), _LONGEST_PAUSE)
                continue
            # Not before: where looking works and waiting does not, the pause must grow all the same.
            self._pause, contradiction = _FIRST_PAUSE, 0.0
            if not woken and patience is not None:
                patience = patience * _PATIENCE_GROWS if patience < _LONGEST_PATIENCE else None
            elif woken and not news:
                # Some services wake without a reason, and all of them when a program connects or lets go, as
                # our own visits do: that must not become a busy loop, nor take its time from the visits.
                self._stopping.wait(_IDLE_WAKE_UP_PAUSE)

    def _report(self, states: tuple[ReaderState, ...]) -> bool:
        """Call the listener if `states` are news; return whether they are."""
        last, self._reported = self._reported, states
        if last is not None and _without_use(states) == _without_use(last):
            return False
        before = {state.name: state for state in last or ()}
        between = tuple(
            _without_card(state) if _was_out(before.get(state.name), state) else state for state in states
        )
        if between != states:
            self._call(between)
        self._call(states)
        return True

    def _report_service(self, running: bool) -> None:
        last, self._service_running = self._service_running, running
        if self._on_service is None or running is last:
            return
        try:
            self._on_service(running)
        except Exception:
            _log.exception("reporting the smart card service failed")

    def _call(self, states: Sequence[ReaderState]) -> None:
        try:
            self._on_change(states)
        except Exception:
            # Whoever listens may fail; the watch goes on.
            _log.exception("reporting a change of readers failed")


def _was_out(before: ReaderState | None, now: ReaderState) -> bool:
    """Return whether a card was there before and is there now, but was pulled out in between."""
    return before is not None and before.present and now.present and before.event_counter != now.event_counter


def _without_use(states: Sequence[ReaderState]) -> list[ReaderState]:
    """Return the states but for whether some program is connected."""
    return [replace(state, in_use=False) for state in states]


def _without_card(state: ReaderState) -> ReaderState:
    return ReaderState(state.name, event_counter=state.event_counter - 1 & 0xFFFF)
