"""What a request needs of a card, and which card is taken where several are there."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar, cast
from weakref import WeakValueDictionary

from agent.errors import AgentError, ErrorId
from agent.interaction import CardChoiceQuestion, Interaction
from agent.operations import transaction_jobs
from agent.operations.certificate_facts import facts_about
from agent.operations.messages import Caller, ReaderView
from agent.operations.readers import Readers, candidates, named
from agent.operations.transaction_jobs import CardSnapshot
from agent.slots import Visit
from agent.vocabulary import KIND_WORDS
from agent.workers import Job, Workers
from hca_card.errors import CardChangedError, CardError
from hca_card.hints import only_kinds
from hca_card.model import Card, CardKind, KeyUse
from pcsc.context import ReaderState
from pcsc.errors import PcscError
from pcsc.status import StatusError

T = TypeVar("T")

_NOTHING_BUT_DATA = frozenset((CardKind.NHI,))
"""Kinds without a key, certificate or PIN that an ordinary reader can use."""


@dataclass(frozen=True, slots=True)
class CardRequirement:
    """What a card must be and have; a need that says nothing takes any card that is known.

    Attributes:
        kinds: one of these; empty for any.
        key: a key of this use, with its certificate.
        certificate: any certificate.
        pin: a PIN that can be used.
        serial: the number of the very card that is meant; empty for any.
    """

    kinds: frozenset[CardKind] = frozenset()
    key: KeyUse | None = None
    certificate: bool = False
    pin: bool = False
    serial: str = ""

    def met_by(self, seen: CardSnapshot) -> bool:
        """Whether a card will do."""
        return (
            self._names(seen.kind)
            and self.serial in ("", seen.serial)
            and (self.key is None or self.key in seen.keys)
            and (not (self.certificate or self.key) or bool(seen.certificate))
            and (not self.pin or seen.pin is not None)
        )

    def may_mean(self, atr: bytes) -> bool:
        """Whether a card with this ATR can be meant at all; where not, no command needs to be sent to it."""
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
            CardChangedError: the card that is meant is no longer there.
        """
        if not self._names(card.kind):
            raise self.wrong_kind()
        if self.serial not in ("", card.serial):
            raise CardChangedError

    def wrong_kind(self) -> AgentError:
        """The error for a card of another kind."""
        words = [KIND_WORDS[kind] for kind in CardKind if kind in self.kinds]
        wanted = ("、".join(zh for zh, _ in words), " or ".join(en for _, en in words))
        return AgentError(ErrorId.CARD_WRONG_KIND, wanted=wanted)

    def checked(self, job: Job[T]) -> Job[T]:
        """`job`, which is given no card that is not meant, whatever was in the reader when it was chosen."""
        if not self.kinds and not self.serial:
            return job
        return lambda visit: job(cast("Visit", _Meant(visit, self)))

    def _names(self, kind: CardKind) -> bool:
        return not self.kinds or kind in self.kinds


ANY = CardRequirement()


def need(kinds: Collection[CardKind] | None = None, key: KeyUse | None = None) -> CardRequirement:
    """A need of one of `kinds`, if any are named, with `key`."""
    return CardRequirement(frozenset(kinds or ()), key)


