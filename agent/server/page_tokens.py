"""One-use tokens: how a page that this program served shows that it is that page."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 60.0
"""A page connects as soon as it is loaded."""

_OUTSTANDING_MAX: Final = 256
_BYTES: Final = 24


class PageTokens:
    """Tokens given out with pages and not shown again yet.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def issue(self) -> str:
        """Return a new token; whoever loads pages by the hundred makes the oldest worthless."""
        self._drop()
        while len(self._ends) >= _OUTSTANDING_MAX:
            del self._ends[next(iter(self._ends))]
        token = secrets.token_urlsafe(_BYTES)
        self._ends[token] = self._clock() + SECONDS
        return token

    def redeem(self, token: str) -> bool:
        """Return whether the token was given out lately and is shown for the first time."""
        self._drop()
        # A dict finds by hash: how long it takes tells nothing of tokens that are nearly right.
        return self._ends.pop(token, None) is not None

    def _drop(self) -> None:
        now = self._clock()
        for token in [token for token, end in self._ends.items() if end < now]:
            del self._ends[token]
