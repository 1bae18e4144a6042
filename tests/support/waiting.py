"""Waiting for what is awaited instead of for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], complaint: str | Callable[[], str], seconds: float = 15) -> None:
    """Return as soon as `condition` holds.

    Raises:
        AssertionError: if it does not hold after so many seconds; its words are `complaint`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(complaint if isinstance(complaint, str) else complaint())
        time.sleep(0.01)


def until_unseen(terminal: int) -> None:
    """Return as soon as a terminal no longer shows what is typed."""
    import termios

    until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "the terminal shows what is typed")
