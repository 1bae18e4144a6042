"""A batch of files whose cards are in other computers: given to the broker item by item, and followed.

Only a few items for each card are at the broker at a time, so that it and the workers are never flooded,
however long the list is. The order, for each: the job is stored at the broker; a worker's result comes; it is
looked at; it is stored beside the journal of the batch; its place at the broker says that it was taken.
Whatever ends in between, the item is asked for again under the same name, and what is there already is not
made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from agent.audit import AuditLog, AuditRow
from agent.batch.choice import Choice, Signed, Signs
from agent.batch.engine import ItemError
from agent.batch.files import FileBatch, FileItem
from agent.batch.first import FirstAlone
from agent.broker.connection import PAUSE, Broker, Message, Messages, lasting
from agent.broker.messages import (
    FAILED_BEFORE,
    TAKEN,
    Batch,
    Failed,
    Job,
    Outcome,
    card_key,
    name_fault,
    now,
    packed,
    read_outcome,
    room_for,
)
from agent.broker.messages import Signed as SignedElsewhere
from agent.broker.results import is_signed_by
from agent.errors import AgentError, ErrorId
from agent.private_files import write_private
from hca_card.decoding import UNREADABLE
from signing.cms.build import CmsForm
from signing.formats import Form, Level
from signing.hashes import Hash

log = logging.getLogger(__name__)

T = TypeVar("T")
Tell = Callable[[str, str], None]

STATE: Final = ".hca-agent-submit.json"
LANES: Final = 8
"""Lanes of the engine for each card, with an item or two each: what is at the broker for it at a time."""

ENDING_SECONDS: Final = 3.0
"""How long a batch that is stopped waits for what cards are at work on; the rest comes with the next run."""

QUIET_SECONDS: Final = 15.0
"""A card from which nothing came for so long is looked after."""


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a batch is called at the broker, kept beside its outputs.

    Attributes:
        batch: its name there.
        run: how often it was gone on with.
    """

    batch: Batch
    run: int = 1


def submission(outputs: Path, *, resumed: bool) -> Submission:
    """Return what the batch of these outputs is called, and write it down.

    Raises:
        OSError: it cannot be written.
    """
    path, known = outputs / STATE, None
    if resumed:
        with suppress(OSError, *UNREADABLE):
            known = msgspec.json.decode(path.read_bytes(), type=Submission)
    found = Submission(secrets.token_hex(16)) if known is None else Submission(known.batch, known.run + 1)
    write_private(path, msgspec.json.encode(found))
    return found


@dataclass(slots=True)
class _Asked:
    """An item that is at the broker."""

    outcome: asyncio.Future[tuple[Outcome, int]]
    card: str = ""


@dataclass(slots=True)
class _Card:
    """A card that may sign.

    Attributes:
        asked: items that are at the broker for it.
        heard: when something came from it last, monotonic.
        there: whether somebody seems to hold it.
    """

    key: str
    asked: int = 0
    heard: float = field(default_factory=time.monotonic)
    there: bool = True


