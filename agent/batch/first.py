"""The first of each kind alone: it loads what all the others need.

Threads that load the same modules at once may find one of them half loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class FirstAlone:
    """Lets one call of each kind through, and the others when it has succeeded."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._turn = asyncio.Lock()

    async def run(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` does."""
        if kind not in self._known:
            async with self._turn:
                if kind not in self._known:
                    done = await call()
                    self._known.add(kind)
                    return done
        return await call()
