"""The path of every request: consent, choice of a card, look, question, work, and a row in the audit log."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.access.consents import Consents
from agent.audit import AuditLog
from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import (
    Interaction,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    SessionTerms,
    ShowDocument,
    UnblockQuestion,
)
from agent.operations.activity import Activity
from agent.operations.audit_trail import AuditEntry, AuditTrail
from agent.operations.card_selection import CardRequirement, CardSelection
from agent.operations.certificate_facts import (
    CertificateFacts,
    facts_about,
    is_simulated,
    load_libraries,
)
from agent.operations.messages import Caller
from agent.operations.pin_entry import (
    AskedPin,
    KeypadPin,
    KeypadUselessError,
    KeyringPin,
    PageGuesses,
    PinCommand,
    PinEntry,
    Work,
)
from agent.operations.readers import Readers
from agent.operations.transaction_jobs import (
    CardJob,
    CardSnapshot,
    CertificatesOnCard,
    look_for_key,
    look_for_pin,
)
from agent.pins.kept import KeptPin
from agent.pins.unattended import Unattended
from agent.pkcs11_modules import Modules
from agent.places import Places
from agent.profiles import Profiles
from agent.slots import Visit
from agent.slots.module import slot_of
from agent.vocabulary import SessionEnd, Verb
from agent.workers import Workers
from hca_card.errors import CardChangedError, PinLockedError, UnsupportedError
from hca_card.model import KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.context import ReaderState
from pcsc.service import Service
from signing.certificate import public_key

log = logging.getLogger(__name__)

T = TypeVar("T")
Ahead = Callable[[CardSnapshot], Coroutine[Any, Any, None]]

_UNDER_WAY_MAX: Final = 256
_UNDER_WAY_OF_STRANGERS_MAX: Final = 64
_UNDER_WAY_OF_ONE_MAX: Final = 16
_ANY: Final = CardRequirement()

BRINGS: Final[dict[Verb, tuple[Verb, ...]]] = {
    Verb.LOGIN: (Verb.READ,),
    Verb.SIGN: (Verb.READ,),
    Verb.PAGE_PIN: (Verb.READ, Verb.SIGN),
    Verb.SESSION: (Verb.READ, Verb.SIGN),
}
"""What a verb brings with it: a signature comes with the certificate, and a PIN that is kept is for signing
with. Asked together, so that a first visit is one question."""


class Workflow:
    """Readers, workers, consents and audit, as every operation uses them.

    Args:
        service: PC/SC.
        interaction: how the person is asked.
        consents: who may do what.
        audit: where it is written down.
        config: limits.
        profiles: the HCA card types known; None is the one that ships alone.
    """

    def __init__(
        self,
        service: Service,
        interaction: Interaction,
        consents: Consents,
        audit: AuditLog,
        config: Config,
        *,
        profiles: Profiles | None = None,
    ) -> None:
        self.activity = Activity()
        self.modules = Modules(config.pkcs11, profiles, real=not service.virtual)
        self.readers = Readers(service, self._readers_changed, self.activity.service_changed, self.modules)
        self.consents = consents
        consents.ending = self.activity.ending
        self.unattended = Unattended(enabled=config.unattended.enabled)
        self.audit = AuditTrail(audit)
        self.guesses = PageGuesses(consents, config.consent.page_pin_minutes * 60)
        self._interaction = interaction
        self._keypad = config.card.keypad
        self._workers = Workers(partial(slot_of, self.modules, service, profiles), config.card)
        self._selection = CardSelection(self.readers, self._workers, interaction)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._next: defaultdict[str, asyncio.Semaphore] = defaultdict(_one_at_work_and_one_behind)
        self._under_way = Places(
            consents.rank,
            total=_UNDER_WAY_MAX,
            strangers=_UNDER_WAY_OF_STRANGERS_MAX,
            each=_UNDER_WAY_OF_ONE_MAX,
        )
        self._kept: weakref.WeakSet[KeptPin] = weakref.WeakSet()
        self._to_be_kept: set[_ToBeKept] = set()
        self.watch: Callable[[], Awaitable[object]] = _nothing_to_watch
        """Called before a PIN is kept; what it returns is done when what ends kept PINs is heard."""

    async def close(self) -> None:
        """Forget every PIN, stop watching, end the readers' threads."""
        self.forget_pins(SessionEnd.AGENT)
        await self.readers.close()
        self._workers.close()
        self.modules.close()

    @asynccontextmanager
    async def allowed(
        self,
        caller: Caller,
        verb: Verb,
        also: tuple[Verb, ...] | None = None,
        document: ShowDocument | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """Run the body if `caller` may do `verb`, and write down what became of it.

        Args:
            caller: who asks; may have only so much under way, questions included.
            verb: what is wanted.
            also: what it brings with it; None as `BRINGS` says.
            document: what it is wanted for, to be shown.
        """
        origin = caller.origin
        with self.audit.begin(origin, verb) as audit, self._under_way.occupied(origin):
            also = BRINGS.get(verb, ()) if also is None else also
            await self.consents.require(origin, verb, *also, document=document)
            audit.allowed = True
            yield audit

    @contextmanager
    def checked(self, caller: Caller, verb: Verb) -> Iterator[None]:
        """Run checks that need neither card nor person; what they refuse is written down too."""
        try:
            yield
        except BaseException:
            with self.audit.begin(caller.origin, verb) as audit:
                audit.allowed = self.consents.allowed(caller.origin, verb)
                raise

    async def visit(
        self,
        caller: Caller,
        reader: str | None,
        job: CardJob[T],
        requirement: CardRequirement,
        audit: AuditEntry,
    ) -> T:
        """Return the result of `job` with the card picked; see `CardSelection.pick`."""
        name = await self._selection.pick(caller, reader, requirement)
        return await self._run(caller, name, job, requirement, audit)

    async def note(self, audit: AuditEntry, snapshot: CardSnapshot) -> CertificateFacts:
        """Take down the card that was looked at; return what its certificate says."""
        facts = await facts_about(snapshot)
        audit.note(snapshot, facts)
        self.activity.card_read(snapshot, facts)
        if snapshot.pin_pad:
            self.readers.note_pin_pad(snapshot.reader)
        return facts

    async def note_certificates(self, audit: AuditEntry, card: CertificatesOnCard) -> None:
        """Take down which card the certificates are on."""
        audit.serial = card.serial
        audit.simulated = await is_simulated(card)

    async def use_pin(
        self,
        caller: Caller,
        verb: Verb,
        work: Work[T],
        requirement: CardRequirement,
        *,
        command: PinCommand = PinCommand.VERIFY,
        given: PinEntry | None = None,
        session: KeptPin | None = None,
        reader: str | None = None,
        document: ShowDocument | None = None,
        folder: Path | None = None,
        keep: bool = False,
        terms: SessionTerms | None = None,
        on_keypad: bool = True,
        ahead: Ahead | None = None,
    ) -> tuple[CardSnapshot, T, KeptPin | None]:
        """Send a PIN to a card, and do `work` with it and the certificate in the same transaction.

        With a PIN `given` there is one transaction. Else there are two, and the person is asked in between,
        while none is open.

        Args:
            caller: who asks.
            verb: what the person is asked to allow.
            work: in the reader's thread.
            requirement: what the card must be and have; with a key, its certificate is looked at.
            command: what the PIN is for.
            given: a PIN that nobody has to be asked for.
            session: the caller's; its reader is then the one, and it keeps the new PIN of a change.
            reader: the reader named, if any.
            document: what the PIN is wanted for, to be shown.
            folder: where that lies, for work that nobody attends.
            keep: keep the PIN for the caller.
            terms: what the PIN that is kept may be used for, to be shown.
            on_keypad: whether it may be typed on the reader's keypad.
            ahead: done beside the question, with the card that was looked at and its issuers; the work waits
                for it, and where it fails nobody has to answer.

        Returns:
            The card, what `work` gave, and the PIN kept, unless this program never had it.
        """
        also = (Verb.PAGE_PIN,) if verb is Verb.CHANGE_PIN and given is not None else None
        to_be_kept = self._keeping() if keep else nullcontext()
        async with self.allowed(caller, verb, also, document) as audit, to_be_kept as keeping:
            await load_libraries()
            if terms is not None:
                audit.session = terms.number
            if session is not None:
                session.require_owner(caller)
                name, audit.session = session.reader, session.number
            else:
                name = await self._selection.pick(caller, reader, requirement)
            if requirement.serial:
                audit.reached(requirement.serial, name)
            # A PIN that was right on this card waits for no answer of the person's: the card would be idle.
            kept_pin = session is not None and command is PinCommand.VERIFY
            async with self._next[name] if kept_pin else self._turns[name]:
                entry, question = given, None
                beside = _Beside()
                if entry is None:
                    look = _look_for(requirement, command, chain=ahead is not None)
                    snapshot = await self._run(caller, name, look, requirement, audit)
                    facts = await self.note(audit, snapshot)
                    _require_usable(requirement, facts, snapshot)
                    if requirement.key is not None and verb is Verb.SIGN:
                        entry = await self._from_keyring(caller, snapshot, folder)
                    beside.begin(ahead, snapshot)
                    if entry is None:
                        shown = None if document is None else await document()
                        question = PinQuestion(
                            caller.origin, facts.shown(snapshot), _pin_of(snapshot), verb, shown, terms
                        )
                        entry = await beside.unless_failed(
                            self._from_person(question, command, snapshot, session, on_keypad=on_keypad)
                        )
                send = partial(
                    self._send_pin,
                    caller=caller,
                    name=name,
                    work=work,
                    requirement=requirement if given is not None else _ANY,
                    session=session,
                    audit=audit,
                    keeping=keeping,
                    beside=beside,
                )
                try:
                    snapshot, result, kept = await send(entry)
                except KeypadUselessError as error:
                    if question is None:
                        raise
                    self.readers.note_pin_pad(name, works=False)
                    log.warning("%s: %s", name, error)
                    entry = await self._from_person(question, command, snapshot, session, on_keypad=False)
                    snapshot, result, kept = await send(entry)
            if command is PinCommand.UNBLOCK:
                self.guesses.pins.clear(caller.origin)
            if given is not None and requirement.key is None:
                await self.note(audit, snapshot)
            return snapshot, result, kept

    async def _send_pin(
        self,
        entry: PinEntry,
        *,
        caller: Caller,
        name: str,
        work: Work[T],
        requirement: CardRequirement,
        session: KeptPin | None,
        audit: AuditEntry,
        keeping: _ToBeKept | None,
        beside: _Beside,
    ) -> tuple[CardSnapshot, T, KeptPin | None]:
        """Send the PIN in one transaction; return the card, what `work` gave, and the PIN if it is kept."""
        audit.unattended = entry.unattended
        async with entry:
            await beside.done()
            if keeping is not None:
                await keeping.watched
            job = partial(entry.run, audit=audit, work=work)
            done = None if entry.command is PinCommand.VERIFY else partial(self._pin_replaced, entry)
            try:
                snapshot, result = await self._run(caller, name, job, requirement, audit, done=done)
            except Exception:
                if session is not None:
                    audit.reached(session.serial, session.reader)
                raise
            kept = None if keeping is None else entry.keep(caller, snapshot)
            if keeping is not None and kept is not None:
                self._kept.add(kept)
                if keeping.ended is not None:
                    kept.wipe(keeping.ended)
            return snapshot, result, kept

    @asynccontextmanager
    async def _keeping(self) -> AsyncIterator[_ToBeKept]:
        """Run the body, which keeps a PIN, with whatever ends kept PINs ending that one too.

        From before the person is asked: a lock that is heard while the PIN is on its way, from the window or
        from the card, finds nothing to wipe yet.
        """
        keeping = _ToBeKept(asyncio.ensure_future(self.watch()))
        self._to_be_kept.add(keeping)
        try:
            yield keeping
        finally:
            self._to_be_kept.remove(keeping)
            keeping.watched.cancel()

    def any_kept(self) -> bool:
        """Return whether a PIN is kept now, or will be."""
        return bool(self._to_be_kept) or any(not kept.wiped for kept in self._kept)

    def forget_pins(self, why: SessionEnd) -> None:
        """Wipe the PINs that are kept, and those that are about to be."""
        for keeping in self._to_be_kept:
            keeping.ended = keeping.ended or why
        self._forget_if(lambda _kept: True, why)

    def _forget_if(self, holding: Callable[[KeptPin], bool], why: SessionEnd) -> None:
        for kept in tuple(self._kept):
            if holding(kept):
                kept.wipe(why)

    async def _from_keyring(
        self, caller: Caller, snapshot: CardSnapshot, folder: Path | None
    ) -> KeyringPin | None:
        """Return the PIN from the keyring, for signatures it is kept for."""
        if not self.unattended.enabled:
            return None
        serial = snapshot.serial
        pin = await asyncio.to_thread(self.unattended.find, serial, caller.origin, folder)
        return None if pin is None else KeyringPin(snapshot, pin, partial(self.unattended.forget, serial))

    async def _from_person(
        self,
        question: PinQuestion,
        command: PinCommand,
        snapshot: CardSnapshot,
        session: KeptPin | None,
        *,
        on_keypad: bool,
    ) -> PinEntry:
        """Return what the person types, or will type on the reader's keypad.

        Raises:
            PinLockedError: no try is left.
            AgentError: pin.unavailable, pin.cancelled, request.rate, busy.
        """
        origin, card, status = question.origin, question.card, question.status
        if command is not PinCommand.UNBLOCK and status.locked:
            raise PinLockedError(tries_left=0)
        if not self._interaction.available:
            raise AgentError(ErrorId.PIN_UNAVAILABLE)
        takes_keypad = {
            PinCommand.VERIFY: snapshot.takes_keypad,
            PinCommand.CHANGE: snapshot.changes_on_keypad,
            PinCommand.UNBLOCK: False,
        }[command]
        # A keypad cannot say that this is the last try and take a yes: then the PIN is asked on the screen.
        works = self._keypad and not self.readers.keypad_failed(snapshot.reader)
        if on_keypad and works and takes_keypad and not status.last_try:
            keypad = KeypadQuestion(origin, card, status, question.verb, question.document)
            return KeypadPin(command, snapshot, partial(self._interaction.ask, keypad))
        pins: tuple[Pin, ...] | None
        if command is PinCommand.VERIFY:
            pin = await self._interaction.ask(question)
            pins = None if pin is None else (pin,)
        elif command is PinCommand.CHANGE:
            pins = await self._interaction.ask(NewPinQuestion(origin, card, status))
        else:
            if snapshot.puk is None:
                raise UnsupportedError
            pins = await self._interaction.ask(UnblockQuestion(origin, card, status, snapshot.puk))
        if pins is None:
            raise AgentError(ErrorId.PIN_CANCELLED)
        return AskedPin(command, snapshot, pins, session)

    async def _run(
        self,
        caller: Caller,
        reader: str,
        job: CardJob[T],
        requirement: CardRequirement,
        audit: AuditEntry,
        *,
        done: Callable[[T], None] | None = None,
    ) -> T:
        """Return the result of `job`; it is given no card but one of the kinds that are required.

        Args:
            caller: whose work it is.
            reader: the reader's name.
            job: in the reader's thread.
            requirement: what the card must be.
            audit: has the card, if it is reached.
            done: called with the result even if nobody waits any more.
        """

        def with_card(visit: Visit) -> T:
            card = visit.card()
            requirement.require(card)
            try:
                return job(visit, card)
            except CardChangedError:
                raise
            except Exception:
                audit.reached(card.serial, visit.reader)
                raise

        self.activity.begin(reader)
        failure: Exception | None = None
        try:
            return await self._workers.run(reader, with_card, origin=caller.origin, done=done)
        except Exception as error:
            failure = error
            raise
        finally:
            self.activity.end(reader, failure)
            del failure

    def _pin_replaced(self, entry: PinEntry, outcome: tuple[CardSnapshot, object]) -> None:
        """Wipe what other sessions kept of the old PIN."""
        serial = outcome[0].serial
        self._forget_if(lambda kept: kept is not entry.session and kept.serial == serial, SessionEnd.PIN)

    def _readers_changed(self, states: Sequence[ReaderState]) -> None:
        """End what waits for a reader or card that is no longer there, and its kept PIN."""
        self._workers.keep_only([state.name for state in states])
        self._selection.keep_only(states)
        self.activity.readers_changed(states)
        self._interaction.cards_moved(frozenset(state.name for state in states if state.present))
        there = {state.name: state for state in states}

        def lost(kept: KeptPin) -> bool:
            state = there.get(kept.reader)
            return state is None or kept.ended_by(present=state.present, event_counter=state.event_counter)

        self._forget_if(lost, SessionEnd.CARD)


@dataclass(eq=False, slots=True)
class _ToBeKept:
    """A PIN that is not kept yet.

    Attributes:
        watched: done when what ends kept PINs is heard.
        ended: why it must not be kept any more.
    """

    watched: asyncio.Future[object]
    ended: SessionEnd | None = None


class _Beside:
    """Work beside a question, which it ends where it fails."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def begin(self, work: Ahead | None, snapshot: CardSnapshot) -> None:
        """Begin the work, if there is any."""
        if work is not None:
            self._task = asyncio.create_task(work(snapshot))

    async def unless_failed(self, question: Coroutine[Any, Any, T]) -> T:
        """Return the answer, or raise what made the work fail."""
        task = self._task
        if task is None:
            return await question
        asking = asyncio.create_task(question)
        failed: list[BaseException] = []

        def ended(done: asyncio.Task[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None and asking.cancel():
                failed.append(error)

        task.add_done_callback(ended)
        try:
            return await asking
        except BaseException:
            task.cancel()
            if failed:
                raise failed[0] from None
            raise

    async def done(self) -> None:
        """Wait for the work; raise what made it fail."""
        if self._task is not None:
            await self._task


async def _nothing_to_watch() -> None:
    pass


def _one_at_work_and_one_behind() -> asyncio.Semaphore:
    """Return what lets a reader's thread go on at once, and takes no more of its queue."""
    return asyncio.Semaphore(2)


def _require_usable(requirement: CardRequirement, facts: CertificateFacts, snapshot: CardSnapshot) -> None:
    """Return if the certificate can serve, before anybody is asked for the PIN. Raise `SigningError`."""
    if requirement.key is KeyUse.SIGNATURE:
        facts.require_in_time()
    if requirement.rsa:
        public_key(snapshot.certificate)
    if requirement.recipient is not None:
        requirement.recipient(snapshot.certificate)


def _look_for(requirement: CardRequirement, command: PinCommand, *, chain: bool) -> CardJob[CardSnapshot]:
    if requirement.key is not None:
        return partial(look_for_key, use=requirement.key, chain=chain)
    return partial(look_for_pin, puk=command is PinCommand.UNBLOCK)


def _pin_of(snapshot: CardSnapshot) -> PinStatus:
    if snapshot.pin is None:
        raise UnsupportedError
    return snapshot.pin
