"""A PIN that is asked once for all the files of one command."""

from __future__ import annotations

from typing import cast

from agent.interaction import AnswerT, Interaction, NewPinQuestion, PinQuestion, Question, UnblockQuestion
from agent.vocabulary import Errand
from hca_card.pin import Pin


class AskedOnce:
    """Asks `inner` for a PIN once, and gives copies of it for the same card until it ends.

    A context manager: leaving it wipes the PIN. What was kept is also wiped when the card is another one or
    has fewer tries left, so that it can never spend a second try.

    Args:
        inner: who is really asked.
    """

    def __init__(self, inner: Interaction) -> None:
        self._inner = inner
        self._pin: Pin | None = None
        self._card: tuple[str, str, int | None] | None = None

    @property
    def available(self) -> bool:
        """Whether the PIN is here already, or else as `inner` says."""
        return self._pin is not None or self._inner.available

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return the PIN given before for this very card, else what `inner` answers."""
        if isinstance(question, PinQuestion) and question.terms is None:  # a signing session keeps its own
            card = (question.card.reader, question.card.serial, question.status.tries_left)
            if self._pin is None or self._card != card:
                self.wipe()
                self._pin, self._card = await self._inner.ask(question), card
            return None if self._pin is None else cast(AnswerT, self._pin.copy())
        if isinstance(question, NewPinQuestion | UnblockQuestion):
            self.wipe()
        return await self._inner.ask(question)

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """As `inner` does."""
        await self._inner.notify(zh, en, errand)

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Pass it on to `inner`."""
        self._inner.cards_moved(readers)

    def wipe(self) -> None:
        """Forget the PIN."""
        if self._pin is not None:
            self._pin.wipe()
        self._pin = None

    def __enter__(self) -> AskedOnce:
        return self

    def __exit__(self, *_details: object) -> None:
        self.wipe()
