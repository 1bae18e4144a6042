"""A bounded number of places, kept so that strangers never stand in the way of those who are known here.

The same rule at every door and for everything that is bounded (questions, requests, connections, sessions,
bytes): strangers share a part of the places, and when somebody known needs one, a stranger gives way.
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
        self._strangers = strangers
        self._each = total if each is None else each
        self._renew = renew
        self._held: dict[Place, None] = {}

    def take(self, origin: str | None, size: int = 1, holder: Holder | None = None) -> Place:
        """Return a place, if need be that of a holder who gives way: the one unused longest.

        Raises:
            AgentError: busy.
        """
        rank = self.rank(origin)
        own = [place for place in self._held if place.origin == origin]
        self._make_room(own, size, self._each, own if self._renew else ())
        if rank is Rank.STRANGER:
            strangers = self._those_of(Rank.STRANGER)
            self._make_room(strangers, size, self._strangers, strangers)
        if _sum(self._held) + size > self._total:
            self._make_room(self._held, size, self._total, self._giving_way_to(rank), rank)
        place = Place(origin, size, holder)
        self._held[place] = None
        return place

    def give_back(self, place: Place) -> None:
        """Free a place; one that is free already stays so."""
        self._held.pop(place, None)

    def used(self, place: Place) -> None:
        """Take down that a place is in use now, so that those unused for longer give way before it."""
        if place in self._held:
            del self._held[place]
            self._held[place] = None

    @contextmanager
    def held(self, origin: str | None, size: int = 1) -> Iterator[None]:
        """Run the body with a place that nobody takes away.

        Raises:
            AgentError: busy.
        """
        place = self.take(origin, size)
        try:
            yield
        finally:
            self.give_back(place)

    def _those_of(self, rank: Rank) -> list[Place]:
        known: dict[str | None, Rank] = {}
        return [
            place for place in self._held if known.setdefault(place.origin, self.rank(place.origin)) is rank
        ]

    def _giving_way_to(self, rank: Rank) -> list[Place]:
        strangers = self._those_of(Rank.STRANGER)
        if not self._renew or rank is Rank.STRANGER:
            return strangers
        return strangers + [place for place in self._held if place not in strangers]

    def _make_room(
        self,
        among: Iterable[Place],
        size: int,
        limit: int,
        candidates: Iterable[Place],
        rank: Rank = Rank.STRANGER,
    ) -> None:
        """See that `among` has room for `size` more, at the expense of `candidates`.

        Those who are idle go first; those who are not go for somebody of a higher rank than theirs.
        """
        missing = _sum(among) + size - limit
        if missing <= 0:
            return
        able = [place for place in candidates if place.holder is not None]
        leaving = [place for place in able if place.holder is not None and place.holder.idle]
        leaving += [place for place in able if place not in leaving and self.rank(place.origin) > rank]
        ending = []
        for place in leaving:
            if missing <= 0:
                break
            ending.append(place)
            missing -= place.size
        if missing > 0:
            raise AgentError(ErrorId.BUSY)
        for place in ending:
            del self._held[place]
            if place.holder is not None:
                place.holder.give_way()


def _sum(places: Iterable[Place]) -> int:
    return sum(place.size for place in places)


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
