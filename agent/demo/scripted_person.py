"""The person at the demo's keyboard: types PINs by script, allows the portal, refuses strangers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from agent.interaction import (
    AnswerT,
    CardChoiceQuestion,
    ConsentQuestion,
    ConsentReply,
    PinQuestion,
    Question,
)
from agent.vocabulary import Errand
from hca_card.model import CardKind
from hca_card.pin import Pin

PIN: Final = "123456"
WRONG_PIN: Final = "987654"


class ScriptedPerson:
    """An `Interaction` for the demo's steps.

    Attributes:
        trusts: the one origin that this person allows.
        pins: what is typed next; `PIN` when there is nothing.
        chooses: the kind of card to choose where the agent asks; None chooses none.
        while_asked: called once, while the PIN is being asked; pulling the card, for example.
        asked: the PIN questions so far.
        refused: the origins this person said no to.
    """

    def __init__(self) -> None:
        self.trusts = ""
        self.pins: deque[str] = deque()
        self.chooses: CardKind | None = None
        self.while_asked: Callable[[], None] | None = None
        self.asked: list[PinQuestion] = []
        self.refused: list[str] = []

    @property
    def available(self) -> bool:
        """Always true."""
        return True

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return yes to the portal and no to everybody else, the next PIN, or the card of the kind chosen."""
        return cast("AnswerT | None", self._answer(question))

    def _answer(self, question: Question[Any]) -> object:
        match question:
            case ConsentQuestion(origin=origin):
                if origin != self.trusts:
                    self.refused.append(origin)
                return ConsentReply.YES if origin == self.trusts else ConsentReply.NO
            case PinQuestion():
                self.asked.append(question)
                act, self.while_asked = self.while_asked, None
                if act is not None:
                    act()
                return Pin(self.pins.popleft() if self.pins else PIN)
            case CardChoiceQuestion(cards=cards):
                return next((card for card in cards if card.kind is self.chooses), None)
        return None  # the demo's readers have no keypad, and it changes and unblocks no PIN

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """Ignore what needs no answer."""

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Change nothing: this person answers at once."""
