"""What a request needs of a card, and which card is taken where several are there."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from agent.errors import AgentError, ErrorId
from agent.interaction import CardChoiceQuestion, Interaction
from agent.operations.certificate_facts import facts_about
from agent.operations.messages import Caller, ReaderView
from agent.operations.readers import Readers, candidates, named
from agent.operations.transaction_jobs import CardSnapshot, look, look_for_key
from agent.slots import Visit
from agent.vocabulary import KIND_WORDS
from agent.workers import Workers
from hca_card.atr_hints import only_kinds
from hca_card.errors import CardChangedError, CardError
from hca_card.model import Card, CardKind, KeyUse
from pcsc.context import ReaderState
from pcsc.errors import PcscError
from pcsc.status import StatusError
from signing.errors import SigningError

_NOTHING_BUT_DATA = frozenset((CardKind.NHI,))
"""Kinds without a key, certificate or PIN that an ordinary reader can use."""


@dataclass(frozen=True, slots=True)
class CardRequirement:
    """What a card must be and have; one that says nothing takes any card that is known.

    Attributes:
        kinds: one of these; empty for any.
        key: a key of this use, with its certificate.
        certificate: any certificate.
        pin: a PIN that can be used.
        serial: the number of the very card; empty for any.
        rsa: the key is to be RSA; looked at before anybody is asked for the PIN.
        recipient: raises SigningError for the certificate of a key that nothing was encrypted for; None for
            any.
    """

    kinds: frozenset[CardKind] = frozenset()
    key: KeyUse | None = None
    certificate: bool = False
    pin: bool = False
    serial: str = ""
    rsa: bool = False
    recipient: Callable[[bytes], object] | None = None

    def met_by(self, card: CardSnapshot) -> bool:
        """Return whether a card will do."""
        return (
            (not self.kinds or card.kind in self.kinds)
            and self.serial in ("", card.serial)
            and (self.key is None or self.key in card.keys)
            and (not (self.certificate or self.key) or bool(card.certificate))
            and (not self.pin or card.pin is not None)
        )

    def may_fit(self, atr: bytes) -> bool:
        """Return whether a card with this ATR can do at all; where not, no command needs to be sent to it."""
        only = only_kinds(atr)
        if only is None:
            return True
        if only == _NOTHING_BUT_DATA and (self.key or self.certificate or self.pin):
            return False
        return not self.kinds or bool(self.kinds & only)

    def require(self, card: Card) -> None:
        """Refuse a card of another kind, or one that is not the very card.

        Raises:
            AgentError: card.wrong_kind, which names the kinds that are wanted.
            CardChangedError: the card wanted is no longer there.
        """
        if self.kinds and card.kind not in self.kinds:
            raise self.wrong_kind()
        if self.serial not in ("", card.serial):
            raise CardChangedError

    def is_recipient(self, card: CardSnapshot) -> bool:
        """Return whether something was encrypted for a card that was looked at for its encryption key."""
        try:
            if self.recipient is not None:
                self.recipient(card.certificate)
        except SigningError:
            return False
        return True

    def wrong_kind(self) -> AgentError:
        """Return the error for a card of another kind."""
        words = [KIND_WORDS[kind] for kind in CardKind if kind in self.kinds]
        wanted = ("、".join(zh for zh, _ in words), " or ".join(en for _, en in words))
        return AgentError(ErrorId.CARD_WRONG_KIND, wanted=wanted)


_Chooser = str | Caller
"""All pages of an origin choose together; each local program for itself."""

_REMEMBERED_MAX: Final = 256
_CARDS_MAX: Final = 8
_UNKNOWN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the card in a reader, until it is taken out.

    Attributes:
        event_counter: of the reader, since when it has been there.
        atr: its answer to reset.
        card: None for a card that could not be made out.
        at: seconds of the monotonic clock.
    """

    event_counter: int
    atr: bytes
    card: CardSnapshot | None
    at: float

    def holds_for(self, view: ReaderView) -> bool:
        """Return whether it still holds; an unknown card may be made out at a later try."""
        if (self.event_counter, self.atr) != (view.event_counter, view.atr):
            return False
        return self.card is not None or time.monotonic() - self.at < _UNKNOWN_SECONDS


