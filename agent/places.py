"""A bounded number of places, kept so that strangers never stand in the way of those who are known here.

The same rule applies to everything that is bounded (questions, requests, connections, sessions, bytes), at
every site: strangers share a part of the places, and when somebody known needs one, a stranger gives way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from agent.errors import AgentError, ErrorId


class Rank(IntEnum):
    """Who goes first; the smaller the sooner."""

    OWN = 0
    """The person's own program."""

    ALLOWED = 1
    """An origin that is listed, or that the person has said yes to."""

    STRANGER = 2
    """An origin that nobody has allowed anything."""


Ranking = Callable[[str | None], Rank]
"""The rank of an origin at this moment: one that gets its yes is a stranger no longer."""


class Holder(Protocol):
    """Who can be asked to leave its place."""

    @property
    def idle(self) -> bool:
        """Whether nothing is being done there, so that it gives way to its like."""
        ...

    def give_way(self) -> None:
        """End: the place belongs to somebody else already."""
        ...


@dataclass(frozen=True, slots=True)
class Resting:
    """A holder in whose place nothing is ever being done.

    Attributes:
        give_way: as `Holder.give_way`.
    """

    give_way: Callable[[], None]
    idle: bool = True


@dataclass(slots=True, eq=False)
class Place:
    """A place that is taken, until it is given back or its holder has given way."""

    origin: str | None
    size: int
    holder: Holder | None


class Places:
    """Places of which one rank cannot deprive a higher one.

    Args:
        rank: tells who is who, whenever it matters.
        total: how much there is in all.
        strangers: how much of it strangers may hold together; the rest is kept for the others.
        each: how much of it one origin may hold; None for no limit of its own.
        renew: an idle holder gives way to its like, of the same origin too; without it, only strangers do.
    """

    def __init__(
        self, rank: Ranking, *, total: int, strangers: int, each: int | None = None, renew: bool = False
    ) -> None:
        self.rank = rank
        self._total = total
        self._enough = min(total, strangers)  # up to here nobody need be asked for a rank
        self._strangers = strangers
        self._each = total if each is None else each
        self._renew = renew
        self._held: dict[Place, None] = {}
        self._used = 0
        self._used_by: dict[str | None, int] = {}

    def take(self, origin: str | None, size: int = 1, holder: Holder | None = None) -> Place:
        """Return a place, if need be that of a holder who gives way: the one unused longest.

        Raises:
            AgentError: busy.
        """
        place = Place(origin, size, holder)
        own = self._used_by.get(origin, 0) + size
        if own > self._each or self._used + size > self._enough:
            self._make_room_for(place)
            own = self._used_by.get(origin, 0) + size
        self._held[place] = None
        self._used += size
        self._used_by[origin] = own
        return place

    def _make_room_for(self, new: Place) -> None:
        origin, size, rank = new.origin, new.size, self.rank(new.origin)
        if (missing := self._used_by.get(origin, 0) + size - self._each) > 0:
            own = [place for place in self._held if place.origin == origin]
            self._make_room(missing, own if self._renew else (), rank)
        if rank is Rank.STRANGER:
            strangers = self._held_by_strangers()
            self._make_room(sum(place.size for place in strangers) + size - self._strangers, strangers, rank)
        if (missing := self._used + size - self._total) > 0:
            end_any = self._renew and rank is not Rank.STRANGER
            self._make_room(missing, list(self._held) if end_any else self._held_by_strangers(), rank)

    def give_back(self, place: Place) -> None:
        """Free a place; one that is free already stays so."""
        if place in self._held:
            del self._held[place]
            self._used -= place.size
            self._used_by[place.origin] -= place.size
            if not self._used_by[place.origin]:
                del self._used_by[place.origin]

    def hand_over(self, place: Place, origin: str | None, holder: Holder | None = None) -> Place:
        """Give an occupied place to another holder; return it as the new holder's."""
        self.give_back(place)
        given = Place(origin, place.size, holder)
        self._held[given] = None
        self._used += given.size
        self._used_by[origin] = self._used_by.get(origin, 0) + given.size
        return given

    def used(self, place: Place) -> None:
        """Take down that a place is in use now, so that those unused for longer give way before it."""
        if place in self._held:
            del self._held[place]
            self._held[place] = None

    @contextmanager
    def occupied(self, origin: str | None, size: int = 1) -> Iterator[None]:
        """Run the body with a place that nobody takes away.

        Raises:
            AgentError: busy.
        """
        place = self.take(origin, size)
        try:
            yield
        finally:
            self.give_back(place)

    def _held_by_strangers(self) -> list[Place]:
        ranks: dict[str | None, Rank] = {origin: self.rank(origin) for origin in self._used_by}
        return [place for place in self._held if ranks[place.origin] is Rank.STRANGER]

    def _make_room(self, missing: int, candidates: Iterable[Place], rank: Rank) -> None:
        """See that so much gets free for somebody of this rank, at the expense of `candidates`.

        The lowest rank goes first, and of it those who are idle; who is not goes for a higher rank alone.

        Raises:
            AgentError: busy: too few can go, and nobody does.
        """
        if missing <= 0:
            return
        leaving = []
        for place in candidates:
            holder, lower = place.holder, self.rank(place.origin)
            if holder is not None and (lower > rank or (holder.idle and lower == rank)):
                leaving.append((-lower, not holder.idle, place, holder))
        leaving.sort(key=lambda each: each[:2])
        ending = []
        for _, _, place, holder in leaving:
            if missing <= 0:
                break
            ending.append((place, holder))
            missing -= place.size
        if missing > 0:
            raise AgentError(ErrorId.BUSY)
        for place, holder in ending:
            self.give_back(place)
            holder.give_way()


