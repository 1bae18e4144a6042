"""The engine of a batch: keeps every card busy, ends in words, spends no second try.

Several documents are in flight for each card: while it signs one, the next are read and prepared in threads,
and those before are finished and stored. All cards take from one list.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from agent.batch.choice import Signed, Signs
from agent.batch.first import FirstAlone
from agent.errors import AgentError, ErrorId, error_id
from agent.vocabulary import SessionEnd
from hca_card.errors import PinError
from signing.errors import DocumentRefusedError, DocumentUnusableError, EvidenceError

IN_FLIGHT: Final = 4
"""Documents of one card at work: one on the card, one ready for it, one being read, one being stored."""

_TOGETHER: Final = 16
"""So many pieces of work one caller may have under way (`agent.operations.workflow`)."""

_EVIDENCE_FAILURES: Final = 2 * IN_FLIGHT
"""So many in a row without a time stamp or an authority's answer: the others would have none either."""

_ENDS: Final = {
    SessionEnd.CARD: ErrorId.CARD_REMOVED,
    SessionEnd.STOPPED: ErrorId.BATCH_CANCELLED,
    SessionEnd.CLOSED: ErrorId.BATCH_CANCELLED,
}

_RATE_SECONDS: Final = 30.0
_RATE_ITEMS: Final = 200


class Item(Protocol):
    """One document of a batch, as far as the engine needs to know it."""

    @property
    def number(self) -> int:
        """Its place in the list, from 1."""
        ...

    @property
    def kind(self) -> str:
        """What it takes to sign it: documents of one kind need the same parts of this program."""
        ...


ItemT = TypeVar("ItemT", bound=Item)


class Batch(Protocol[ItemT]):
    """Where documents come from and results go; every method may raise what `Outcome.error` then holds."""

    async def next(self) -> ItemT | None:
        """Return the next document that waits; None when there is none."""
        ...

    async def sign(self, item: ItemT, session: Signs) -> Signed:
        """Return the document signed by the session's card. Raise `ItemError` where it cannot be had."""
        ...

    async def store(self, item: ItemT, signed: Signed) -> None:
        """Put the result where it belongs; it is safe there when this returns."""
        ...

    async def failed(self, item: ItemT, error: Exception) -> None:
        """Take down that this one document could not be signed."""
        ...


