"""What every request passes: consent, its card, its PIN, and a row in the audit log."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from agent.access.consents import Consents
from agent.audit import AuditLog
from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import DocumentShown, Interaction, KeypadQuestion, PinQuestion
from agent.modules import Modules
from agent.operations import transaction_jobs
from agent.operations.activity import Activity
from agent.operations.audit_trail import AuditEntry, AuditTrail
from agent.operations.card_selection import ANY, CardRequirement, CardSelection, need
from agent.operations.certificate_facts import (
    CertificateFacts,
    facts_about,
    facts_of,
    is_simulated,
    load_libraries,
)
from agent.operations.messages import Caller
from agent.operations.readers import Readers
from agent.operations.transaction_jobs import Action, CardSnapshot, CertificatesOnCard
from agent.pins.kept import KeptPin
from agent.pins.unattended import Unattended
from agent.profiles import Profiles
from agent.slots.module import slot_of
from agent.vocabulary import Verb
from agent.workers import Job, Workers
from hca_card.errors import PinLockedError, UnsupportedError
from hca_card.model import CardKind, KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.context import ReaderState
from pcsc.service import Service

T = TypeVar("T")
Q = TypeVar("Q", PinQuestion, KeypadQuestion)

_UNDER_WAY_MAX: Final = 16

BRINGS: Final[dict[Verb, tuple[Verb, ...]]] = {
    Verb.LOGIN: (Verb.READ,),
    Verb.SIGN: (Verb.READ,),
    Verb.PAGE_PIN: (Verb.READ, Verb.SIGN),
}
"""What a verb brings with it: a signature comes with the certificate, and a PIN that a page collects is for
signing with. Asked together, so that a first visit is one question."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants done with a key.

    Attributes:
        verb: what the person is asked to allow.
        use: the key.
        reader: the reader named, if any.
        kept: the session's PIN; None asks the person. Its reader is then the one.
        document: what it is wanted for, to be shown.
        folder: where it lies, for work that nobody attends.
        kinds: the kinds of card wanted; empty for any.
    """

    caller: Caller
    verb: Verb
    use: KeyUse
    reader: str | None = None
    kept: KeptPin | None = None
    document: DocumentShown | None = None
    folder: Path | None = None
    kinds: frozenset[CardKind] = frozenset()


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
        self.unattended = Unattended(enabled=config.unattended.enabled)
        self.interaction = interaction
        self._keypad = config.card.keypad
        self._workers = Workers(partial(slot_of, self.modules, service, profiles), config.card)
        self.selection = CardSelection(self.readers, self._workers, interaction)
        self.audit = AuditTrail(audit)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: Counter[str | None] = Counter()
        self._kept: weakref.WeakSet[KeptPin] = weakref.WeakSet()

    async def close(self) -> None:
        """Forget every PIN, stop watching, end the readers' threads."""
        self.forget_pins()
        await self.readers.close()
        self._workers.close()
        self.modules.close()

    @asynccontextmanager
    async def asked(
        self,
        caller: Caller,
        verb: Verb,
        also: Sequence[Verb] | None = None,
        document: DocumentShown | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """The body runs if `caller` may do `verb`; what became of it is written down.

        Args:
            caller: who asks.
            verb: what is wanted.
            also: what it brings with it; None as `BRINGS` says.
            document: what it is wanted for, to be shown.
        """
        also = BRINGS.get(verb, ()) if also is None else also
        with self.audit.begin(caller.origin, verb) as entry, self._share(caller.origin):
            await self.consents.require(caller.origin, verb, *also, document=document)
            yield entry

    @contextmanager
    def checked(self, caller: Caller, verb: Verb) -> Iterator[None]:
        """The body refuses what needs neither card nor person to be refused; that too is written down."""
        try:
            yield
        except BaseException:
            with self.audit.begin(caller.origin, verb):
                raise

    async def visit(
        self, caller: Caller, reader: str | None, job: Job[T], wanted: CardRequirement = ANY
    ) -> T:
        """The result of `job` with the card that is meant; see `CardSelection.pick`."""
        return await self.run(caller, await self.selection.pick(caller, reader, wanted), wanted.checked(job))

    async def note(self, entry: AuditEntry, seen: CardSnapshot) -> CertificateFacts:
        """What the certificate of that card says; `entry` has it from here on."""
        facts = await facts_about(seen)
        entry.note(seen, facts)
        self.activity.saw(seen, facts)
        if seen.pin_pad:
            self.readers.note_pin_pad(seen.reader)
        return facts

    async def note_held(self, entry: AuditEntry, held: CertificatesOnCard) -> None:
        """Which card the certificates are on; `entry` has it from here on."""
        entry.serial = held.serial
        entry.simulated = await is_simulated(held)

    async def with_pin(self, wish: Wish, action: Action[T]) -> tuple[CardSnapshot, T]:
        """Do `action` on the card with its PIN verified: the session's, or one the person is asked for."""
        async with self.asked(wish.caller, wish.verb, document=wish.document) as entry:
            if wish.kept is not None:
                return await self._with_kept_pin(wish, wish.kept, entry, action)
            await load_libraries()
            wanted = need(wish.kinds, wish.use)
            reader = await self.selection.pick(wish.caller, wish.reader, wanted)
            async with self.turn(reader):
                look = wanted.checked(partial(transaction_jobs.look_for_key, use=wish.use))
                seen = await self.run(wish.caller, reader, look)
                facts = await self.note(entry, seen)
                if wish.use is KeyUse.SIGNATURE:
                    facts.require_in_time()
                with await self._unattended_pin(wish, seen) as known:
                    if not known.wiped:
                        entry.unattended = True
                        forget = partial(self.unattended.forget, seen.serial)
                        alone = partial(
                            transaction_jobs.unattended, seen=seen, pin=known, forget=forget, action=action
                        )
                        return seen, await self.run(wish.caller, reader, alone)
                self.require_person(seen.pin)
                if self.use_keypad(seen):
                    keyed = partial(transaction_jobs.with_keypad, seen=seen, action=action)
                    async with self.keypad_shown(wish, seen, facts):
                        return seen, await self.run(wish.caller, reader, keyed)
                with await self.ask_pin(wish, seen, facts) as pin:
                    job = partial(transaction_jobs.with_pin, seen=seen, pin=pin, action=action)
                    return seen, await self.run(wish.caller, reader, job)

    def remember(self, kept: KeptPin) -> KeptPin:
        """`kept`, which is wiped from here on when its card goes or this ends."""
        self._kept.add(kept)
        return kept

    def forget_pins(self, holding: Callable[[KeptPin], bool] = lambda _kept: True) -> None:
        """Wipe the PINs that are kept, or those of which `holding` says so."""
        for kept in tuple(self._kept):
            if holding(kept):
                kept.wipe()

    async def _unattended_pin(self, wish: Wish, seen: CardSnapshot) -> Pin:
        """The PIN from the keyring, for signatures it is kept for; wiped where there is none."""
        if wish.verb is not Verb.SIGN or not self.unattended.enabled:
            return Pin("")
        found = await asyncio.to_thread(self.unattended.find, seen.serial, wish.caller.origin, wish.folder)
        return found or Pin("")

    async def _with_kept_pin(
        self, wish: Wish, kept: KeptPin, entry: AuditEntry, action: Action[T]
    ) -> tuple[CardSnapshot, T]:
        kept.require_owner(wish.caller)

        def check(seen: CardSnapshot) -> None:
            facts = facts_of(seen)
            entry.note(seen, facts)
            if wish.use is KeyUse.SIGNATURE:
                facts.require_in_time()

        async with self.turn(kept.reader):
            return await self.run(
                wish.caller,
                kept.reader,
                lambda visit: transaction_jobs.with_kept_pin(visit, kept, wish.use, check, action),
            )

    def require_person(self, status: PinStatus | None) -> None:
        """Refuse before anybody is asked what no PIN could achieve, or nobody could be asked for.

        Raises:
            PinLockedError: no try is left.
            AgentError: pin.unavailable.
        """
        if status is not None and status.locked:
            raise PinLockedError(tries_left=0)
        if not self.interaction.available:
            raise AgentError(ErrorId.PIN_UNAVAILABLE)

    def use_keypad(self, seen: CardSnapshot) -> bool:
        """Whether the PIN of the card is to be typed on its reader's keypad."""
        # A keypad cannot say that this is the last try and take a yes: then the PIN is asked on the screen.
        return self._keypad and seen.takes_keypad and seen.pin is not None and not seen.pin.last_try

    @asynccontextmanager
    async def keypad_shown(
        self, wish: Wish, seen: CardSnapshot, facts: CertificateFacts
    ) -> AsyncIterator[None]:
        """The person is pointed to the reader's keypad as long as the body runs."""
        showing = asyncio.create_task(self.interaction.ask(_question(KeypadQuestion, wish, seen, facts)))
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    async def ask_pin(self, wish: Wish, seen: CardSnapshot, facts: CertificateFacts) -> Pin:
        """The PIN of the card, from the person; the caller wipes it.

        Raises:
            AgentError: pin.cancelled, request.rate, busy.
        """
        pin = await self.interaction.ask(_question(PinQuestion, wish, seen, facts))
        if pin is None:
            raise AgentError(ErrorId.PIN_CANCELLED)
        return pin

    async def run(
        self, caller: Caller, reader: str, job: Job[T], done: Callable[[T], None] | None = None
    ) -> T:
        """The result of `job` with the card in `reader`; `done` hears of it even if nobody waits any more."""
        with self.activity.work(reader):
            return await self._workers.run(reader, job, origin=caller.origin, done=done)

    def turn(self, reader: str) -> asyncio.Lock:
        """One question and its answer at a time for each card, so that the tries shown still hold."""
        return self._turns[reader]

    @contextmanager
    def _share(self, origin: str | None) -> Iterator[None]:
        """One origin may have only so much under way, questions included."""
        if self._under_way[origin] >= _UNDER_WAY_MAX:
            raise AgentError(ErrorId.BUSY)
        self._under_way[origin] += 1
        try:
            yield
        finally:
            self._under_way[origin] -= 1
            if not self._under_way[origin]:
                del self._under_way[origin]

    def _readers_changed(self, states: Sequence[ReaderState]) -> None:
        """A reader or card came or went: what waits for one that is gone ends, and so does its kept PIN."""
        self._workers.keep_only([state.name for state in states])
        self.selection.keep_only(states)
        self.activity.readers_changed(states)
        there = {state.name: state for state in states}

        def lost(kept: KeptPin) -> bool:
            state = there.get(kept.reader)
            return state is None or kept.ended_by(present=state.present, event_counter=state.event_counter)

        self.forget_pins(lost)


def _question(kind: type[Q], wish: Wish, seen: CardSnapshot, facts: CertificateFacts) -> Q:
    if seen.pin is None:
        raise UnsupportedError
    return kind(wish.caller.origin, facts.shown(seen), seen.pin, wish.verb, wish.document)
