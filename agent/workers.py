"""One thread per reader, the only one that ever speaks to its card, so that nothing blocks the event loop.

A job is a function of one visit to the card. It waits in its reader's queue; its thread begins the visit,
runs the job, and lets the card go for other programs.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.config import Card
from agent.errors import AgentError
from agent.places import Place, Visit
from pcsc.errors import ReaderUnavailableError

T = TypeVar("T")
Job = Callable[[Visit], T]


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A job on its way to the thread; its outcome belongs to the event loop, and is only looked at here."""

    job: Job[Any]
    origin: str | None
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[Any]

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.outcome.done()

    def finish(self, result: Any, failure: BaseException | None) -> None:
        """Tell whoever waits."""
        with suppress(RuntimeError):  # the loop is closed, and nobody waits for anything
            self.loop.call_soon_threadsafe(_settle, self.outcome, result, failure)


class ReaderWorker:
    """The thread of one reader.

    Args:
        reader: the reader's name.
        place: how its card is reached; used by the thread alone.
        limits: how much may wait, and how long a job may take.
    """

    def __init__(self, reader: str, place: Place, limits: Card) -> None:
        self.reader = reader
        self._place = place
        self._limits = limits
        self._tickets: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: Counter[str | None] = Counter()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"reader {reader}", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T], *, origin: str | None = None) -> T:
        """The result of `job`, run in one visit to the card in this reader.

        A cancelled wait takes the job out of the queue, even while another program is being waited for; a job
        that has begun runs to its end, and what it returns is dropped.

        Args:
            job: blocking; must not keep the visit.
            origin: whose work it is, for fair shares of the queue.

        Raises:
            AgentError: busy: too much is waiting; card.timeout: not done in the time allowed.
            Exception: what the job raised, or what was raised on the way to the card.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        timer = loop.call_later(self._limits.seconds, _settle, outcome, None, AgentError("card.timeout"))
        try:
            # Last before the wait: a thread that is woken earlier only waits for this one to be done.
            self._put(_Ticket(job, origin, loop, outcome))
            return await outcome
        finally:
            timer.cancel()

    def _put(self, ticket: _Ticket) -> None:
        with self._lock:
            if self._closed:
                raise ReaderUnavailableError(reader=self.reader)
            if (
                self._waiting.total() >= self._limits.queue
                or self._waiting[ticket.origin] >= self._limits.queue_per_origin
            ):
                raise AgentError("busy")
            self._waiting[ticket.origin] += 1
            self._tickets.put(ticket)

    def close(self) -> None:
        """Take no more work; what waits fails as `ReaderUnavailableError`; the present job goes on."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._tickets.put(None)

    def _work(self) -> None:
        while (ticket := self._tickets.get()) is not None:
            self._serve(ticket)
        self._place.forget()

    def _serve(self, ticket: _Ticket) -> None:
        result, failure = None, None
        try:
            if ticket.wanted:
                result = self._visit(ticket)
        except BaseException as error:
            _forget_variables(error)
            failure = error
        # The place in the queue is free before anybody hears of the end, and may ask again at once.
        with self._lock:
            self._waiting[ticket.origin] -= 1
            if not self._waiting[ticket.origin]:
                del self._waiting[ticket.origin]
        ticket.finish(result, failure)

    def _visit(self, ticket: _Ticket) -> Any:
        if self._closed:
            raise ReaderUnavailableError(reader=self.reader)
        with self._place.visit() as visit:
            # Beginning may have waited long for another program.
            return ticket.job(visit) if ticket.wanted else None


def _settle(outcome: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if outcome.done():
        return  # given up in the middle, or too late
    if failure is not None:
        outcome.set_exception(failure)
    else:
        outcome.set_result(result)


def _forget_variables(error: BaseException) -> None:
    """The job's frames may hold the bytes of a PIN; a traceback printed with variables must not show them."""
    at: BaseException | None = error
    while at is not None:
        traceback.clear_frames(at.__traceback__)
        at = at.__cause__ or at.__context__


class Workers:
    """The threads of all readers, made when first needed.

    Args:
        place_of: how the card in the reader of a name is reached.
        limits: of each reader.
    """

    def __init__(self, place_of: Callable[[str], Place], limits: Card) -> None:
        self._place_of = place_of
        self._limits = limits
        self._workers: dict[str, ReaderWorker] = {}

    def of(self, reader: str) -> ReaderWorker:
        """The worker of a reader, whether or not the reader is there."""
        worker = self._workers.get(reader)
        if worker is None:
            worker = self._workers[reader] = ReaderWorker(reader, self._place_of(reader), self._limits)
        return worker

    def keep_only(self, readers: Collection[str]) -> None:
        """Close the workers of readers that are gone."""
        for name in [name for name in self._workers if name not in readers]:
            self._workers.pop(name).close()

    def close(self) -> None:
        """Close all."""
        self.keep_only(())
