"""A PIN kept for a session: bound to one card in one reader, gone at its first failure.

Old portals hand over the PIN once and sign several times. The PIN is kept here, never the card's verified
state, and only as long as the very card it was verified on stays where it is.
"""

from __future__ import annotations

import threading

from agent.errors import AgentError
from hca_card.errors import CardChangedError
from hca_card.pin import Pin


class KeptPin:
    """A verified PIN, usable on the card it was verified on, until it is wiped.

    Args:
        pin: copied; the giver wipes its own.
        reader: the reader's name.
        serial: the card's number.
        event_counter: the reader's count of cards put in and taken out when the PIN was verified.

    Attributes:
        reader: the reader's name.
    """

    __slots__ = ("__weakref__", "_event_counter", "_lock", "_pin", "_serial", "reader")

    def __init__(self, pin: Pin, *, reader: str, serial: str, event_counter: int) -> None:
        self.reader = reader
        self._pin = pin.copy()
        self._serial = serial
        self._event_counter = event_counter
        self._lock = threading.Lock()

    def for_card(self, *, reader: str, serial: str, event_counter: int) -> Pin:
        """A copy of the PIN for the card in the transaction at hand, to be wiped after its one VERIFY.

        Raises:
            AgentError: pin.not_kept: it has been wiped.
            CardChangedError: another card, another reader, or the card was taken out in between; the PIN is
                wiped and no try is spent.
        """
        with self._lock:
            if self._pin.wiped:
                raise AgentError("pin.not_kept")
            if (reader, serial, event_counter) != (self.reader, self._serial, self._event_counter):
                self._pin.wipe()
                raise CardChangedError
            return self._pin.copy()

    def holds(self, event_counter: int) -> bool:
        """Whether the card has not been touched, going by the reader's count."""
        return event_counter == self._event_counter

    @property
    def wiped(self) -> bool:
        """Whether the PIN is gone; whatever was using it ends."""
        with self._lock:
            return self._pin.wiped

    def wipe(self) -> None:
        """Forget the PIN; safe to call twice and from any thread."""
        with self._lock:
            self._pin.wipe()

    def __repr__(self) -> str:
        return f"KeptPin({self.reader!r}, …)"
