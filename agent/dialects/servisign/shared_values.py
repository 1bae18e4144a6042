"""Values that pages leave for each other: setServiSignValue and getServiSignValue.

A value is for the sites that its writer lists, by host and never in part, and it is dropped when its time is
over. What this program chose where nothing is known (docs/servisign.md, "Shared values"): times are seconds,
and the list holds hosts or origins with any of `,` `;` `|` or blanks between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from agent.dialects.servisign.codes import BAD_PARAMETER, BUSY, FrameworkError
from agent.errors import AgentError
from agent.places import Place, Places, Ranking, Resting

# Seconds rather than milliseconds: a page that counts in milliseconds finds its value for too long rather
# than not at all, and never for longer than this.
LIFETIME_MAX_S: Final = 3600
CHANNEL_MAX: Final = 128
VALUE_MAX: Final = 16 * 1024
SITES_MAX: Final = 32
SITE_MAX: Final = 300
PER_ORIGIN: Final = 32
IN_ALL: Final = 256
OF_STRANGERS: Final = 64

_BETWEEN: Final = re.compile(r"[\s,;|]+")
_PORT: Final = re.compile(r":[0-9]+$")
_SITE: Final = re.compile(r"(?:https?://)?(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(slots=True, eq=False)
class SharedValue:
    """What one page left.

    Attributes:
        writer: the origin of that page.
        sites: hosts, hosts with port, and origins that may read it.
        ends: the clock's seconds at which it expires.
    """

    writer: str
    sites: frozenset[str]
    ends: float
    text: str = field(repr=False)

    def is_for(self, origin: str) -> bool:
        """Whether pages of `origin` may read it."""
        return not self.sites.isdisjoint((origin, urlsplit(origin).netloc, _host(origin)))


class SharedValues:
    """All values, by channel.

    On one channel there can be several for different sites. A page reads the one that has been there
    longest, so that a site which lists others uninvited cannot put its value over theirs; a page that a value
    is for, or that wrote it, replaces it in its place.

    Args:
        rank: tells who is a stranger; values of strangers end for others, never the others for theirs.
        clock: seconds that only grow.
    """

    def __init__(self, rank: Ranking, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._channels: dict[str, list[SharedValue]] = {}
        self._places = Places(rank, total=IN_ALL, strangers=OF_STRANGERS, each=PER_ORIGIN)
        self._place_of: dict[SharedValue, Place] = {}

    def put(self, origin: str, channel: str, sites: str, seconds: int, text: str) -> None:
        """Leave a value; an empty one takes away what was there.

        Args:
            origin: the writer's.
            channel: the value's name.
            sites: who may read it; empty is the writer's own host.
            seconds: how long; 0 and less is as long as can be.
            text: the value.

        Raises:
            FrameworkError: 61005, no channel, too long, or a list that cannot be read; 61010, too many.
        """
        allowed = _sites(sites) or frozenset((_host(origin),))
        if not 0 < len(channel) <= CHANNEL_MAX or len(text.encode()) > VALUE_MAX:
            raise FrameworkError(BAD_PARAMETER)
        self._expire()
        here = self._channels.get(channel, [])
        places = [index for index, old in enumerate(here) if old.writer == origin or old.is_for(origin)]
        kept = [old for index, old in enumerate(here) if index not in places]
        if text:
            lifetime = min(seconds, LIFETIME_MAX_S) if seconds > 0 else LIFETIME_MAX_S
            new = SharedValue(origin, allowed, self._clock() + lifetime, text)
            self._settle(new, channel, [here[index] for index in places])
            # Somebody's may have given way.
            kept = [old for old in self._channels.get(channel, []) if old in kept]
            kept.insert(places[0] if places else len(kept), new)
        self._keep(channel, kept)

    def get(self, origin: str, channel: str) -> str:
        """Return the value that pages of `origin` may read; empty where there is none."""
        self._expire()
        for value in self._channels.get(channel, ()):
            if value.is_for(origin):
                return value.text
        return ""

    def clear(self) -> None:
        """Forget all of them."""
        for channel in tuple(self._channels):
            self._keep(channel, [])

    def _settle(self, new: SharedValue, channel: str, replaced: Sequence[SharedValue]) -> None:
        """Give a value its place: that of one that it replaces, else one of its own."""
        holder = Resting(partial(self._drop, channel, new))
        if replaced:
            place = self._places.hand_over(self._place_of.pop(replaced[0]), new.writer, holder)
        else:
            try:
                place = self._places.take(new.writer, holder=holder)
            except AgentError:
                raise FrameworkError(BUSY) from None
        self._place_of[new] = place

    def _drop(self, channel: str, value: SharedValue) -> None:
        self._keep(channel, [each for each in self._channels.get(channel, []) if each is not value])

    def _keep(self, channel: str, values: list[SharedValue]) -> None:
        """Let these be the values of a channel, and free the places of the others."""
        for value in self._channels.pop(channel, []):
            if value not in values and value in self._place_of:
                self._places.give_back(self._place_of.pop(value))
        if values:
            self._channels[channel] = values

    def _expire(self) -> None:
        now = self._clock()
        for channel, values in tuple(self._channels.items()):
            self._keep(channel, [value for value in values if value.ends > now])


def is_for_others(origin: str, sites: str) -> bool:
    """Return whether a value of `origin` for these sites would be read by another host.

    Raises:
        FrameworkError: 61005, a list that cannot be read.
    """
    return not {_host(site if "//" in site else f"//{site}") for site in _sites(sites)} <= {_host(origin)}


def _host(origin: str) -> str:
    return _PORT.sub("", urlsplit(origin).netloc)


def _sites(listed: str) -> frozenset[str]:
    """Return the sites in a domain list; an origin stands for itself alone, a host for all its ports."""
    if len(listed) > SITES_MAX * (SITE_MAX + 2):
        raise FrameworkError(BAD_PARAMETER)
    words = [word.removesuffix("/").casefold() for word in _BETWEEN.split(listed) if word]
    if len(words) > SITES_MAX:
        raise FrameworkError(BAD_PARAMETER)
    for word in words:
        if len(word) > SITE_MAX or not _SITE.fullmatch(word):
            raise FrameworkError(BAD_PARAMETER)
    return frozenset(words)
