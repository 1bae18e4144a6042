"""One virtual reader: what happens to it, as tests and `--simulate` make it happen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pcsc.results import ReturnCode, error
from pcsc.virtual.keypad import KeypadInput
from pcsc.virtual.state import ServiceState
from pcsc.winscard import COUNTER_SHIFT, ReaderFlags, VirtualCard

_CHANGED: Final = int(ReaderFlags.CHANGED)
_WATCHED: Final = int(ReaderFlags.EMPTY | ReaderFlags.PRESENT | ReaderFlags.MUTE | ReaderFlags.EXCLUSIVE)
"""What a wait ends for, beside the event counter: pcsc-lite lets INUSE come and go unannounced."""


class VirtualReader:
    """A reader that exists in this process only; made by `VirtualWinscard.add_reader`.

    All its methods are safe to call from any thread, in the middle of a command too.

    Attributes:
        name: its PC/SC name.
        typed: gives what the person types; None for a reader without keypad.
    """

    def __init__(self, world: ServiceState, name: str, typed: KeypadInput | None) -> None:
        self._world = world
        self._changed = world.changed
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
            if self._world.running:
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
        with self._changed:
            if self.sharers:
                raise error(ReturnCode.SHARING_VIOLATION, reader=self.name)
            self.sharers, self.exclusive = 1, True
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.sharers, self.exclusive = 0, False
                self._changed.notify_all()

    # What the service does; the caller holds the lock.

    @property
    def state(self) -> int:
        """The reader's state without CHANGED, event counter above."""
        if self.card is None:
            flags = ReaderFlags.EMPTY
        else:
            flags = ReaderFlags.PRESENT
            if not self.atr:
                flags |= ReaderFlags.MUTE
            if self.exclusive:
                flags |= ReaderFlags.EXCLUSIVE | ReaderFlags.INUSE
            elif self.sharers:
                flags |= ReaderFlags.INUSE
        # Numbers from here on: Python keeps every combination of flags that it has seen, for good.
        return self.counter << COUNTER_SHIFT | int(flags)

    def state_since(self, current: int) -> int:
        """Return the state as SCardGetStatusChange gives it, with CHANGED if it differs from `current`."""
        state = self.state
        differs = bool((state ^ current) & _WATCHED)
        if current >> COUNTER_SHIFT:
            differs |= state >> COUNTER_SHIFT != current >> COUNTER_SHIFT
        return state | _CHANGED if differs else state

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
