"""A PC/SC context: the readers, their states, waiting for a change."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from pcsc.apdu_processors import LengthForm
from pcsc.atr import without_extra
from pcsc.errors import CancelledError, PcscError, ReaderUnavailableError, ServiceUnavailableError
from pcsc.pinpad import Features
from pcsc.results import ReturnCode, check, unsigned
from pcsc.trace import Observe
from pcsc.winscard import (
    COUNTER_SHIFT,
    INFINITE,
    PNP_NOTIFICATION,
    SCOPE_SYSTEM,
    SCOPE_USER,
    ReaderFlags,
    Winscard,
)

_LONGEST_BLIND_WAIT: Final = 1.0
"""Seconds between two looks at the list of readers where the service cannot announce them (macOS, or more
readers than one call takes), or cannot wait at all."""

_CANCEL_AGAIN: Final = 0.01

_PRESENT, _MUTE, _EXCLUSIVE = int(ReaderFlags.PRESENT), int(ReaderFlags.MUTE), int(ReaderFlags.EXCLUSIVE)
_IN_USE, _CHANGED = int(ReaderFlags.INUSE), int(ReaderFlags.CHANGED)
_UNAVAILABLE: Final = int(ReaderFlags.UNAVAILABLE | ReaderFlags.UNKNOWN)
_UNNAMEABLE: Final = int(ReaderFlags.UNNAMEABLE)


_SPOILT: Final = frozenset(
    (ReturnCode.UNKNOWN_READER, ReturnCode.READER_UNAVAILABLE, ReturnCode.INVALID_PARAMETER)
)


@dataclass(frozen=True, slots=True)
class ReaderState:
    """A reader as the service saw it at one moment.

    Attributes:
        name: the reader's PC/SC name.
        present: a card is in it, whether it answers or not.
        mute: the card does not answer.
        exclusive: a program has the card for itself.
        in_use: some program is connected to the card.
        unavailable: the reader is not (or no longer) there, or cannot be named.
        unnameable: it is there, and the service cannot be asked about it: its name does not get through.
        atr: the card's answer to reset; empty without a card or with a mute one.
        event_counter: counts insertions and removals, 16 bits. It starts anew when the reader is plugged in
            or the service restarts, and stays 0 on a platform that does not count.
        raw: the state as the service gave it, to be handed back in `Context.wait`.
    """

    name: str
    present: bool = False
    mute: bool = False
    exclusive: bool = False
    in_use: bool = False
    unavailable: bool = False
    unnameable: bool = False
    atr: bytes = b""
    event_counter: int = 0
    raw: int = field(default=0, compare=False, repr=False)

    @classmethod
    def decode(cls, name: str, state: int, atr: Sequence[int]) -> ReaderState:
        """Return the state that SCardGetStatusChange gave: flags below, event counter in the upper half."""
        # Numbers, not flags: this is done at each look and each visit, and flags take ten times as long.
        present = bool(state & _PRESENT)
        return cls(
            name,
            present=present,
            mute=bool(state & _MUTE),
            exclusive=bool(state & _EXCLUSIVE),
            in_use=bool(state & _IN_USE),
            unavailable=bool(state & _UNAVAILABLE),
            unnameable=bool(state & _UNNAMEABLE),
            atr=without_extra(bytes(atr)) if present else b"",
            event_counter=state >> COUNTER_SHIFT & 0xFFFF,
            raw=state & ~_CHANGED,
        )


def holds(name: str, part: str) -> bool:
    """Return whether a reader's name is `part`, or holds it, in whichever case."""
    return part.casefold() in name.casefold()


