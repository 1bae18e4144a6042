"""Where readers of traces put what they find: a slot of a reader, then its resets, commands and answers."""

from __future__ import annotations

from typing import Protocol

from hca_card.traces.secrets import PinShape


class Sink(Protocol):
    """Takes what one file holds, in its order. Whatever is put here is masked before it is kept."""

    def reset(self, slot: str, atr: bytes) -> None:
        """Take a reset and what the card answered to it."""
        ...

    def present(self, slot: str, atr: bytes) -> None:
        """Take the answer to reset of the card that is in a slot, told at whatever moment."""
        ...

    def command(self, slot: str, raw: bytes) -> None:
        """Take a command APDU, or a piece of one by command chaining."""
        ...

    def response(self, slot: str, raw: bytes) -> None:
        """Take a response APDU."""
        ...

    def keypad(self, slot: str, header: bytes, shape: PinShape | None) -> None:
        """Take a PIN entry on the reader's keypad; the next answer is the card's to it."""
        ...

    def note(self, zh: str, en: str) -> None:
        """Take a sentence for the person, once."""
        ...
