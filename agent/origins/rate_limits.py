"""How much one origin may ask for: token buckets, kept for as many origins as matter."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_KEYS_MAX: Final = 1024


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """A bucket for each key: full at first, emptied by use, refilled with time.

    Args:
        per_second: how fast a bucket refills.
        burst: how much it holds.
        clock: seconds that only grow; tests put their own here.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one out of the bucket of `key`; 0 when there was one, else the seconds until there is."""
        now = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        if len(self._buckets) >= _KEYS_MAX:
            # The one unused longest has had the most time to fill again, which is what forgetting it does.
            self._buckets.popitem(last=False)
        self._buckets[key] = bucket
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0

    def give_back(self, key: str) -> None:
        """Put back what was taken: it turned out not to count."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.tokens = min(self._burst, bucket.tokens + 1)