class RemoteCards:
    """Cards in other computers; an asynchronous context manager that listens as long as it is open.

    Args:
        broker: where they are reached.
        submission: whose items they sign.
        cards: their keys (`messages.card_key`); each item goes to the one that has the fewest.
        tell: says something to the person.
        audit: where the rows are written down that come back with results.
    """

    def __init__(
        self, broker: Broker, submission: Submission, cards: Sequence[str], tell: Tell, audit: AuditLog
    ) -> None:
        self._broker = broker
        self._submission = submission
        self._cards = {key: _Card(key) for key in cards}
        self._tell = tell
        self._audit = audit
        self._asked: dict[str, _Asked] = {}
        self._settling: dict[int, tuple[str, int, AuditRow | None]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._first = FirstAlone()
        self._closed = False
        self._ending: asyncio.Task[None] | None = None
        self._back = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        self._results = await self._lasting(lambda: self._broker.results(self._submission.batch))
        self._listening = asyncio.create_task(self._listen(self._results))
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._closed = True
        for task in (self._listening, self._ending):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, AgentError):
                    await task
        await self._results.close()

    def reached(self) -> None:
        """Give the broker again what it should have: it was away, and may have lost what it took last."""
        back, self._back = self._back, asyncio.get_running_loop().create_future()
        back.set_result(None)

    def withdraw(self) -> None:
        """Take back what no worker has yet; what a card is at work on still comes, for a little while."""
        self._ending = asyncio.create_task(self._withdraw())

    async def _withdraw(self) -> None:
        with suppress(AgentError):
            await self._broker.withdraw(self._submission.batch)
        await asyncio.sleep(ENDING_SECONDS)
        self._fail(AgentError(ErrorId.BATCH_CANCELLED))

    def _fail(self, error: AgentError) -> None:
        for asked in self._asked.values():
            if not asked.outcome.done():
                asked.outcome.set_exception(error)

    async def forget(self) -> None:
        """Have the broker forget that somebody listened: everything has come."""
        with suppress(AgentError):
            await self._broker.forget(self._results)

    async def make(self, number: int, choice: Choice, document: bytes, name: str) -> Signed:
        """Return a document signed by one of the cards.

        Raises:
            ItemError: a worker says that it cannot be done; job.outcome: what came back is not what was
                asked for; job.too_large.
            AgentError: broker.refused, broker.unusable.
        """
        if name_fault(name):
            raise ItemError(ErrorId.JOB_INVALID, detail=name_fault(name))
        if room_for(document) > self._broker.largest:
            raise ItemError(ErrorId.JOB_TOO_LARGE, detail=name)
        batch = self._submission.batch
        job = Job(batch=batch, number=number, name=name, choice=choice, made=now(), document=document)
        message, item = packed(job), job.item
        outcome, place = await self._outcome(item, message)
        self._settling[number] = item, place, outcome.audit
        if isinstance(outcome, Failed):
            error = ErrorId(outcome.error) if outcome.error in set(ErrorId) else ErrorId.INTERNAL
            raise ItemError(error, detail=outcome.detail)
        signed = outcome

        def look() -> Awaitable[bool]:
            return asyncio.to_thread(is_signed_by, signed.document, document, signed.certificate, choice)

        known = card_key(signed.certificate) in self._cards
        if not (known and await self._first.run(str(choice.format), look)):
            raise ItemError(ErrorId.JOB_OUTCOME, detail=name)
        return Signed(signed.document, signed.certificate)

    async def settle(self, number: int, mark: bytes) -> None:
        """Leave word in the place of a result that it was taken, or noted; write its audit row down."""
        item, place, row = self._settling.pop(number, ("", 0, None))
        if row is not None:
            self._audit.record(msgspec.structs.replace(row, elsewhere=True))
        if item:
            with suppress(AgentError):  # what stays there is read again at worst
                await self._broker.put_result(self._submission.batch, item, mark, after=place)

    async def _outcome(self, item: str, message: bytes) -> tuple[Outcome, int]:
        """Return what becomes of an item, and the number of that at the broker."""
        batch = self._submission.batch
        if self._submission.run > 1:
            place, standing = await self._lasting(lambda: self._broker.result(batch, item))
            if standing == TAKEN:
                # It was stored here and is here no more: only a new item is signed again.
                raise ItemError(ErrorId.JOB_TAKEN)
            if standing not in (b"", FAILED_BEFORE):
                return _outcome_of(standing), place
        asked = _Asked(asyncio.get_running_loop().create_future())
        # A worker that cannot read a job knows it by what it was.
        names = item, hashlib.sha256(message).hexdigest()
        self._asked.update(dict.fromkeys(names, asked))
        try:
            await self._put(asked, item, message)
            while True:
                back = self._back
                await asyncio.wait(
                    (asked.outcome, back), timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if asked.outcome.done():
                    return asked.outcome.result()
                if back.done():
                    await self._put(asked, item, message)
                elif await self._elsewhere(asked):
                    self._leave(asked)
                    await self._put(asked, item, message)
        finally:
            for name in names:
                del self._asked[name]
            self._leave(asked)

    async def _put(self, asked: _Asked, item: str, message: bytes) -> None:
        """Give an item to its card; without one, to the card that has the fewest, of those somebody holds."""
        if not asked.card:
            for absent in [each for each in self._cards.values() if not each.there]:
                await self._look(absent)
            card = min(self._cards.values(), key=lambda each: (not each.there, each.asked))
            asked.card = card.key
            card.asked += 1
        key = asked.card
        name = f"{item}.{self._submission.run}.{key}"
        await self._lasting(lambda: self._broker.put_job(key, self._submission.batch, name, message))

    def _leave(self, asked: _Asked) -> None:
        """Take an item from the card that it is with."""
        if asked.card:
            self._cards[asked.card].asked -= 1
            asked.card = ""

    async def _elsewhere(self, asked: _Asked) -> bool:
        """Return whether an item should go to another card: nobody holds its own, and somebody another."""
        card = self._cards[asked.card]
        await self._look(card)
        if card.there:
            return False
        for other in self._cards.values():
            if other is not card:
                await self._look(other)
        return any(other.there for other in self._cards.values())

    async def look(self) -> None:
        """Tell the person of cards that nobody holds now."""
        for card in self._cards.values():
            await self._look(card, quiet_for=0)

    async def _look(self, card: _Card, quiet_for: float | None = None) -> None:
        """See whether somebody holds a card, where nothing came from it of late."""
        if time.monotonic() - card.heard < (QUIET_SECONDS if quiet_for is None else quiet_for):
            return
        card.heard = time.monotonic()
        waiting = await self._lasting(lambda: self._broker.waiting(card.key))
        if card.there and not waiting:
            self._tell(
                f"卡片 {card.key} 現在沒有空閒的簽章端；工作會等它",
                f"no worker is free at the card {card.key} now; its jobs wait for one",
            )
        card.there = bool(waiting)

    async def _listen(self, results: Messages) -> None:
        # Not by cancelling alone, which nats-py may swallow.
        while not self._closed:
            try:
                message = await results.next()
                if message is not None:
                    await self._hear(message)
            except AgentError as error:
                self._fail(error)
                await asyncio.sleep(PAUSE)

    async def _hear(self, message: Message) -> None:
        """Hand a result to whoever asked for it; the broker need not give it out again."""
        item = message.subject[-1]
        asked = self._asked.get(item)
        if asked is not None and message.data not in (TAKEN, FAILED_BEFORE) and not asked.outcome.done():
            outcome = _outcome_of(message.data)
            if isinstance(outcome, SignedElsewhere):
                card = self._cards.get(card_key(outcome.certificate))
                if card is not None:
                    card.heard, card.there = time.monotonic(), True
            asked.outcome.set_result((outcome, message.place))
        with suppress(AgentError):
            await message.done()

    async def _lasting(self, call: Callable[[], Awaitable[T]]) -> T:
        return await lasting(self._broker, call)


class Submitted:
    """A batch of files whose items are signed elsewhere; the engine's side of it.

    Args:
        files: the batch with its journal.
        cards: where they are signed.
    """

    def __init__(self, files: FileBatch, cards: RemoteCards) -> None:
        self._files = files
        self._cards = cards
        self.next = files.next

    def lanes(self, cards: int) -> list[Signs]:
        """Return what the engine takes for signing sessions; each has a few items at the broker."""
        return [_Remote(self._cards)] * (LANES * cards)

    async def sign(self, item: FileItem, _lane: Signs) -> Signed:
        """As `FileBatch.sign`, by a card elsewhere."""
        return await self._files.sign(item, _Remote(self._cards, item))

    async def store(self, item: FileItem, signed: Signed) -> None:
        """As `FileBatch.store`; the broker keeps the document no longer then."""
        await self._files.store(item, signed)
        await self._cards.settle(item.number, TAKEN)

    async def failed(self, item: FileItem, error: Exception) -> None:
        """As `FileBatch.failed`."""
        await self._files.failed(item, error)
        await self._cards.settle(item.number, FAILED_BEFORE)


@dataclass(frozen=True, slots=True)
class _Remote:
    """What stands for a signing session here: one item on its way to a card."""

    cards: RemoteCards
    item: FileItem | None = None
    ended: None = None

    async def sign(
        self,
        _form: Form,
        document: bytes,
        *,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        level: Level,
        name: str,
    ) -> _Made:
        return await self._make(document, name)

    async def sign_value(
        self,
        document: bytes,
        *,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        cms: CmsForm | None,
        name: str,
    ) -> _Made:
        return await self._make(document, name)

    async def _make(self, document: bytes, name: str) -> _Made:
        assert self.item is not None  # noqa: S101  (`Submitted.sign` names it)
        made = await self.cards.make(self.item.number, self.item.choice, document, name)
        return _Made(made.content, made.content, made.certificate)


@dataclass(frozen=True, slots=True)
class _Made:
    document: bytes
    signature: bytes
    certificate: bytes


def _outcome_of(data: bytes) -> Outcome:
    """Return what stands in the place of a result; what is none is an error, and may be tried again."""
    try:
        return read_outcome(data)
    except AgentError as error:
        return Failed(item="0" * 64, error=error.error_id)