class Turn:
    """One who waits for its turn, or has it.

    Attributes:
        begun: done when the turn begins.
        leaving: done when it is to end, because somebody of a higher rank waits.
    """

    def __init__(self, origin: str | None) -> None:
        loop = asyncio.get_running_loop()
        self.origin = origin
        self.begun: asyncio.Future[None] = loop.create_future()
        self.leaving: asyncio.Future[None] = loop.create_future()

    @property
    def idle(self) -> bool:
        """Never: whoever waits gives way to nobody of its like."""
        return False

    def give_way(self) -> None:
        """End the waiting, or ask that the turn be ended."""
        if not self.begun.done():
            self.begun.set_exception(AgentError(ErrorId.BUSY))
        elif not self.leaving.done():
            self.leaving.set_result(None)


class Turns:
    """One at a time, those of a higher rank first, and of one rank in the order they came.

    Args:
        places: how many may wait, the one whose turn it is included.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._waiting: list[Turn] = []
        self._at: Turn | None = None

    @asynccontextmanager
    async def turn(self, origin: str | None) -> AsyncIterator[Turn]:
        """Run the body when it is the turn of `origin`; that of a stranger may be asked to end.

        Raises:
            AgentError: busy: too many wait.
        """
        turn = Turn(origin)
        place = self._places.take(origin, holder=turn)
        self._waiting.append(turn)
        try:
            self._pass_on()
            await turn.begun
            yield turn
        finally:
            self._places.give_back(place)
            if turn in self._waiting:
                self._waiting.remove(turn)
            if self._at is turn:
                self._at = None
            self._pass_on()

    def _pass_on(self) -> None:
        rank = self._places.rank
        waiting = [turn for turn in self._waiting if not turn.begun.done()]
        if not waiting:
            return
        first = min(waiting, key=lambda turn: rank(turn.origin))
        if self._at is None:
            self._waiting.remove(first)
            self._at = first
            first.begun.set_result(None)
        elif rank(first.origin) < rank(self._at.origin) is Rank.STRANGER:
            self._at.give_way()
