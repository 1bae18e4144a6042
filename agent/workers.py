"""One thread per reader, the only one that ever speaks to its card, so that nothing blocks the event loop.

A job is a function of one visit to the card. It waits in its reader's queue; the thread begins the visit,
runs the job, and lets the card go for other programs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, TypeVar

from agent.config import CardSettings
from agent.errors import AgentError, ErrorId
from agent.slots import CardSlot, Visit
from agent.threads import GivenUp, OneThread
from pcsc.errors import ReaderUnavailableError

T = TypeVar("T")
Job = Callable[[Visit], T]

_SWITCH_SECONDS: Final = 0.0005


class _NotBegunError(ReaderUnavailableError):
    """The reader was seen to go, or nobody waits any more, before the job began: nothing has been done."""


class ReaderWorker:
    """The thread of one reader.

    Args:
        reader: the reader's name.
        slot: how its card is reached; used by the thread alone.
        limits: how much may wait, and how long a job may take.
    """

    def __init__(self, reader: str, slot: CardSlot, limits: CardSettings) -> None:
        self.reader = reader
        self._slot = slot
        self._limits = limits
        self._lock = threading.Lock()
        self._waiting: Counter[str | None] = Counter()
        self._closed = False
        self._thread = OneThread(f"reader {reader}", at_end=slot.forget)

    def run(
        self, job: Job[T], *, origin: str | None = None, done: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Return the result to come of `job`, run in one visit to the card in this reader.

        A cancelled wait takes the job out of the queue, even while another program is being waited for; a job
        that has begun runs to its end, and what it returns is dropped. The future raises what the job raised,
        what was raised on the way to the card, or AgentError card.timeout: not done in the time allowed.

        Args:
            job: blocking; must not keep the visit.
            origin: whose work it is, for fair shares of the queue.
            done: called on the event loop with what the job gave, also where the wait was given up.

        Raises:
            AgentError: busy: too much is waiting.
        """
        with self._lock:
            if self._closed:
                raise _NotBegunError(reader=self.reader)
            if (
                self._waiting.total() >= self._limits.queue
                or self._waiting[origin] >= self._limits.queue_per_origin
            ):
                raise AgentError(ErrorId.BUSY)
            outcome = self._thread.submit(partial(self._serve, job, origin), self._limits.seconds, done)
            # A thread that cannot begin takes no place in the queue that nobody would ever give back.
            self._waiting[origin] += 1
        return outcome

    @property
    def idle(self) -> bool:
        """Whether nothing is being done or waited for."""
        with self._lock:
            return not self._waiting

    def close(self) -> None:
        """Take no more work; what waits fails as `ReaderUnavailableError`; the present job goes on."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._thread.close()

    def _serve(self, job: Job[Any], origin: str | None, given_up: GivenUp) -> Any:
        try:
            if self._closed or given_up():
                raise _NotBegunError(reader=self.reader)
            with self._slot.visit() as visit:
                # Beginning may have waited long for another program.
                if given_up():
                    raise _NotBegunError(reader=self.reader)
                return job(visit)
        finally:
            # The place in the queue is free before anybody hears of the end, and may ask again at once.
            with self._lock:
                self._waiting[origin] -= 1
                if not self._waiting[origin]:
                    del self._waiting[origin]


class Workers:
    """The threads of all readers, made when first needed.

    Args:
        slot_of: how the card in the reader of a name is reached.
        limits: of each reader.
    """

    def __init__(self, slot_of: Callable[[str], CardSlot], limits: CardSettings) -> None:
        self._slot_of = slot_of
        self._limits = limits
        self._workers: dict[str, ReaderWorker] = {}
        self._closed = False
        # While others prepare documents, a thread waits so long for the interpreter after each answer of its
        # card (sys.setswitchinterval): with the usual 5 ms a card of 150 ms a signature is idle for 4 %.
        sys.setswitchinterval(_SWITCH_SECONDS)

    async def run(
        self,
        reader: str,
        job: Job[T],
        *,
        origin: str | None = None,
        done: Callable[[T], None] | None = None,
    ) -> T:
        """As `ReaderWorker.run`, by the worker of that reader."""
        try:
            return await self.of(reader).run(job, origin=origin, done=done)
        except _NotBegunError:
            if self._closed:
                raise
            # The news was older than the request, and the service is back; if not, the visit will say so.
            return await self.of(reader).run(job, origin=origin, done=done)

    def known(self, reader: str) -> bool:
        """Whether a reader has been visited, has not been seen to go since, and hangs on no visit now."""
        worker = self._workers.get(reader)
        return worker is not None and worker.idle

    def of(self, reader: str) -> ReaderWorker:
        """Return the worker of a reader, whether or not the reader is there."""
        worker = self._workers.get(reader)
        if worker is None:
            worker = self._workers[reader] = ReaderWorker(reader, self._slot_of(reader), self._limits)
        return worker

    def keep_only(self, readers: Collection[str]) -> None:
        """Close the workers of readers that were removed."""
        for name in [name for name in self._workers if name not in readers]:
            self._workers.pop(name).close()

    def close(self) -> None:
        """Close all; for good."""
        self._closed = True
        self.keep_only(())
