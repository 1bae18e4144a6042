"""A person who is there for months: answers every question at once and keeps none of them."""

from __future__ import annotations

from typing import Any, Final, cast

from agent.interaction import AnswerT, ConsentQuestion, ConsentReply, PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from hca_card.pin import Pin

PIN: Final = "123456"


class Patient(ScriptedInteraction):
    """Types the PIN and says yes, always.

    Attributes:
        pins: how often a PIN was typed.
        told: how many notices were shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pins = 0
        self.told = 0

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Answer it."""
        return cast("AnswerT | None", self._at_once(question))

    def _at_once(self, question: Question[Any]) -> object:
        if isinstance(question, PinQuestion):
            self.pins += 1
            return Pin(PIN)
        if isinstance(question, ConsentQuestion):
            return ConsentReply.YES
        raise TypeError(question)

    async def notify(self, *_words: object) -> None:
        """Be told."""
        self.told += 1
