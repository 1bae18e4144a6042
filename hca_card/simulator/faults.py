"""What goes wrong with cards, each as a wrapper around any card."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from typing import Final

from pcsc.winscard import VirtualCard


class Wrapper:
    """A card that behaves as the card inside; the faults below change one thing."""

    def __init__(self, card: VirtualCard) -> None:
        self._card = card

    def power_on(self) -> bytes:
        """As the card inside."""
        return self._card.power_on()

    def power_off(self) -> None:
        """As the card inside."""
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        """As the card inside."""
        return self._card.transmit(command)


class Slow(Wrapper):
    """Takes `seconds` longer for every command."""

    def __init__(self, card: VirtualCard, seconds: float) -> None:
        super().__init__(card)
        self._seconds = seconds

    def transmit(self, command: bytes) -> bytes:
        """As the card inside, later."""
        time.sleep(self._seconds)
        return super().transmit(command)


class Mute(Wrapper):
    """Gives no ATR and no answer: upside down, dirty or dead."""

    def power_on(self) -> bytes:
        """Nothing."""
        return b""

    def transmit(self, command: bytes) -> bytes:
        """Nothing."""
        return b""


class Torn(Wrapper):
    """Cuts responses of more than 64 bytes: in turn to their first half, to one byte, and by their last byte.

    Short responses stay whole, so that the card is recognised and its PIN can be verified: the cuts come
    in records, certificates and signatures, where what is left still looks like something. The last two
    bytes of what is left stand where the status word should.
    """

    _LONGEST_WHOLE: Final = 64
    _CUTS: Final[tuple[Callable[[int], int], ...]] = (
        lambda whole: whole // 2,
        lambda _: 1,
        lambda whole: whole - 1,
    )

    def __init__(self, card: VirtualCard) -> None:
        super().__init__(card)
        self._cuts = cycle(self._CUTS)

    def transmit(self, command: bytes) -> bytes:
        """As the card inside, cut."""
        response = super().transmit(command)
        if len(response) <= self._LONGEST_WHOLE:
            return response
        return response[: next(self._cuts)(len(response))]


class Endless(Wrapper):
    """Answers a command that begins with `header`, and every GET RESPONSE after it, with "more to come"."""

    _MORE: Final = bytes.fromhex("0061FF")

    def __init__(self, card: VirtualCard, header: bytes) -> None:
        super().__init__(card)
        self._header = header
        self._caught = False

    def power_on(self) -> bytes:
        """As the card inside; a new beginning."""
        self._caught = False
        return super().power_on()

    def transmit(self, command: bytes) -> bytes:
        """As the card inside, unless the command is the one that never ends."""
        self._caught = command.startswith(self._header) or (self._caught and command[1:2] == b"\xc0")
        return self._MORE if self._caught else super().transmit(command)
