"""One virtual reader: what happens to it, as tests and `--simulate` make it happen."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from pcsc.results import check
from pcsc.winscard import COUNTER_SHIFT, SCOPE_SYSTEM, CardProtocol, Disposition, Share, State, VirtualCard

if TYPE_CHECKING:
    from pcsc.virtual import VirtualWinscard


class PinEntry(IntEnum):
    """What the keypad asks for."""

    CURRENT = 0
    NEW = 1
    REPEATED = 2


_WATCHED: Final = State.EMPTY | State.PRESENT | State.MUTE | State.EXCLUSIVE
"""What a wait ends for, beside the event counter: pcsc-lite lets INUSE come and go unannounced."""

Typed = Callable[[PinEntry], bytes | None]
"""What the person types on the keypad: digits as ASCII, or None for the cancel key."""


class VirtualReader:
    """A reader that exists in this process only; made by `VirtualWinscard.add_reader`.

    All its methods are safe to call from any thread, in the middle of a command too.

    Attributes:
        name: its PC/SC name.
        typed: gives what the person types; None for a reader without keypad.
    """

    def __init__(self, winscard: VirtualWinscard, name: str, typed: Typed | None) -> None:
        self._winscard = winscard
        self._changed: Final[threading.Condition] = winscard.changed
        self.name: Final = name
        self.typed: Final = typed
        self.plugged = True
        self.card: VirtualCard | None = None
        self.atr = b""
        self.powered = False
        self.busy = False
        self.counter = 0
        self.resets = 0
        self.sharers = 0
        self.exclusive = False
        self.owner: object | None = None
        self.depth = 0

    # What the outside world does to a reader.

    def insert(self, card: VirtualCard) -> None:
        """Put a card in; it is powered at once, as a real service does to learn its ATR.

        Raises:
            ValueError: there is a card in the reader.
        """
        with self._changed:
            if self.card is not None:
                raise ValueError(f"{self.name} holds a card already")
            self.card = card
            self.counter = self.counter + 1 & 0xFFFF
            if self._winscard.running:
                self.power_on()
            self._changed.notify_all()

    def remove(self) -> None:
        """Pull the card out; nothing happens to an empty reader."""
        with self._changed:
            self._take_out()
            self._changed.notify_all()

    def unplug(self) -> None:
        """Pull the reader out of the computer, with the card in it."""
        with self._changed:
            self.plugged = False
            self._take_out()
            self._winscard.forget(self)
            self._changed.notify_all()

    def reset_by_other_program(self) -> None:
        """Reset the card under everybody's hands, as Windows does to a transaction idle for 5 seconds."""
        with self._changed:
            self.reset()
            self._changed.notify_all()

    @contextmanager
    def hold_exclusively(self) -> Iterator[None]:
        """Be another program that has the card for itself.

        Raises:
            ReaderBusyError: some connection is open; then no program is given the card exclusively.
        """
        winscard = self._winscard
        code, context = winscard.SCardEstablishContext(SCOPE_SYSTEM)
        check(code)
        try:
            protocols = int(CardProtocol.T0 | CardProtocol.T1)
            code, card, _ = winscard.SCardConnect(context, self.name, Share.EXCLUSIVE, protocols)
            check(code, reader=self.name)
            yield
            winscard.SCardDisconnect(card, Disposition.LEAVE)
        finally:
            winscard.SCardReleaseContext(context)

    # What the service does; the caller holds the lock.

    @property
    def state(self) -> int:
        """The reader's state without CHANGED, event counter above."""
        if self.card is None:
            flags = State.EMPTY
        else:
            flags = State.PRESENT
            if not self.atr:
                flags |= State.MUTE
            if self.exclusive:
                flags |= State.EXCLUSIVE | State.INUSE
            elif self.sharers:
                flags |= State.INUSE
        return self.counter << COUNTER_SHIFT | flags

    def seen(self, current: int) -> int:
        """The state as SCardGetStatusChange tells it to someone who knew `current`."""
        state = self.state
        differs = bool((state ^ current) & _WATCHED)
        if current >> COUNTER_SHIFT:
            differs |= state >> COUNTER_SHIFT != current >> COUNTER_SHIFT
        return state | int(State.CHANGED) if differs else state

    def power_on(self) -> None:
        """Give the card power, or reset it where it has."""
        if self.card is not None:
            self.atr = self.card.power_on()
            self.powered = bool(self.atr)

    def power_off(self) -> None:
        """Take the card's power; every connection finds the card reset."""
        if self.card is not None:
            self.powered = False
            self.resets += 1
            self.card.power_off()
        self.release()

    def reset(self) -> None:
        """Reset the card; every connection finds it so, and a transaction is over."""
        self.power_on()
        self.resets += 1
        self.release()

    def release(self) -> None:
        """End the transaction, whoever holds it."""
        self.owner = None
        self.depth = 0
        self._changed.notify_all()

    def _take_out(self) -> None:
        card, self.card = self.card, None
        self.atr = b""
        self.powered = False
        self.release()
        if card is not None:
            self.counter = self.counter + 1 & 0xFFFF
            with contextlib.suppress(Exception):
                card.power_off()