class Context:
    """One program's dealings with the service. Made by `Service.context`; a context manager.

    For one thread, except `cancel`. Close its connections first.

    Attributes:
        winscard: the functions of PC/SC.
        observe: called with every exchange in a transaction, or None.
        features: what the readers connected to say of themselves, by name.
        lengths: what was learnt of extended length, by reader and the ATR of the card in it.
        passed_extended: readers that have passed on a command of extended length.
        quiet: whether the service kept the last wait to its end because nothing changed.

    Raises:
        ServiceUnavailableError: from any method; this context is then of no more use, make a new one.
    """

    def __init__(self, winscard: Winscard, observe: Observe | None = None, only: str | None = None) -> None:
        self.winscard: Final = winscard
        self.observe: Final = observe
        self._only = only
        scope = SCOPE_USER if sys.platform == "win32" else SCOPE_SYSTEM
        code, handle = winscard.SCardEstablishContext(scope)
        check(code)
        self._handle: Any = handle
        self.features: Final[dict[str, Features]] = {}
        self.lengths: Final[dict[tuple[str, bytes], LengthForm]] = {}
        self.passed_extended: Final[set[str]] = set()
        self._pnp = True
        self._pnp_count = 0
        self._room: float = math.inf
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._cancelled = threading.Event()
        self._waits = 0
        self.quiet = False

    @property
    def handle(self) -> Any:
        """The SCARDCONTEXT.

        Raises:
            RuntimeError: the context has been closed.
        """
        if self._handle is None:
            raise RuntimeError("this PC/SC context has been closed")
        return self._handle

    def readers(self) -> list[str]:
        """Return the names of all readers, with or without a card; empty when there is none."""
        code, names = self.winscard.SCardListReaders(self.handle, [])
        if unsigned(code) == ReturnCode.NO_READERS_AVAILABLE:
            return []
        check(code)
        return [name for name in names if self._only is None or holds(name, self._only)]

    def states(self, names: Sequence[str]) -> list[ReaderState]:
        """Return the readers' states at this moment, in the order asked; a missing one is `unavailable`."""
        if not names:
            return []
        code, states = self._status_change(0, [(name, ReaderFlags.UNAWARE) for name in names])
        if code == ReturnCode.SUCCESS:
            return states
        if unsigned(code) in _SPOILT and len(names) > 1:
            # One unknown name spoils the whole call, and so do too many.
            return [state for name in names for state in self.states([name])]
        if unsigned(code) in (ReturnCode.UNKNOWN_READER, ReturnCode.READER_UNAVAILABLE):
            return [ReaderState(names[0], unavailable=True)]
        if unsigned(code) != ReturnCode.TIMEOUT:
            check(code)
        return states

    def look(self) -> list[ReaderState]:
        """All readers and their states, those that cannot be named too."""
        return [state for state in self.states(self.readers()) if state.unnameable or not state.unavailable]

    def wait(self, known: Sequence[ReaderState], timeout: float | None = None) -> bool:
        """Wait until a reader comes or goes, or a card does in one of the `known` readers.

        Args:
            known: the readers last seen; what has changed since then ends the wait at once.
            timeout: seconds; None waits for ever.

        Returns:
            True when something changed, False when it is only time to look again: the time is up, the
            service cannot announce readers, or cannot wait.

        Raises:
            CancelledError: `cancel` was called, during this wait or since the last one.
            ReaderUnavailableError: a known reader is not there any more.
        """
        with self._lock:
            self._waits += 1
            self._idle.clear()
        try:
            self._give_up_if_cancelled()
            return self._wait(known, timeout)
        except CancelledError:
            self._cancelled.clear()
            raise
        finally:
            self._idle.set()

    def _give_up_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError

    def _wait(self, known: Sequence[ReaderState], timeout: float | None) -> bool:
        self.quiet = False
        waiting: list[tuple[str, int]] = [(state.name, state.raw) for state in known if not state.unnameable]
        announced = self._pnp and len(waiting) < self._room
        if announced:
            # Where the service counts its readers, the count it last gave closes the gap between two waits.
            waiting.append((PNP_NOTIFICATION, self._pnp_count or len(known) << COUNTER_SHIFT))
        else:
            timeout = min(timeout or _LONGEST_BLIND_WAIT, _LONGEST_BLIND_WAIT)
        if not waiting:
            return self._wait_blindly(timeout)
        milliseconds = INFINITE if timeout is None else min(int(timeout * 1000), INFINITE)
        code, states = self._status_change(milliseconds, waiting)
        code = unsigned(code)
        if announced and states:
            self._pnp_count = states[-1].event_counter << COUNTER_SHIFT
        if code == ReturnCode.TIMEOUT:
            self.quiet = announced
            return False
        if announced and code == ReturnCode.INVALID_PARAMETER:
            # The service takes so many names in one call and no more (pcsc-lite 16): this one does not fit.
            self._room = len(waiting) - 1
            return False
        if announced and (code == ReturnCode.UNKNOWN_READER or (states and states[-1].unavailable)):
            self._pnp = not set(self.readers()) >= {state.name for state in known}
        if not self._pnp and announced:
            return False
        try:
            check(code)
        except (CancelledError, ReaderUnavailableError, ServiceUnavailableError):
            raise
        except PcscError:
            # Whatever it is, it would be the same again at once.
            return self._wait_blindly(timeout)
        return True

    def _wait_blindly(self, timeout: float | None) -> bool:
        self._cancelled.wait(min(timeout or _LONGEST_BLIND_WAIT, _LONGEST_BLIND_WAIT))
        self._give_up_if_cancelled()
        return False

    def _status_change(
        self, milliseconds: int, states: Sequence[tuple[str, int]]
    ) -> tuple[int, list[ReaderState]]:
        code, found = self.winscard.SCardGetStatusChange(self.handle, milliseconds, list(states))
        return code, [ReaderState.decode(*state) for state in found]

    def cancel(self) -> None:
        """End the wait that is going on, or else the next one, with `CancelledError`; for any thread.

        SCardCancel forgets a cancel that comes a moment before the wait, so this insists until it is over.
        """
        with self._lock:
            self._cancelled.set()
            waits = self._waits
        while True:
            # No other wait can begin under the lock, so that only the wait of before is cancelled.
            with self._lock:
                if self._idle.is_set() or self._waits != waits or self._handle is None:
                    return
                self.winscard.SCardCancel(self._handle)
            self._idle.wait(_CANCEL_AGAIN)

    def close(self) -> None:
        """Release the context; safe to call twice, and after the service stopped."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            self.winscard.SCardReleaseContext(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
