"""Who is at the other end of a connection, as methods see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from agent.operations import Caller

if TYPE_CHECKING:
    from agent.selftest.model import Row


@dataclass(frozen=True, slots=True)
class Tested:
    """What the connection's last self-test found; personal data included.

    Attributes:
        time: when it ended, aware UTC.
    """

    rows: Sequence[Row]
    simulated: bool
    time: datetime


@dataclass(slots=True)
class Memory:
    """What a connection remembers of itself until it ends."""

    tested: Tested | None = None


async def _nobody(_frame: bytes) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, eq=False)
class Guest(Caller):
    """A caller with a connection of its own.

    The agent's own page acts for the person at this computer (no origin), and may ask only for what is
    meant for it.

    Attributes:
        page: the origin of the agent's own page; empty for everybody else.
        say: sends a notification, waiting for room.
        memory: what is remembered until the connection ends.
    """

    page: str = ""
    say: Callable[[bytes], Awaitable[None]] = _nobody
    memory: Memory = field(default_factory=Memory)
