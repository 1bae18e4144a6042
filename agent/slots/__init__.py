"""Where a card can be visited: a reader of the smart card service, and whatever else holds a card.

A slot is used by one thread, its reader's. What is done there sees only a `Visit`, and cannot tell how the
card is reached.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from hca_card.model import Card, Keypad


class Visit(Protocol):
    """The card for oneself, for a moment; nothing of it may be kept.

    Attributes:
        reader: the reader's name.
        atr: the card's answer to reset; empty where there is none.
        event_counter: how often cards were put in and taken out until this very card was in; the visit ends
            with an error when it goes.
    """

    @property
    def reader(self) -> str: ...  # noqa: D102

    @property
    def atr(self) -> bytes: ...  # noqa: D102

    @property
    def event_counter(self) -> int: ...  # noqa: D102

    @property
    def pin_pad(self) -> Keypad | None:
        """The reader's own keypad, or None."""
        ...

    def card(self) -> Card:
        """Return the card, recognised anew.

        Raises:
            UnknownCardError: no application known to us answered.
            UnsupportedError: a card that must not be sent anything here.
            CardDataError: an application answered, and what it says cannot be.
            PcscError: the link or the card failed.
        """
        ...


class CardSlot(Protocol):
    """One reader, as its thread reaches it."""

    def visit(self) -> AbstractContextManager[Visit]:
        """Have the card for the length of the block; entering may wait for other programs.

        Raises:
            PcscError: there is no card, or it cannot be reached.
        """
        ...

    def forget(self) -> None:
        """Let go of everything that is kept open between visits."""
        ...
