"""Waiting for what is awaited instead of for a while."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_PAUSE = 0.01
LIMIT = 30.0
"""A machine that does other things too takes long for little; only a test that fails ever waits so long."""

T = TypeVar("T")


def until(
    condition: Callable[[], T],
    complaint: str | Callable[[], str],
    seconds: float = LIMIT,
    pause: float = _PAUSE,
) -> T:
    """What `condition` gives, as soon as it holds.

    Raises:
        AssertionError: if it does not hold after so many seconds; its words are `complaint`.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(complaint if isinstance(complaint, str) else complaint())
        time.sleep(pause)  # the poll of whoever has no event loop
    return found


async def until_async(
    condition: Callable[[], object | Awaitable[object]],
    complaint: str | Callable[[], str] = "it did not come",
    seconds: float = LIMIT,
) -> None:
    """Return as soon as `condition` holds, which another thread, process or task will bring about.

    Raises:
        AssertionError: if it does not hold after so many seconds; its words are `complaint`.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if await found if inspect.isawaitable(found) else found:
                    return
                await asyncio.sleep(_PAUSE)  # the poll of whoever has an event loop
    except TimeoutError as error:
        raise AssertionError(complaint if isinstance(complaint, str) else complaint()) from error


def until_unseen(terminal: int) -> None:
    """Return as soon as a terminal no longer shows what is typed."""
    import termios

    until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "the terminal shows what is typed")
