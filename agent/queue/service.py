"""The queue at work: it takes records in, has them signed in time, and puts what was signed into a folder.

People sign in signing sessions, which they open; records that come while one is open are signed in it. What
nobody has signed when its time is nearly up is signed by the institution's card: in a session that somebody
opened for it, or with the PIN that the keyring keeps for the folder that the record came from, by the rules
of `agent.pins.unattended`. The person's signature is then owed and added later, as a second one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from agent.config import Config, QueueSettings
from agent.errors import AgentError, ErrorId, error_id
from agent.errors import describe as describe_error
from agent.interaction import CardShown
from agent.interaction.asking import nobody_asked
from agent.operations import Caller, Operations
from agent.operations.messages import SignedDocument
from agent.operations.signing_sessions import SigningSession
from agent.paths import Paths
from agent.private_files import write_whole
from agent.queue.intake import Intake, Left
from agent.queue.model import REASON_MAX, Counts, Order, Record, RecordState, Signature
from agent.queue.records import Records
from agent.vocabulary import Errand, SessionEnd
from hca_card.certificate import describe
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.errors import CardChangedError, CardDataError
from hca_card.model import CardKind, KeyUse
from signing.certificate import parsed
from signing.errors import DocumentRefusedError, DocumentUnusableError, HashUnsupportedError
from signing.formats import Form, Level, SignatureFormat
from signing.formats.choice import Options, form_for

log = logging.getLogger(__name__)

CALLER: Final = Caller(None, "queue")
PERSONS: Final = (CardKind.PERSONNEL,)
INSTITUTIONS: Final = (CardKind.INSTITUTION, CardKind.INSTITUTION_SECONDARY)

INSTITUTION_MARGIN: Final = timedelta(minutes=10)
"""So long before its time is up the institution signs a record: there may be many."""

FAILED: Final = "failed"
"""The folder below that of results in which documents lie that cannot be signed as they are."""

LATER_REASON: Final = "補簽（電子病歷製作及管理辦法第 11 條）"
"""What a person's signature is for that comes after the institution's."""

_AT_ONCE: Final = 4
_LOOK_SECONDS: Final = 1.0
_REST_SECONDS: Final = 15.0
"""Between two looks where nothing moves and nobody signs."""
_AGAIN_SECONDS: Final = 60.0
_WARN_SECONDS: Final = 3600.0
_FORGET_SECONDS: Final = 3600.0
_DELIVERED_AT_ONCE: Final = 100
_REFUSED_AT_ONCE: Final = 3
_RETRY_SECONDS: Final = 2.0
_RETRY_SECONDS_MAX: Final = 300.0
_HOPELESS: Final = (DocumentRefusedError, DocumentUnusableError, HashUnsupportedError)


Tell = Callable[[str, str, Errand | None], Coroutine[None, None, None]]
"""Tells the person something in both languages, and offers an errand."""


def open_queue(operations: Operations, config: Config, paths: Paths, tell: Tell) -> RecordQueue:
    """Return the queue of the agent's folder, whose journal `forget` closes; it blocks.

    Raises:
        AgentError: journal.*; config.invalid: what was signed would be taken in again.
    """
    settings = config.queue
    results = Path(settings.results) if settings.results else paths.signed_records
    place = Path(os.path.realpath(results))
    if any(place.is_relative_to(os.path.realpath(folder)) for folder in settings.folders):
        raise AgentError(ErrorId.CONFIG_INVALID, detail="queue.results lies in a folder of queue.folders")
    records = Records(paths.queue, settings.records)
    return RecordQueue(
        operations, records, settings, results, tell=tell, unattended=config.unattended.enabled
    )


def words_for(error: AgentError | OSError) -> tuple[str, str]:
    """Return what the person is told of trouble with the queue, and where it is, in both languages."""
    words = describe_error(error)
    detail = error.facts.get("detail") if isinstance(error, AgentError) else error.filename
    where = ("", "") if detail is None else (f"（{detail}）", f" ({detail})")
    return f"{words.zh}{words.next_zh}{where[0]}", f"{words.en} {words.next_en}{where[1]}"


class Sign(Protocol):
    """Makes a signature: a session's, or the operation with what belongs to it."""

    async def __call__(
        self, form: Form, document: bytes, *, level: Level = Level.B_B, name: str = ""
    ) -> SignedDocument:
        """As `Operations.sign_document`."""
        ...


