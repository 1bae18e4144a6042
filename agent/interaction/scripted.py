"""Interactions without a screen: nobody at all, a PIN given beforehand, a script for tests and demo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, BinaryIO, Final, cast

from agent.errors import AgentError, ErrorId
from agent.interaction import (
    AnswerT,
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    ConsentReply,
    ErrandQuestion,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    Question,
    UnblockQuestion,
)
from agent.vocabulary import Errand, Verb
from hca_card.errors import PinLastTryError
from hca_card.pin import Pin

_PIN_LINE_MAX: Final = 64
# What PowerShell and editors of Windows write first; no PIN has it.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Headless:
    """Nobody to ask: unknown means no, and no PIN is to be had."""

    @property
    def available(self) -> bool:
        """Never."""
        return False

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Nobody answers."""
        return None

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """Nobody hears."""

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Nobody is asked about a card."""


class GivenPin(Headless):
    """PINs that the person gave beforehand (`--pin-stdin`), for their own commands alone.

    Each is used once, never for a page, and never on the last try: nobody is there for the extra yes.

    Args:
        pins: owned by this; wiped when used or closed.
    """

    def __init__(self, *pins: Pin) -> None:
        self._pins = list(pins)

    @classmethod
    def read(cls, stream: BinaryIO, count: int = 1) -> GivenPin:
        """Take the first lines of `stream`, without their line ends.

        Raises:
            ValueError: nothing there, too long, or characters that no PIN has.
        """
        given = cls()
        try:
            for _ in range(count):
                given._pins.append(read_pin(stream))
        except BaseException:
            given.close()
            raise
        return given

    @property
    def available(self) -> bool:
        """Until the last PIN has been used."""
        return bool(self._pins)

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return the next PIN, for the person's own command.

        Raises:
            PinLastTryError: only one try is left.
            AgentError: card.ambiguous: nobody chooses.
        """
        if isinstance(question, CardChoiceQuestion):
            raise AgentError(ErrorId.CARD_AMBIGUOUS)
        if not isinstance(question, PinQuestion) or question.origin is not None or not self._pins:
            return None
        with self._pins.pop(0) as pin:
            if question.status.last_try:
                raise PinLastTryError(tries_left=1)
            return cast(AnswerT, pin.copy())

    def close(self) -> None:
        """Forget the PINs."""
        while self._pins:
            self._pins.pop().wipe()


class SimulatedCardsPin(Headless):
    """The PIN of simulated cards, for a portal's automated tests (`run --simulate … --pin-stdin`).

    Nobody is there. The PIN is given as often as it is asked for, to cards that the simulator issued and to
    no other, and never for a last try; of several cards that would do, the first is taken. Sites that nothing
    allows yet are refused.

    Args:
        pin: owned by this; wiped when closed.
    """

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    @property
    def available(self) -> bool:
        """Until it is closed."""
        return not self._pin.wiped

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return a copy of the PIN, or the first card.

        Raises:
            PinLastTryError: only one try is left.
            AgentError: interaction.unavailable: whatever only a person can answer.
        """
        if isinstance(question, CardChoiceQuestion) and question.cards[0].simulated:
            return cast(AnswerT, question.cards[0])
        if not isinstance(question, PinQuestion) or not question.card.simulated:
            raise AgentError(ErrorId.INTERACTION_UNAVAILABLE)
        if question.status.last_try:
            raise PinLastTryError(tries_left=1)
        return cast(AnswerT, self._pin.copy())

    def close(self) -> None:
        """Forget the PIN."""
        self._pin.wipe()


def read_pin(stream: BinaryIO) -> Pin:
    """Return the PIN in the next line of `stream`, without its line end.

    Raises:
        ValueError: nothing there, too long, or characters that no PIN has.
    """
    line = bytearray(stream.readline(_PIN_LINE_MAX))
    try:
        while line.endswith((b"\n", b"\r")):
            line.pop()
        if line.startswith(_BYTE_ORDER_MARK):
            del line[: len(_BYTE_ORDER_MARK)]
        if not line or len(line) >= _PIN_LINE_MAX:
            raise ValueError("standard input holds no PIN")
        return Pin(line)
    finally:
        line[:] = bytes(len(line))


class ScriptedInteraction:
    """A person who answers by script; every question is kept, without the PIN.

    Args:
        pins: given in turn, one for each question; None is a person who cancels, and so is the end.
        consents: by verb; a verb that is missing is refused. None as a value is a person who never answers;
            `ConsentReply.NO_TO_UNKNOWN` one who refuses all unknown sites.
        chosen: picks among several cards; None is a person who cancels.
        available: whether this person can be asked at all.
        pairs: old and new PIN, or PUK and new PIN, given in turn; None and the end as for `pins`.
        errands: those that this person says yes to.

    Attributes:
        questions: what was asked, in order.
        keypads: for what the person was pointed to the reader's keypad.
        notices: what `notify` was given, in order, as (zh, en).
        offers: the errand that each of them offered.
    """

    def __init__(
        self,
        pins: Iterable[str | None] = (),
        consents: Mapping[Verb, bool | ConsentReply | None] | None = None,
        chosen: Callable[[tuple[CardShown, ...]], CardShown | None] = lambda _cards: None,
        *,
        available: bool = True,
        pairs: Iterable[tuple[str, str] | None] = (),
        errands: Collection[Errand] = frozenset(Errand),
    ) -> None:
        self._pins = iter(pins)
        self._pairs = iter(pairs)
        self._consents: Mapping[Verb, bool | ConsentReply | None] = (
            dict.fromkeys(Verb, True) if consents is None else consents
        )
        self._chosen = chosen
        self._available = available
        self._errands = errands
        self.questions: list[Question[Any]] = []
        self.keypads: list[KeypadQuestion] = []
        self.notices: list[tuple[str, str]] = []
        self.offers: list[Errand | None] = []

    @property
    def available(self) -> bool:
        """As the script says."""
        return self._available

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return the script's next answer to such a question."""
        if isinstance(question, KeypadQuestion):
            self.keypads.append(question)
            return None
        self.questions.append(question)
        return cast("AnswerT | None", self._answer(question))

    def _answer(self, question: Question[Any]) -> object:
        match question:
            case ConsentQuestion():
                answers = [self._consents.get(verb, False) for verb in question.verbs]
                if ConsentReply.NO_TO_UNKNOWN in answers:
                    return ConsentReply.NO_TO_UNKNOWN
                reply = ConsentReply.YES if all(answers) else ConsentReply.NO
                return None if None in answers else reply
            case PinQuestion():
                characters = next(self._pins, None)
                return None if characters is None else Pin(characters)
            case NewPinQuestion() | UnblockQuestion():
                pair = next(self._pairs, None)
                return None if pair is None else (Pin(pair[0]), Pin(pair[1]))
            case ErrandQuestion(errand=errand):
                return ConsentReply.YES if errand in self._errands else ConsentReply.NO
            case CardChoiceQuestion():
                return self._chosen(question.cards)
        raise TypeError(question)

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """Kept in `notices`, and in `offers`."""
        self.notices.append((zh, en))
        self.offers.append(errand)

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Change nothing: this person answers at once."""