class _Meant:
    """A visit that hands out the card only if it is one that is needed."""

    def __init__(self, visit: Visit, need: CardRequirement) -> None:
        self._visit = visit
        self._need = need

    def card(self) -> Card:
        card = self._visit.card()
        self._need.require(card)
        return card

    def __getattr__(self, name: str) -> object:
        return getattr(self._visit, name)


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
        seen: None for a card that could not be made out.
        at: seconds of the monotonic clock.
    """

    event_counter: int
    atr: bytes
    seen: CardSnapshot | None
    at: float

    def holds_for(self, view: ReaderView) -> bool:
        """Whether it is still known; a card may be made out at a second try, though not at every request."""
        if (self.event_counter, self.atr) != (view.event_counter, view.atr):
            return False
        return self.seen is not None or time.monotonic() - self.at < _UNKNOWN_SECONDS


@dataclass(frozen=True, slots=True)
class _VeryCard:
    """One card in one reader, from its being put in to its being taken out."""

    reader: str
    serial: str
    event_counter: int

    @classmethod
    def of(cls, seen: CardSnapshot) -> _VeryCard:
        return cls(seen.reader, seen.serial, seen.event_counter)


class CardSelection:
    """The reader named, else the only one whose card will do, else the one chosen last, else a question.

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

    async def pick(self, caller: Caller, reader: str | None, need: CardRequirement) -> str:
        """The name of a reader with a card. With one candidate no command is sent to it here.

        Args:
            caller: what the person last chose for it holds until that very card is taken out, for all
                pages of an origin, and for whatever that card will do.
            reader: the reader named in the request.
            need: what the card must be and have.

        Raises:
            AgentError: card.ambiguous: nobody can be asked; request.cancelled: the person would not say;
                card.wrong_kind: of several cards none is of the kinds needed; busy, card.timeout.
            pcsc.errors.PcscError: no reader, no card, or none that can be used.
        """
        if reader is not None:
            # Where it was visited before, the next visit will say whether it is still there.
            return reader if self._workers.known(reader) else named(await self._readers.look(), reader).name
        settled = await self._settle(caller, need)
        if isinstance(settled, str):
            return settled
        chooser = caller.origin or caller
        async with self._turns.setdefault(chooser, asyncio.Lock()):
            # The question before this one may have answered it, and cards may have moved meanwhile.
            settled = await self._settle(caller, need)
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

    async def _settle(self, caller: Caller, need: CardRequirement) -> str | list[CardSnapshot]:
        """The reader that is meant, or the several cards that could be."""
        there = candidates(await self._readers.look())
        if len(there) == 1:
            return there[0].name
        meant = [view for view in there if need.may_mean(view.atr)]
        if len(meant) == 1:
            return meant[0].name
        seen = await self._look_at(caller, meant)
        fit = [each for each in seen if need.met_by(each)]
        if len(fit) == 1:
            return fit[0].reader
        if fit:
            return self._last(caller, fit) or fit
        if need.kinds and not any(each.kind in need.kinds for each in seen):
            raise need.wrong_kind()
        # The work itself will say what is wrong with this one better than a choice could.
        return next(
            (each.reader for each in seen if not need.kinds or each.kind in need.kinds), there[0].name
        )

    async def _look_at(self, caller: Caller, views: Sequence[ReaderView]) -> list[CardSnapshot]:
        """What is in each reader, all at once; a card that cannot be made out is not the one that is meant.

        Raises:
            AgentError: busy, card.timeout: what is in one of them cannot be said now.
        """
        found = await asyncio.gather(*(self._look(caller, view) for view in views))
        return [seen for seen in found if seen is not None]

    async def _look(self, caller: Caller, view: ReaderView) -> CardSnapshot | None:
        known = self._known.get(view.name)
        if known is not None and known.holds_for(view):
            return known.seen
        look = self._looks.get(view)
        if look is None:
            look = self._looks[view] = asyncio.create_task(self._find_out(caller, view))
            look.add_done_callback(partial(self._looked, view))
        # Others may wait for the same, whatever becomes of this request.
        return await asyncio.shield(look)

    async def _find_out(self, caller: Caller, view: ReaderView) -> CardSnapshot | None:
        seen: CardSnapshot | None = None
        try:
            seen = await self._workers.run(view.name, transaction_jobs.look, origin=caller.origin)
        except (CardError, StatusError):
            pass  # it would say the same again at once
        except PcscError:
            return None
        if seen is None or seen.event_counter == view.event_counter:
            self._known[view.name] = _Known(view.event_counter, view.atr, seen, time.monotonic())
        return seen

    def _looked(self, view: ReaderView, look: asyncio.Task[CardSnapshot | None]) -> None:
        self._looks.pop(view, None)
        if not look.cancelled():
            look.exception()  # whoever waited has it; nobody may be left

    def _last(self, caller: Caller, fit: Sequence[CardSnapshot]) -> str | None:
        """The reader of the card chosen last, of those that will do."""
        will_do = {_VeryCard.of(seen) for seen in fit}
        chosen = self._chosen.get(caller.origin or caller, ())
        return next((card.reader for card in reversed(chosen) if card in will_do), None)

    def _remember(self, chooser: _Chooser, seen: CardSnapshot) -> None:
        cards = self._chosen.pop(chooser, [])
        card = _VeryCard.of(seen)
        self._chosen[chooser] = [*(each for each in cards if each != card), card][-_CARDS_MAX:]
        if len(self._chosen) > _REMEMBERED_MAX:
            self._chosen.popitem(last=False)

    async def _ask(self, caller: Caller, fit: Sequence[CardSnapshot]) -> CardSnapshot:
        if not self._interaction.available:
            raise AgentError(ErrorId.CARD_AMBIGUOUS)
        cards = [(await facts_about(seen)).shown(seen) for seen in fit]
        chosen = await self._interaction.ask(CardChoiceQuestion(caller.origin, tuple(cards)))
        for seen, shown in zip(fit, cards, strict=True):
            if shown == chosen:
                return seen
        raise AgentError(ErrorId.REQUEST_CANCELLED)
