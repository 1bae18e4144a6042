"""How often pages may ask: each origin so often, and all strangers together not much oftener."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from agent.config import LimitSettings
from agent.origins.rate_limits import Buckets
from agent.origins.sites import site_of
from agent.places import Rank, Ranking

_STRANGERS: Final = 4
"""All strangers together may ask as often as so many origins."""

_TOGETHER: Final = ""
_HELD_UP_SECONDS: Final = 0.25


class OriginRates:
    """How often one origin may ask, at all doors together.

    A page has as many origins as it likes: those of one domain count as one, and all that nobody allowed
    can neither have the bucket of a known one forgotten nor ask much oftener together.

    Args:
        limits: of one origin.
        rank: tells who is a stranger.
        clock: seconds that only grow.
    """

    def __init__(
        self, limits: LimitSettings, rank: Ranking, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rank = rank
        self._known = Buckets(limits.requests, limits.burst, clock)
        self._strangers = Buckets(limits.requests, limits.burst, clock)
        self._together = Buckets(limits.requests * _STRANGERS, limits.burst * _STRANGERS, clock)

    async def hold_up(self, origin: str | None) -> None:
        """Let a stranger wait for a refusal: one that asked again at each would keep this program busy."""
        if self._rank(origin) is Rank.STRANGER:
            await asyncio.sleep(_HELD_UP_SECONDS)

    def take(self, origin: str) -> float:
        """Take down a request of `origin`; 0 when it may be made, else the seconds until it may."""
        if self._rank(origin) is not Rank.STRANGER:
            return self._known.take(origin)
        return self._strangers.take(site_of(origin)) or self._together.take(_TOGETHER)