@dataclass(frozen=True, slots=True)
class _VeryCard:
    """One card in one reader, from its being put in to its being taken out."""

    reader: str
    serial: str
    event_counter: int

    @classmethod
    def of(cls, card: CardSnapshot) -> _VeryCard:
        return cls(card.reader, card.serial, card.event_counter)


class CardSelection:
    """Picks the reader named, else the only one whose card will do, else the one chosen last, else asks.

    What is found out of a card here is kept for as long as it stays, so that the same cards are not asked
    again with each request; whoever works with a card recognises it anew all the same.
    """

    def __init__(self, readers: Readers, workers: Workers, interaction: Interaction) -> None:
        self._readers = readers
        self._workers = workers
        self._interaction = interaction
        self._known: dict[str, _Known] = {}
        self._looks: dict[ReaderView, asyncio.Task[CardSnapshot | None]] = {}
        self._chosen: OrderedDict[_Chooser, list[_VeryCard]] = OrderedDict()
        self._turns: WeakValueDictionary[_Chooser, asyncio.Lock] = WeakValueDictionary()

    async def pick(self, caller: Caller, reader: str | None, requirement: CardRequirement) -> str:
        """Return the name of a reader with a card. With one candidate no command is sent to it here.

        Args:
            caller: what the person last chose for it holds until that very card is taken out, for all
                pages of an origin, and for whatever that card will do.
            reader: the reader named in the request.
            requirement: what the card must be and have.

        Raises:
            AgentError: card.ambiguous: nobody can be asked; request.cancelled: the person would not say;
                card.wrong_kind: of several cards none is of the kinds needed; busy, card.timeout.
            pcsc.errors.PcscError: no reader, no card, or none that can be used.
        """
        if reader is not None:
            # Where it was visited before, the next visit will say whether it is still there.
            return reader if self._workers.known(reader) else named(await self._readers.look(), reader).name
        settled = await self._settle(caller, requirement)
        if isinstance(settled, str):
            return settled
        chooser = caller.origin or caller
        async with self._turns.setdefault(chooser, asyncio.Lock()):
            # The question before this one may have answered it, and cards may have moved meanwhile.
            settled = await self._settle(caller, requirement)
            if isinstance(settled, str):
                return settled
            chosen = await self._ask(caller, settled)
            self._remember(chooser, chosen)
            return chosen.reader

    def keep_only(self, states: Sequence[ReaderState]) -> None:
        """Forget the cards that are no longer where they were; called at each change of the readers."""
        there = {state.name: state for state in states if state.present}

        def stays(reader: str, event_counter: int) -> bool:
            state = there.get(reader)
            return state is not None and state.event_counter == event_counter

        self._known = {
            reader: known for reader, known in self._known.items() if stays(reader, known.event_counter)
        }
        for chooser, cards in tuple(self._chosen.items()):
            cards[:] = [card for card in cards if stays(card.reader, card.event_counter)]
            if not cards:
                del self._chosen[chooser]

    async def _settle(self, caller: Caller, requirement: CardRequirement) -> str | list[CardSnapshot]:
        """Return the reader to use, or the several cards that fit the request."""
        there = candidates(await self._readers.look())
        if len(there) == 1:
            return there[0].name
        possible = [view for view in there if requirement.may_fit(view.atr)]
        if len(possible) == 1:
            return possible[0].name
        # A card that cannot be made out is not the one that is wanted.
        found = await asyncio.gather(*(self._look(caller, view) for view in possible))
        cards = [card for card in found if card is not None]
        fit = [card for card in cards if requirement.met_by(card)]
        if len(fit) > 1 and requirement.recipient is not None:
            # Where there is none, the first one will say so.
            fit = await self._recipients(caller, fit, requirement) or fit[:1]
        if len(fit) == 1:
            return fit[0].reader
        if fit:
            return self._last(caller, fit) or fit
        of_kind = [card for card in cards if not requirement.kinds or card.kind in requirement.kinds]
        if requirement.kinds and not of_kind:
            raise requirement.wrong_kind()
        # The work itself will say what is wrong with this one better than a choice could.
        return of_kind[0].reader if of_kind else there[0].name

    async def _recipients(
        self, caller: Caller, cards: Sequence[CardSnapshot], requirement: CardRequirement
    ) -> list[CardSnapshot]:
        """Return the cards for which something was encrypted."""

        async def of(card: CardSnapshot) -> CardSnapshot | None:
            with suppress(CardError, StatusError, PcscError):
                job = partial(_look_for_key, use=requirement.key or KeyUse.ENCRYPTION)
                with_key = await self._workers.run(card.reader, job, origin=caller.origin)
                return card if requirement.is_recipient(with_key) else None
            return None

        found = await asyncio.gather(*(of(card) for card in cards))
        return [card for card in found if card is not None]

    async def _look(self, caller: Caller, view: ReaderView) -> CardSnapshot | None:
        known = self._known.get(view.name)
        if known is not None and known.holds_for(view):
            return known.card
        look = self._looks.get(view)
        if look is None:
            look = self._looks[view] = asyncio.create_task(self._find_out(caller, view))
            look.add_done_callback(partial(self._looked, view))
        # Others may wait for the same, whatever becomes of this request.
        return await asyncio.shield(look)

    async def _find_out(self, caller: Caller, view: ReaderView) -> CardSnapshot | None:
        card: CardSnapshot | None = None
        try:
            card = await self._workers.run(view.name, _look, origin=caller.origin)
        except (CardError, StatusError):
            pass  # it would say the same again at once
        except PcscError:
            return None
        if card is None or card.event_counter == view.event_counter:
            self._known[view.name] = _Known(view.event_counter, view.atr, card, time.monotonic())
        return card

    async def _look_again(self, caller: Caller, card: CardSnapshot) -> CardSnapshot:
        """Look at a card that the person is about to be shown: it may have been renewed since."""
        found = await self._workers.run(card.reader, _look, origin=caller.origin)
        known = self._known.get(card.reader)
        if known is not None and known.event_counter == found.event_counter:
            self._known[card.reader] = replace(known, card=found)
        return found

    def _looked(self, view: ReaderView, look: asyncio.Task[CardSnapshot | None]) -> None:
        self._looks.pop(view, None)
        if not look.cancelled():
            look.exception()  # whoever waited has it; nobody may be left

    def _last(self, caller: Caller, fit: Sequence[CardSnapshot]) -> str | None:
        """Return the reader of the card chosen last, of those that will do."""
        will_do = {_VeryCard.of(card) for card in fit}
        chosen = self._chosen.get(caller.origin or caller, ())
        return next((card.reader for card in reversed(chosen) if card in will_do), None)

    def _remember(self, chooser: _Chooser, chosen: CardSnapshot) -> None:
        cards = self._chosen.pop(chooser, [])
        card = _VeryCard.of(chosen)
        self._chosen[chooser] = [*(each for each in cards if each != card), card][-_CARDS_MAX:]
        if len(self._chosen) > _REMEMBERED_MAX:
            self._chosen.popitem(last=False)

    async def _ask(self, caller: Caller, fit: Sequence[CardSnapshot]) -> CardSnapshot:
        if not self._interaction.available:
            raise AgentError(ErrorId.CARD_AMBIGUOUS)
        fit = await asyncio.gather(*(self._look_again(caller, card) for card in fit))
        cards = [(await facts_about(card)).shown(card) for card in fit]
        chosen = await self._interaction.ask(CardChoiceQuestion(caller.origin, tuple(cards)))
        for card, shown in zip(fit, cards, strict=True):
            if shown == chosen:
                return card
        raise AgentError(ErrorId.REQUEST_CANCELLED)


def _look(visit: Visit) -> CardSnapshot:
    return look(visit, visit.card())


def _look_for_key(visit: Visit, use: KeyUse) -> CardSnapshot:
    return look_for_key(visit, visit.card(), use)
