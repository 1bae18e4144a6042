"""What a method of the native API is given: the services behind it, and who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from agent.operations import Caller, Operations

if TYPE_CHECKING:
    from agent.errands import Errands
    from agent.queue import RecordQueue
    from agent.selftest.model import ResultRow
    from agent.selftest.service import SelfTests
    from agent.verification import Verifier


@dataclass(frozen=True, slots=True)
class NativeServices:
    """The services that the methods use.

    Attributes:
        errands: what the agent's own page can have done.
        simulated: whether the cards are simulated ones, which a page must be able to tell.
        queue: the records that wait; None where there is no queue.
    """

    operations: Operations
    selftests: SelfTests
    verifier: Verifier
    errands: Errands
    simulated: bool = False
    queue: RecordQueue | None = None


@dataclass(frozen=True, slots=True)
class SelfTestFindings:
    """The rows of a session's last self-test, personal data included.

    Attributes:
        time: when it ended, aware UTC.
    """

    rows: Sequence[ResultRow]
    simulated: bool
    time: datetime


@dataclass(slots=True)
class SessionMemory:
    """What a session keeps until it ends."""

    selftest: SelfTestFindings | None = None
    batches: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What cancels each batch that is under way."""


async def _discard(_frame: bytes) -> None:
    """Send nothing."""


def _tell_nobody(_frames: Iterable[bytes]) -> None:
    """Send nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class NativeCaller(Caller):
    """A caller with a session of its own.

    The agent's own page acts for the person at this computer (no origin), and has methods of its own.

    Attributes:
        page: the origin of the agent's own page; empty for everybody else.
        send: sends a notification, waiting for room.
        notify: sends notifications that nobody waits for.
        memory: what is kept until the session ends.
    """

    page: str = ""
    send: Callable[[bytes], Awaitable[None]] = _discard
    notify: Callable[[Iterable[bytes]], None] = _tell_nobody
    memory: SessionMemory = field(default_factory=SessionMemory)
