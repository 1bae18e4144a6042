"""The worker: signs, with the cards in this computer's readers, what the broker has for these cards.

For each card the person opens a signing session with the PIN; the card takes jobs as long as it lasts. The
order, for each job: nothing stands for it at the broker; the card signs; the result is in this computer's
journal; the result is stored at the broker; the job is acknowledged. Whatever ends in between, the job comes
again, and what is there already is not made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar

from agent.audit import AuditRow
from agent.batch.choice import Signed as Made
from agent.batch.first import FirstAlone
from agent.broker.connection import ACK_SECONDS, JOB_DAYS, PAUSE, Broker, Message, Messages, lasting
from agent.broker.messages import (
    DETAIL_MAX,
    FAILED_BEFORE,
    Failed,
    Job,
    Outcome,
    Signed,
    card_key,
    now,
    packed,
    read_job,
    room_for,
)
from agent.broker.outcomes import Outcomes
from agent.errors import AgentError, ErrorId, error_id
from agent.operations import Caller, Operations, ReaderCondition, SigningSession
from agent.operations.audit_trail import rows_heard
from agent.vocabulary import SESSION_END_WORDS, SessionEnd
from hca_card.big5 import printable
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.model import KeyUse
from signing.errors import DocumentRefusedError, DocumentUnusableError, EvidenceError, HashUnsupportedError

log = logging.getLogger(__name__)

T = TypeVar("T")
Tell = Callable[[str, str], None]

LANES: Final = 6
"""Jobs of one card at work: while it signs one, others are fetched, prepared and stored."""

DELIVERIES_MAX: Final = 5
"""A job that was given out so often and never came to an end breaks whoever takes it."""

TRIES: Final = 5
"""So often a card that is there is tried, with a pause between, before its job is given back."""

_ASKED_AGAIN: Final = frozenset((SessionEnd.USED_UP, SessionEnd.TIME, SessionEnd.CARD, SessionEnd.LOCKED))
_OF_THE_DOCUMENT: Final = (
    DocumentRefusedError,
    DocumentUnusableError,
    EvidenceError,
    HashUnsupportedError,
)
_BATCH: Final = re.compile("[0-9a-f]{32}")


class Worker:
    """Serves cards; one for all of a process.

    Args:
        broker: where jobs come from and results go.
        operations: what signs.
        outcomes: the journal.
        tell: says something to the person.
        most: signatures of one session; None for as many as are allowed.
        seconds: how long one session lasts; None for half an hour.
    """

    def __init__(
        self,
        broker: Broker,
        operations: Operations,
        outcomes: Outcomes,
        tell: Tell,
        *,
        most: int | None = None,
        seconds: int | None = None,
    ) -> None:
        self._broker = broker
        self._operations = operations
        self._outcomes = outcomes
        self._tell = tell
        self._most = most
        self._seconds = seconds
        self._stop = asyncio.Event()
        self._under_way: set[str] = set()
        self._asking = asyncio.Lock()
        self._first = FirstAlone()
        self.signed = 0
        """How many documents were signed so far."""

    def stop(self) -> None:
        """Take no more jobs; what a card is at work on comes to its end."""
        self._stop.set()

    async def serve(self, caller: Caller, reader: str | None) -> None:
        """Take jobs for the card in a reader until the person or `stop` ends it.

        Args:
            caller: this person's own program.
            reader: the full name of the reader; None for the only one with a card.

        Raises:
            AgentError: pin.*, signing_session.*, card.*; broker.refused, broker.unusable; journal.*.
        """
        while not self._stop.is_set():
            async with self._asking:  # one question after the other
                session = await self._open(caller, reader)
            reader = session.card.reader
            try:
                ended = await self._work(caller, session)
            finally:
                session.end(SessionEnd.CLOSED)
            zh, en = SESSION_END_WORDS[ended]
            self._tell(f"{reader}：不再接工作（{zh}）", f"{reader} takes no more jobs: {en}")
            if ended not in _ASKED_AGAIN:
                return
            await self._card_there(caller, reader)

    async def _open(self, caller: Caller, reader: str | None) -> SigningSession:
        return await self._operations.open_session(
            caller, most=self._most, seconds=self._seconds, reader=reader
        )

    async def _card_there(self, caller: Caller, reader: str) -> None:
        """Wait until there is a card in the reader again."""
        moved = asyncio.Event()
        forget = self._operations.on_change(lambda *_: moved.set())
        try:
            while not self._stop.is_set():
                moved.clear()
                views = await self._operations.readers(caller)
                if any(view.name == reader and view.condition is ReaderCondition.CARD for view in views):
                    return
                await self._unless_stopped(moved.wait())
        finally:
            forget()

    async def _work(self, caller: Caller, session: SigningSession) -> SessionEnd:
        """Take jobs as long as the session lasts; return why it ended."""
        index = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
        certificate = await self._operations.certificate(caller, index, session.card.reader)
        card = card_key(certificate.der)
        jobs = await self._lasting(lambda: self._broker.jobs(card, LANES))
        self._tell(
            f"{session.card.reader}：卡片 {card} 接工作中，最多 {session.left} 份",
            f"{session.card.reader} takes jobs for the card {card}, {session.left} at most",
        )
        over = asyncio.Event()
        session.on_end(lambda _why: over.set())
        stopped = asyncio.create_task(self._stop.wait())
        stopped.add_done_callback(lambda _task: over.set())
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(LANES):
                    lanes.create_task(self._lane(session, jobs, over))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            stopped.cancel()
            await jobs.close()
        return session.ended or SessionEnd.STOPPED

    async def _lane(self, session: SigningSession, jobs: Messages, over: asyncio.Event) -> None:
        while not over.is_set():
            message = await _first(jobs.next(), over)
            if message is not None:
                await self._one(session, message)

    async def _one(self, session: SigningSession, message: Message) -> None:
        """Do one job, or give it back."""
        batch = message.subject[-1]
        if not _BATCH.fullmatch(batch):
            log.warning("a job under a subject that is none was thrown away")
            await self._settle(message.done())
            return
        try:
            job, item = await asyncio.to_thread(_read, message.data, batch)
        except AgentError as error:
            # Who put it knows it by what it was.
            item = hashlib.sha256(message.data).hexdigest()
            log.warning("a job was refused: %s", error)
            await self._store(batch, item, packed(failure(item, error)))
            await self._settle(message.done())
            return
        if item in self._under_way:
            await self._settle(message.again(ACK_SECONDS))
            return
        self._under_way.add(item)
        try:
            async with message.held():
                if await self._made(session, job, item, message.deliveries):
                    await self._settle(message.done())
                else:
                    await self._settle(message.again(0 if session.ended else ACK_SECONDS))
        finally:
            self._under_way.discard(item)

    async def _made(self, session: SigningSession, job: Job, item: str, deliveries: int) -> bool:
        """See that something stands for the job at the broker; return whether it does."""
        number, standing = await self._lasting(lambda: self._broker.result(job.batch, item))
        if standing not in (b"", FAILED_BEFORE):
            return True
        message = await asyncio.to_thread(self._outcomes.find, item)
        if message is None:
            outcome = await self._outcome(session, job, item, deliveries)
            if outcome is None:
                return False
            message = packed(outcome)
            if len(message) > self._broker.largest:
                message = packed(failure(item, AgentError(ErrorId.JOB_TOO_LARGE)))
            elif isinstance(outcome, Signed):
                await asyncio.to_thread(self._outcomes.add, item, job.batch, message)
                self.signed += 1
        await self._store(job.batch, item, message, after=number)
        return True

    async def _outcome(self, session: SigningSession, job: Job, item: str, deliveries: int) -> Outcome | None:
        """Return what becomes of a job; None where another session may do it."""
        if now() - job.made > timedelta(days=JOB_DAYS) or job.made - now() > timedelta(days=1):
            return failure(item, AgentError(ErrorId.JOB_EXPIRED))
        if room_for(job.document) > self._broker.largest:
            return failure(item, AgentError(ErrorId.JOB_TOO_LARGE))
        if deliveries > DELIVERIES_MAX:
            return failure(item, AgentError(ErrorId.JOB_GIVEN_UP))
        with rows_heard() as rows:
            try:
                done = await self._signed(session, job)
            except _OF_THE_DOCUMENT as error:
                return failure(item, error, rows)
        if done is None:
            return None
        return Signed(
            item=item,
            document=done.content,
            certificate=done.certificate,
            digest=hashlib.sha256(job.document).digest(),
            audit=rows[-1],
        )

    async def _signed(self, session: SigningSession, job: Job) -> Made | None:
        """Return what the card makes of a job; None where it cannot now, however often that is tried."""

        def sign() -> Awaitable[Made]:
            return job.choice.sign(session, job.document, job.name)

        for _ in range(TRIES):
            try:
                return await self._first.run(str(job.choice.format), sign)
            except _OF_THE_DOCUMENT:
                raise
            except Exception as error:  # of the card, its PIN or the session
                log.warning("a job was not signed: %s", error_id(error))
                if session.ended:
                    return None
            await asyncio.sleep(PAUSE)  # another program has the card, or it is slow
        return None

    async def _store(self, batch: str, item: str, message: bytes, *, after: int = 0) -> None:
        """Have the broker store what was made, however long it is away; what stands there already holds."""
        await self._lasting(lambda: self._broker.put_result(batch, item, message, after=after))
        self._outcomes.stored(item)

    async def _settle(self, said: Awaitable[None]) -> None:
        """Say what becomes of a message. A broker that does not hear it gives it out again."""
        with suppress(AgentError):
            await said

    async def _lasting(self, call: Callable[[], Awaitable[T]]) -> T:
        return await lasting(self._broker, call)

    async def _unless_stopped(self, wait: Awaitable[object]) -> None:
        await _first(wait, self._stop)


async def _first(wait: Awaitable[T], over: asyncio.Event) -> T | None:
    """Return what is awaited, or None as soon as `over` is set."""
    task, end = asyncio.ensure_future(wait), asyncio.create_task(over.wait())
    try:
        await asyncio.wait((task, end), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        end.cancel()
        task.cancel()


def _read(data: bytes, batch: str) -> tuple[Job, str]:
    job = read_job(data, batch=batch)
    return job, job.item


def failure(item: str, error: BaseException, rows: Sequence[AuditRow] = ()) -> Failed:
    """Return that a job cannot be done, and why."""
    detail = error.facts.get("detail", "") if isinstance(error, AgentError) else error
    return Failed(
        item=item,
        error=error_id(error),
        detail=printable(str(detail))[:DETAIL_MAX],
        audit=rows[-1] if rows else None,
    )