class ItemError(AgentError):
    """What is wrong with one document of a batch, and says nothing about the next."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ItemT]):
    """What became of one document.

    Attributes:
        signed: the result; None with an error.
        error: why there is none.
    """

    item: ItemT
    signed: Signed | None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is.

    Attributes:
        done: documents that are signed.
        failed: documents that could not be.
        of: all of them.
        rate: documents a second, of late.
        seconds_left: None until that can be said.
    """

    done: int
    failed: int
    of: int
    rate: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch ended.

    Attributes:
        stopped: why it ended before its last document; None where it did not.
        seconds: how long it took.
    """

    done: int
    failed: int
    of: int
    stopped: Exception | None
    seconds: float

    @property
    def left(self) -> int:
        """Documents that nothing was done with."""
        return self.of - self.done - self.failed


Report = Callable[[Outcome[ItemT], Progress], None]


class Engine(Generic[ItemT]):
    """One run of a batch.

    Args:
        batch: the documents.
        of: how many wait.
        report: called on the event loop with each document and how far the batch is then.
        clock: monotonic seconds.
        here: it is this process that signs: the first of each kind is signed alone.
    """

    def __init__(
        self,
        batch: Batch[ItemT],
        of: int,
        report: Report[ItemT],
        clock: Callable[[], float] = time.monotonic,
        *,
        here: bool = True,
    ) -> None:
        self._batch = batch
        self._of = of
        self._report = report
        self._clock = clock
        self._done = self._failed = self._without_evidence = 0
        self._began = clock()
        self._times: deque[float] = deque((self._began,))
        self._in_flight = 0
        self._again: list[ItemT] = []
        self._settled = asyncio.Condition()
        self._reasons: list[Exception] = []
        self._stopped = False
        self._first = FirstAlone() if here else None

    def stop(self, reason: Exception | None = None) -> None:
        """Begin no more documents; those in flight come to their end, for the card has signed them soon."""
        self._stopped = True
        self._reasons.append(reason or AgentError(ErrorId.BATCH_CANCELLED))

    async def run(self, sessions: Sequence[Signs]) -> Summary:
        """Sign every document that waits, with every session's card at once.

        Cancelling this ends it at once: what is in flight is not stored then, and waits still.
        """
        in_flight = max(1, min(IN_FLIGHT, _TOGETHER // len(sessions)))
        async with asyncio.TaskGroup() as group:
            for session in sessions:
                lane = _Lane(session)
                for _ in range(in_flight):
                    group.create_task(self._work(lane))
        left = self._of - self._done - self._failed
        if left and not self._reasons:
            self._reasons.append(AgentError(ErrorId.BATCH_CANCELLED))
        # Others in flight may have met the end of a session before its cause was told.
        causes = [each for each in self._reasons if error_id(each) != ErrorId.SIGNING_SESSION_ENDED]
        stopped = (causes or self._reasons)[0] if left or self._stopped else None
        return Summary(self._done, self._failed, self._of, stopped, self._clock() - self._began)

    async def _work(self, lane: _Lane) -> None:
        while not (self._stopped or lane.ended):
            self._in_flight += 1
            item = await self._take()
            if item is not None:
                await self._one(lane, item)
            async with self._settled:
                self._in_flight -= 1
                self._settled.notify_all()
                if item is None:
                    # What another card has in flight comes back where that card is pulled.
                    await self._settled.wait_for(lambda: self._again or self._stopped or not self._in_flight)
                    if not self._again:
                        return

    async def _take(self) -> ItemT | None:
        if self._again:
            return self._again.pop()
        try:
            return await self._batch.next()
        except Exception as error:  # the journal cannot be read
            self.stop(error)
            return None

    async def _one(self, lane: _Lane, item: ItemT) -> None:
        try:
            signed = await self._signed(lane, item)
        except (DocumentRefusedError, DocumentUnusableError, ItemError) as error:
            await self._fail(item, error)
        except EvidenceError as error:
            self._without_evidence += 1
            await self._fail(item, error)
            if self._without_evidence >= _EVIDENCE_FAILURES:
                self.stop(error)
        except Exception as error:  # of the card, its PIN or the session: the next would fail too
            self._again.append(item)
            lane.ended = True
            self._reasons.append(_why(error, lane.session))
            if isinstance(error, PinError) or error_id(error).startswith("pin."):
                self._stopped = True
        else:
            self._without_evidence = 0
            try:
                await self._batch.store(item, signed)
            except Exception as error:  # of the disk: whatever the card signs now would be lost
                self._again.append(item)
                self.stop(error)
                return
            self._done += 1
            self._tell(Outcome(item, signed))

    async def _signed(self, lane: _Lane, item: ItemT) -> Signed:
        def call() -> Awaitable[Signed]:
            return self._batch.sign(item, lane.session)

        return await (call() if self._first is None else self._first.run(item.kind, call))

    async def _fail(self, item: ItemT, error: Exception) -> None:
        try:
            await self._batch.failed(item, error)
        except Exception as trouble:
            self.stop(trouble)
            return
        self._failed += 1
        self._tell(Outcome(item, None, error))

    def _tell(self, outcome: Outcome[ItemT]) -> None:
        now = self._clock()
        self._times.append(now)
        while len(self._times) > _RATE_ITEMS or now - self._times[0] > _RATE_SECONDS:
            self._times.popleft()
        # From the document before the first of these on; the whole run has none before it.
        span = now - self._times[0]
        rate = (len(self._times) - 1) / span if span > 0 else 0.0
        left = self._of - self._done - self._failed
        seconds = left / rate if rate else None
        try:
            self._report(outcome, Progress(self._done, self._failed, self._of, rate, seconds))
        except Exception as error:  # nobody reads any more what becomes of it
            self.stop(error)


def _why(error: Exception, session: Signs) -> Exception:
    """Return what happened to a session, rather than that it has ended: who noticed first is chance."""
    known = _ENDS.get(session.ended) if session.ended else None
    ended = error_id(error) == ErrorId.SIGNING_SESSION_ENDED
    return AgentError(known) if known is not None and ended else error


@dataclass(slots=True)
class _Lane:
    """One card: its session, and whether it is of no more use."""

    session: Signs
    ended: bool = False
