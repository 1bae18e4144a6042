"""A PIN kept for a session: bound to one card in one reader, wiped at its first failure.

Old portals hand over the PIN once and sign several times. The PIN is kept here, never the card's verified
state, and only as long as the very card it was verified on stays where it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from agent.errors import AgentError, ErrorId
from agent.vocabulary import SessionEnd
from hca_card.errors import CardChangedError
from hca_card.model import KeyUse
from hca_card.pin import Pin

_COUNTS: Final = 1 << 16


class KeptPin:
    """A verified PIN, usable on the card it was verified on, until it is wiped.

    Args:
        pin: copied; the giver wipes its own.
        owner: who may use it: one session of one origin.
        reader: the reader's name.
        serial: the card's number.
        event_counter: the reader's count of cards put in and taken out when the PIN was verified.

    Attributes:
        reader: the reader's name.
        serial: the card's number.
        certificates: of the card's keys, as far as they were read then or since; DER. Reading one takes a
            card longer than all other commands of a signature but the last. They may have been renewed since:
            `agent.operations.transaction_jobs.current_certificate` is the way to use them.
        chain: issuers of the signature key's certificate, where they were read; DER, nearest first.
        number: of the signing session that it is kept for, as it stands in the audit log; empty for none.
        ended: why it was wiped; None as long as it is kept.
        on_end: called once when it is wiped, in whichever thread that happens.
    """

    __slots__ = (
        "__weakref__",
        "_event_counter",
        "_lock",
        "_owner",
        "_pin",
        "certificates",
        "chain",
        "ended",
        "number",
        "on_end",
        "reader",
        "serial",
    )

    def __init__(self, pin: Pin, *, owner: object, reader: str, serial: str, event_counter: int) -> None:
        self.reader = reader
        self.serial = serial
        self.certificates: dict[KeyUse, bytes] = {}
        self.chain: tuple[bytes, ...] = ()
        self.number = ""
        self.ended: SessionEnd | None = None
        self.on_end: Callable[[], None] | None = None
        self._owner = owner
        self._pin = pin.copy()
        self._event_counter = event_counter
        self._lock = threading.Lock()

    def require_owner(self, asking: object) -> None:
        """Refuse anybody but the session that it was kept for.

        Raises:
            AgentError: pin.not_kept: for this one there is none.
        """
        if asking != self._owner:
            raise AgentError(ErrorId.PIN_NOT_KEPT)

    def for_card(self, *, reader: str, serial: str, event_counter: int) -> Pin:
        """Return a copy of the PIN for the card in the transaction at hand, to be wiped after its one VERIFY.

        Raises:
            AgentError: pin.not_kept: it has been wiped.
            CardChangedError: another card, another reader, or the card was taken out in between; the PIN is
                wiped and no try is spent.
        """
        with self._lock:
            if self._pin.wiped:
                raise AgentError(ErrorId.PIN_NOT_KEPT)
            if (reader, serial, event_counter) == (self.reader, self.serial, self._event_counter):
                return self._pin.copy()
        self.wipe(SessionEnd.CARD)
        raise CardChangedError

    def replace(self, pin: Pin) -> None:
        """Keep `pin` instead, copied: the card has it now. Without effect once this has been wiped."""
        with self._lock:
            if not self._pin.wiped:
                self._pin.wipe()
                self._pin = pin.copy()

    def take(self) -> Pin:
        """Return the PIN itself, which is not kept here any more; whoever takes it wipes it.

        Raises:
            AgentError: pin.not_kept: it has been wiped.
        """
        with self._lock:
            if self._pin.wiped:
                raise AgentError(ErrorId.PIN_NOT_KEPT)
            taken = self._pin.copy()
            self._pin.wipe()
            return taken

    def holds(self, event_counter: int) -> bool:
        """Whether the card has not been touched, going by the reader's count."""
        return event_counter == self._event_counter

    def ended_by(self, *, present: bool, event_counter: int) -> bool:
        """Whether such news of its reader means that its card was touched.

        News that was on its way when the PIN was verified has a smaller count and says nothing. Whoever uses
        the PIN compares the counts again (`for_card`). The count has 16 bits and begins anew after the last.
        """
        later = (event_counter - self._event_counter) % _COUNTS
        return not present if later == 0 else later < _COUNTS // 2

    @property
    def wiped(self) -> bool:
        """Whether the PIN has been wiped; whatever was using it ends."""
        with self._lock:
            return self._pin.wiped

    def wipe(self, why: SessionEnd = SessionEnd.CLOSED) -> None:
        """Forget the PIN; safe to call twice and from any thread. The first reason counts."""
        with self._lock:
            self._pin.wipe()
            if self.ended is not None:
                return
            self.ended = why
        if self.on_end is not None:
            self.on_end()

    def __repr__(self) -> str:
        return f"KeptPin({self.reader!r}, …)"


class WrongPins:
    """Which origins had a PIN sent to a card not long ago that was wrong, or may have been.

    Args:
        seconds: for how long that is remembered.
        clock: seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._at: dict[str | None, float] = {}

    def note(self, origin: str | None) -> None:
        """Take down that a PIN of `origin` was wrong just now, or may have been; from any thread."""
        with self._lock:
            self._at = {each: at for each, at in self._at.items() if self._recent(at)}
            self._at[origin] = self._clock()

    def clear(self, origin: str | None) -> None:
        """Forget it: a PIN of `origin` was right."""
        with self._lock:
            self._at.pop(origin, None)

    def recent(self, origin: str | None) -> bool:
        """Whether one of `origin` was wrong not long ago."""
        return self.left(origin) > 0

    def left(self, origin: str | None) -> float:
        """Return for how many seconds more one of `origin` is remembered; 0 where none is."""
        with self._lock:
            at = self._at.get(origin)
        return 0.0 if at is None else max(0.0, at + self._seconds - self._clock())

    def _recent(self, at: float) -> bool:
        return self._clock() - at < self._seconds