@dataclass(frozen=True, slots=True)
class _Signer:
    """Whose card signs.

    Attributes:
        institution: whether it is the institution's card, which signs what is due.
        numbers: by which records name the person.
        folder: from where records must come; None from anywhere.
    """

    institution: bool
    kind: CardKind
    numbers: frozenset[str] = frozenset()
    folder: str | None = None


@dataclass(slots=True)
class _Stuck:
    """A result that could not be put into its folder.

    Attributes:
        error: why, the last time.
        pause: after which it was tried again.
        at: when it is tried next, monotonic.
    """

    error: AgentError | OSError
    pause: float
    at: float


class RecordQueue:
    """Has records signed; `run` does what has its time, or a test calls `tick`.

    Args:
        operations: all card work goes through these.
        records: the journal.
        settings: `[queue]`.
        results: the folder in which what was signed is put.
        tell: tells the person something, and offers an errand.
        unattended: whether the institution's card may be used with a PIN from the keyring.
        clock: the time, aware.
    """

    def __init__(
        self,
        operations: Operations,
        records: Records,
        settings: QueueSettings,
        results: Path,
        *,
        tell: Tell,
        unattended: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._operations = operations
        self._records = records
        self._settings = settings
        self._results = results
        # A folder that was configured is for others too: whoever the folder's group is.
        self._mode = 0o640 if settings.results else 0o600
        self._tell = tell
        self._unattended = unattended
        self._clock = clock
        self._intake = Intake(settings.folders, records)
        self._news = asyncio.Event()
        self._in_work: set[int] = set()
        self._choosing = asyncio.Lock()
        self._serving: dict[SigningSession, tuple[asyncio.Task[int], _Signer]] = {}
        self._by_keyring: asyncio.Task[None] | None = None
        self._keyring_at = self._warned_at = self._forgot_at = -_FORGET_SECONDS
        self._closing = False
        self._trouble: ErrorId | None = None
        self._stuck: dict[int, _Stuck] = {}
        self._resting = 0.0
        self._roused = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self.counts = Counts()
        """How it stood when it was last looked at."""

    # --- what programs and people ask -------------------------------------------------------------------

    async def add(self, order: Order, document: bytes) -> Record:
        """Take in a record, which is on the disk when this returns; see `Records.add`."""
        record = await asyncio.to_thread(self._records.add, order, document, self._clock(), self._time)
        self._wake()
        self._roused.set()
        return record

    async def page(self, after: int, limit: int, states: tuple[RecordState, ...] = ()) -> list[Record]:
        """Return records, in the order in which they came; see `Records.page`."""
        return await asyncio.to_thread(self._records.page, after, limit, states)

    async def content(self, number: int) -> tuple[Record, bytes]:
        """Return a record and its octets as they are now.

        Raises:
            AgentError: queue.unknown.
        """
        record = await asyncio.to_thread(self._records.find, number)
        return record, await asyncio.to_thread(self._records.content, number)

    async def count(self) -> Counts:
        """Return how the queue stands now."""
        return await asyncio.to_thread(self._records.counts, self._clock(), self._warning)

    @property
    def left(self) -> tuple[Left, ...]:
        """What lies in the watched folders and is not taken in."""
        return self._intake.left

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the event loop when `counts` change; the result stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def open(
        self,
        *,
        institution: bool = False,
        reader: str | None = None,
        most: int | None = None,
        seconds: int | None = None,
        wait: bool = True,
    ) -> SigningSession:
        """Open a signing session, in which from now on this card's records are signed.

        Args:
            institution: the institution's card, for what nobody has signed in time; else a person's.
            reader: its reader, if it is named.
            most: how many signatures; None for as many as the administrator allows.
            seconds: for how long; None for what is usual.
            wait: for records that come as long as it is open; else it ends when nothing more is there for it.

        Raises:
            AgentError: signing_session.*; as `Operations.open_session`.
        """
        kinds = INSTITUTIONS if institution else PERSONS
        session = await self._operations.open_session(
            CALLER, most=most, seconds=seconds, reader=reader, kinds=kinds
        )
        try:
            signer = await self._signer(session.card, institution=institution)
        except BaseException:
            session.end(SessionEnd.CLOSED)
            raise
        session.on_end(lambda _why: self._wake())
        task = asyncio.create_task(self._serve(session, signer, wait=wait))
        self._serving[session] = task, signer
        task.add_done_callback(lambda _task: self._serving.pop(session, None))
        self._roused.set()
        return session

    async def served(self, session: SigningSession) -> int:
        """Wait until no more is signed in the session; return how many records were."""
        return await self._serving[session][0] if session in self._serving else 0

    async def _signer(self, card: CardShown, *, institution: bool) -> _Signer:
        """Return by which numbers records name the card in the reader."""
        index = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
        read = await self._operations.certificate(CALLER, index, card.reader)
        if read.serial != card.serial:
            raise CardChangedError
        numbers = {card.serial, ""}
        with suppress(CardDataError):  # a certificate that is written oddly signs all the same
            numbers.add(describe(read.der).serial_number or "")
        return _Signer(institution, card.kind, frozenset(numbers))

    # --- what has its time ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what has its time, until this is cancelled."""
        try:
            while True:
                began = time.monotonic()
                try:
                    await self.tick()
                    self._trouble = None
                except (AgentError, OSError) as error:
                    await self._tell_trouble(error)
                except Exception:
                    log.exception("the queue could not be looked at")
                await self._pause(time.monotonic() - began)
        finally:
            await self.close()

    async def _pause(self, took: float) -> None:
        """Wait until the next look: longer each time where nothing moves, but not when something is asked.

        Args:
            took: how long the look took: a folder that takes long is looked at less often.
        """
        least = max(_LOOK_SECONDS, 4 * took)
        began = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(least, self._resting)):
                await self._roused.wait()
                await asyncio.sleep(began + least - time.monotonic())
        self._roused.clear()
        self._resting = 0.0 if self._serving else min(max(_LOOK_SECONDS, 2 * self._resting), _REST_SECONDS)

    async def close(self) -> None:
        """End its sessions; what the card is at work on is brought to its end, and is written down."""
        self._closing = True
        tasks: list[asyncio.Task[int] | asyncio.Task[None]] = [task for task, _ in self._serving.values()]
        for session in tuple(self._serving):
            session.end(SessionEnd.AGENT)
        self._wake()
        if self._by_keyring is not None:
            tasks.append(self._by_keyring)
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(AgentError, OSError):  # else at the next start
            await asyncio.to_thread(self._deliver)

    def forget(self) -> None:
        """Close the journal; what it holds stays."""
        self._records.close()

    async def tick(self) -> None:
        """Take in what came, sign what is due, say how it stands, deliver what was signed.

        Raises:
            AgentError: journal.*; queue.full, queue.folder: nothing is taken in from a folder.
            OSError: what was signed cannot be delivered.
        """
        now = self._clock()
        counts, moved = await asyncio.to_thread(self._look, now)
        if moved or counts != self.counts:
            self._resting = 0.0
        self._begin_with_keyring()
        if time.monotonic() - self._forgot_at >= _FORGET_SECONDS:
            self._forgot_at = time.monotonic()
            await asyncio.to_thread(self._records.forget, now - timedelta(days=self._settings.keep_days))
        if counts != self.counts:
            self.counts = counts
            for listener in tuple(self._listeners):
                listener()
        await self._warn(counts)
        self._wake()  # programs of the command line write to the journal too
        if self._stuck:
            raise next(iter(self._stuck.values())).error
        for left in self._intake.left:
            if not left.name:
                raise AgentError(left.error, detail=str(left.folder))

    def _look(self, now: datetime) -> tuple[Counts, bool]:
        """Take in what came and deliver what was signed; return how it stands, and whether files move."""
        taken = self._intake.look(now, self._time)
        self._deliver()
        return self._records.counts(now, self._warning), bool(taken) or self._intake.unsettled

    @property
    def _time(self) -> timedelta:
        return timedelta(hours=self._settings.hours)

    @property
    def _warning(self) -> timedelta:
        return timedelta(minutes=self._settings.warn_minutes)

    def _wake(self) -> None:
        """Have whoever waits for records look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def _warn(self, counts: Counts) -> None:
        """Tell the person that time runs out, once an hour at most."""
        now = time.monotonic()
        if not counts.warned or now - self._warned_at < _WARN_SECONDS:
            return
        self._warned_at = now
        count = counts.warned
        await self._tell(
            f"有 {count} 份病歷的簽章期限快到了。請簽署；逾期由機構卡先簽，您仍須補簽。",
            f"{count} {'record has' if count == 1 else 'records have'} little time left to be signed. Sign"
            " now; otherwise the institution's card signs, and your signature is still owed.",
            Errand.QUEUE,
        )

    async def _tell_trouble(self, error: AgentError | OSError) -> None:
        """Tell the person, once, of a full disk and the like; everything stays where it is meanwhile."""
        if error_id(error) == self._trouble:
            return
        self._trouble = error_id(error)
        log.warning("the queue cannot go on: %s", error)
        await self._tell(*words_for(error), None)

    def _deliver(self) -> None:
        """Put what was signed into the folder of results; it blocks.

        What cannot be put there holds up nothing: it is tried again after pauses that grow, and all of it at
        once when one of it could be after all.
        """
        now, refused = time.monotonic(), 0
        later = [number for number, stuck in self._stuck.items() if stuck.at > now]
        for record in self._records.undelivered(_DELIVERED_AT_ONCE, without=later):
            try:
                self._put(record)
            except (AgentError, OSError) as error:
                pause = 0.0
                if (before := self._stuck.get(record.number)) is not None:
                    pause = min(max(_RETRY_SECONDS, 2 * before.pause), _RETRY_SECONDS_MAX)
                self._stuck[record.number] = _Stuck(error, pause, now + pause)
                refused += 1
                if refused == _REFUSED_AT_ONCE:  # where there is room for nothing, the rest is not tried too
                    break
            else:
                if self._stuck.pop(record.number, None) is not None:
                    self._stuck = {
                        number: _Stuck(each.error, 0.0, now) for number, each in self._stuck.items()
                    }

    def _put(self, record: Record) -> None:
        target = self._results / record.result
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(target, self._records.content(record.number), mode=self._mode)
        self._records.delivered(record)

    # --- signing ----------------------------------------------------------------------------------------

    async def _serve(self, session: SigningSession, signer: _Signer, *, wait: bool) -> int:
        """Sign in a session, several records under way at once; return how many were signed."""
        tried: set[int] = set()

        async def one_by_one() -> int:
            count = 0
            while session.left:
                news = self._news
                record = await self._next(signer, tried)
                if record is not None:
                    count += await self._sign(record, signer, session.sign, tried)
                elif wait or self._in_work:
                    await news.wait()  # what is in work may come back
                else:
                    break
            return count

        counts = await asyncio.gather(*(one_by_one() for _ in range(_AT_ONCE)))
        session.end(SessionEnd.CLOSED)
        return sum(counts)

    def _begin_with_keyring(self) -> None:
        """Have the institution's card sign what is due, if nobody opened a session for it."""
        now = time.monotonic()
        attended = any(signer.institution for _task, signer in self._serving.values())
        if not self._unattended or attended or now - self._keyring_at < _AGAIN_SECONDS:
            return
        if self._by_keyring is None or self._by_keyring.done():
            self._by_keyring = asyncio.create_task(self._sign_with_keyring())

    async def _sign_with_keyring(self) -> None:
        """Sign what is due with the PIN kept for its folder; look again in a minute where that fails."""
        for folder in await asyncio.to_thread(self._records.folders, self._due):
            signer, tried = _Signer(True, CardKind.INSTITUTION, folder=folder), set[int]()
            sign = partial(
                self._operations.sign_document,
                CALLER,
                kinds=INSTITUTIONS,
                folder=Path(folder) if folder else None,
            )
            with nobody_asked():
                while (
                    not (tried or self._closing) and (record := await self._next(signer, tried)) is not None
                ):
                    await self._sign(record, signer, sign, tried)
            if tried:
                self._keyring_at = time.monotonic()

    @property
    def _due(self) -> datetime:
        return self._clock() + INSTITUTION_MARGIN

    async def _next(self, signer: _Signer, tried: set[int]) -> Record | None:
        """Return the record with least time left of those for the signer; it is in work then."""
        async with self._choosing:
            without = self._in_work | tried
            if signer.institution:
                waiting = (RecordState.WAITING,)
                choose = partial(self._records.next, waiting, folder=signer.folder, due=self._due)
            else:
                open_ = (RecordState.WAITING, RecordState.BY_INSTITUTION)
                choose = partial(self._records.next, open_, signers=signer.numbers)
            try:
                record = await asyncio.to_thread(choose, without=without)
            except AgentError as error:
                log.warning("the queue cannot be read: %s", error)
                return None
            if record is not None:
                self._in_work.add(record.number)
            return record

    async def _sign(self, record: Record, signer: _Signer, sign: Sign, tried: set[int]) -> int:
        """Have a record signed, and write down what became of it; return 1 if it is signed."""
        later = record.state is RecordState.BY_INSTITUTION
        reasons = (self._settings.reason,) if signer.institution else (record.reason, LATER_REASON * later)
        reason = "；".join(filter(None, reasons))[:REASON_MAX]
        try:
            document = await asyncio.to_thread(self._records.content, record.number)
            form = await asyncio.to_thread(form_of, record.format, document, reason)
            done = await sign(form, document, level=record.level, name=record.name)
            state = (
                RecordState.BY_INSTITUTION
                if signer.institution
                else RecordState.COMPLETED
                if later
                else RecordState.SIGNED
            )
            number = f"{parsed(done.certificate).number:X}"
            signature = Signature(signer.kind, done.serial, number, self._clock(), reason)
            result = record.result or result_name(record, form.suffix)
            kept = await asyncio.to_thread(
                self._records.signed, record, state, done.document, result, signature
            )
        except Exception as error:
            tried.add(record.number)
            if error_id(error) != ErrorId.SIGNING_SESSION_ENDED:
                log.warning("record %d was not signed: %s", record.number, error_id(error))
                await self._note(record, error)
            return 0
        finally:
            self._in_work.discard(record.number)
            self._wake()
        return int(kept)

    async def _note(self, record: Record, error: Exception) -> None:
        """Write down why a record was not signed, if that can be written."""
        kind = error_id(error)
        note = partial(self._records.troubled, record, kind)
        if isinstance(error, _HOPELESS) and record.state is RecordState.WAITING:
            back = f"{FAILED}/{result_name(record, '')}"
            note = partial(self._records.failed, record, kind, back, self._clock())
        try:
            await asyncio.to_thread(note)
        except AgentError as trouble:
            log.warning("the queue cannot be written: %s", trouble)


def form_of(kind: SignatureFormat, document: bytes, reason: str) -> Form:
    """Return the form of a record's next signature, which has the document in it.

    Raises:
        DocumentUnusableError: the document has no such signature.
    """
    detached = False if kind is SignatureFormat.CADES else None
    try:
        return form_for(kind, document, Options(detached=detached, reason=reason))
    except ValueError as error:
        raise DocumentUnusableError(str(error)) from error


def result_name(record: Record, suffix: str) -> str:
    """Return the file name of what a record becomes, which no other has: `000017-note.signed.pdf`."""
    stem, dot, ending = record.name.rpartition(".")
    same = dot and suffix.count(".") > 1 and suffix.endswith(f".{ending.lower()}")
    return f"{record.number:06d}-{stem if same else record.name}{suffix}"
