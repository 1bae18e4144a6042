"""Which card is meant when a request does not say."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from agent.errors import AgentError
from agent.interaction import Interaction
from agent.operations import visits
from agent.operations.facts import facts_about
from agent.operations.needs import Need
from agent.operations.readers import Readers, candidates, named
from agent.operations.views import Caller, ReaderView
from agent.operations.visits import Seen
from agent.workers import Workers
from hca_card.errors import CardError
from pcsc.context import ReaderState
from pcsc.errors import PcscError
from pcsc.status import StatusError

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
    seen: Seen | None
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
    def of(cls, seen: Seen) -> _VeryCard:
        return cls(seen.reader, seen.serial, seen.event_counter)


class Choosing:
    """The reader named, else the only one whose card will do, else the one chosen last, else a question.

    What is found out of a card here is kept for as long as it stays, so that the same cards are not asked
    again with each request; whoever works with a card recognises it anew all the same.
    """

    def __init__(self, readers: Readers, workers: Workers, interaction: Interaction) -> None:
        self._readers = readers
        self._workers = workers
        self._interaction = interaction
        self._known: dict[str, _Known] = {}
        self._looks: dict[ReaderView, asyncio.Task[Seen | None]] = {}
        self._chosen: OrderedDict[_Chooser, list[_VeryCard]] = OrderedDict()
        self._turns: WeakValueDictionary[_Chooser, asyncio.Lock] = WeakValueDictionary()

    async def pick(self, caller: Caller, reader: str | None, need: Need) -> str:
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

    async def _settle(self, caller: Caller, need: Need) -> str | list[Seen]:
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

    async def _look_at(self, caller: Caller, views: Sequence[ReaderView]) -> list[Seen]:
        """What is in each reader, all at once; a card that cannot be made out is not the one that is meant.

        Raises:
            AgentError: busy, card.timeout: what is in one of them cannot be said now.
        """
        found = await asyncio.gather(*(self._look(caller, view) for view in views))
        return [seen for seen in found if seen is not None]

    async def _look(self, caller: Caller, view: ReaderView) -> Seen | None:
        known = self._known.get(view.name)
        if known is not None and known.holds_for(view):
            return known.seen
        look = self._looks.get(view)
        if look is None:
            look = self._looks[view] = asyncio.create_task(self._find_out(caller, view))
            look.add_done_callback(partial(self._looked, view))
        # Others may wait for the same, whatever becomes of this request.
        return await asyncio.shield(look)

    async def _find_out(self, caller: Caller, view: ReaderView) -> Seen | None:
        seen: Seen | None = None
        try:
            seen = await self._workers.run(view.name, visits.look, origin=caller.origin)
        except (CardError, StatusError):
            pass  # it would say the same again at once
        except PcscError:
            return None
        if seen is None or seen.event_counter == view.event_counter:
            self._known[view.name] = _Known(view.event_counter, view.atr, seen, time.monotonic())
        return seen

    def _looked(self, view: ReaderView, look: asyncio.Task[Seen | None]) -> None:
        self._looks.pop(view, None)
        if not look.cancelled():
            look.exception()  # whoever waited has it; nobody may be left

    def _last(self, caller: Caller, fit: Sequence[Seen]) -> str | None:
        """The reader of the card chosen last, of those that will do."""
        will_do = {_VeryCard.of(seen) for seen in fit}
        chosen = self._chosen.get(caller.origin or caller, ())
        return next((card.reader for card in reversed(chosen) if card in will_do), None)

    def _remember(self, chooser: _Chooser, seen: Seen) -> None:
        cards = self._chosen.pop(chooser, [])
        card = _VeryCard.of(seen)
        self._chosen[chooser] = [*(each for each in cards if each != card), card][-_CARDS_MAX:]
        if len(self._chosen) > _REMEMBERED_MAX:
            self._chosen.popitem(last=False)

    async def _ask(self, caller: Caller, fit: Sequence[Seen]) -> Seen:
        if not self._interaction.available:
            raise AgentError("card.ambiguous")
        cards = [(await facts_about(seen)).shown(seen) for seen in fit]
        chosen = await self._interaction.choose_card(caller.origin, tuple(cards))
        for seen, shown in zip(fit, cards, strict=True):
            if shown == chosen:
                return seen
        raise AgentError("request.cancelled")
