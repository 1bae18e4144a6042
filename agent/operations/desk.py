"""The desk that every request passes: consent, then its card, then its PIN, and a row in the audit log."""

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
from agent.errors import AgentError
from agent.interaction import DocumentShown, Interaction, PinRequest, Verb
from agent.modules import Modules
from agent.operations import visits
from agent.operations.choosing import Choosing
from agent.operations.doings import Doings
from agent.operations.facts import Facts, facts_about, facts_of, is_simulated, load_libraries
from agent.operations.needs import ANY, Need, need
from agent.operations.readers import Readers
from agent.operations.trail import Trail, Trails
from agent.operations.views import Caller
from agent.operations.visits import Action, Held, Seen
from agent.pins.kept import KeptPin
from agent.pins.unattended import Unattended
from agent.places.module import place_of
from agent.profiles import Profiles
from agent.workers import Job, Workers
from hca_card.errors import PinLockedError, UnsupportedError
from hca_card.model import CardKind, KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.context import ReaderState
from pcsc.service import Service

T = TypeVar("T")

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


class Desk:
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
        self.doings = Doings()
        self.modules = Modules(config.pkcs11, profiles, real=not service.virtual)
        self.readers = Readers(service, self._readers_changed, self.doings.service_changed, self.modules)
        self.consents = consents
        self.unattended = Unattended(enabled=config.unattended.enabled)
        self.interaction = interaction
        self._keypad = config.card.keypad
        self._workers = Workers(partial(place_of, self.modules, service, profiles), config.card)
        self.choosing = Choosing(self.readers, self._workers, interaction)
        self.trails = Trails(audit)
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
    ) -> AsyncIterator[Trail]:
        """The body runs if `caller` may do `verb`; what became of it is written down.

        Args:
            caller: who asks.
            verb: what is wanted.
            also: what it brings with it; None as `BRINGS` says.
            document: what it is wanted for, to be shown.
        """
        also = BRINGS.get(verb, ()) if also is None else also
        with self.trails.begin(caller.origin, verb) as trail, self._share(caller.origin):
            await self.consents.require(caller.origin, verb, *also, document=document)
            yield trail

    @contextmanager
    def checked(self, caller: Caller, verb: Verb) -> Iterator[None]:
        """The body refuses what needs neither card nor person to be refused; that too is written down."""
        try:
            yield
        except BaseException:
            with self.trails.begin(caller.origin, verb):
                raise

    async def visit(self, caller: Caller, reader: str | None, job: Job[T], wanted: Need = ANY) -> T:
        """The result of `job` with the card that is meant; see `Choosing.pick`."""
        return await self.run(caller, await self.choosing.pick(caller, reader, wanted), wanted.checked(job))

    async def note(self, trail: Trail, seen: Seen) -> Facts:
        """What the certificate of the card seen says; `trail` has it from here on."""
        facts = await facts_about(seen)
        trail.note(seen, facts)
        self.doings.saw(seen, facts)
        if seen.pin_pad:
            self.readers.note_pin_pad(seen.reader)
        return facts

    async def note_held(self, trail: Trail, held: Held) -> None:
        """Which card the certificates are on; `trail` has it from here on."""
        trail.serial = held.serial
        trail.simulated = await is_simulated(held)

    async def with_pin(self, wish: Wish, action: Action[T]) -> tuple[Seen, T]:
        """Do `action` on the card with its PIN verified: the session's, or one the person is asked for."""
        async with self.asked(wish.caller, wish.verb, document=wish.document) as trail:
            if wish.kept is not None:
                return await self._with_kept_pin(wish, wish.kept, trail, action)
            await load_libraries()
            wanted = need(wish.kinds, wish.use)
            reader = await self.choosing.pick(wish.caller, wish.reader, wanted)
            async with self.turn(reader):
                look = wanted.checked(partial(visits.look_for_key, use=wish.use))
                seen = await self.run(wish.caller, reader, look)
                facts = await self.note(trail, seen)
                if wish.use is KeyUse.SIGNATURE:
                    facts.require_in_time()
                with await self._unattended_pin(wish, seen) as known:
                    if not known.wiped:
                        trail.unattended = True
                        forget = partial(self.unattended.forget, seen.serial)
                        alone = partial(visits.unattended, seen=seen, pin=known, forget=forget, action=action)
                        return seen, await self.run(wish.caller, reader, alone)
                self.require_person(seen.pin)
                if self.use_keypad(seen):
                    keyed = partial(visits.with_keypad, seen=seen, action=action)
                    async with self.keypad_shown(wish, seen, facts):
                        return seen, await self.run(wish.caller, reader, keyed)
                with await self.ask_pin(wish, seen, facts) as pin:
                    job = partial(visits.with_pin, seen=seen, pin=pin, action=action)
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

    async def _unattended_pin(self, wish: Wish, seen: Seen) -> Pin:
        """The PIN from the keyring, for signatures it is kept for; wiped where there is none."""
        if wish.verb is not Verb.SIGN or not self.unattended.enabled:
            return Pin("")
        found = await asyncio.to_thread(self.unattended.find, seen.serial, wish.caller.origin, wish.folder)
        return found or Pin("")

    async def _with_kept_pin(
        self, wish: Wish, kept: KeptPin, trail: Trail, action: Action[T]
    ) -> tuple[Seen, T]:
        kept.require_owner(wish.caller)

        def check(seen: Seen) -> None:
            facts = facts_of(seen)
            trail.note(seen, facts)
            if wish.use is KeyUse.SIGNATURE:
                facts.require_in_time()

        async with self.turn(kept.reader):
            return await self.run(
                wish.caller,
                kept.reader,
                lambda visit: visits.with_kept_pin(visit, kept, wish.use, check, action),
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
            raise AgentError("pin.unavailable")

    def use_keypad(self, seen: Seen) -> bool:
        """Whether the PIN of the card seen is to be typed on its reader's keypad."""
        # A keypad cannot say that this is the last try and take a yes: then the PIN is asked on the screen.
        return self._keypad and seen.takes_keypad and seen.pin is not None and not seen.pin.last_try

    @asynccontextmanager
    async def keypad_shown(self, wish: Wish, seen: Seen, facts: Facts) -> AsyncIterator[None]:
        """The person is pointed to the reader's keypad as long as the body runs."""
        showing = asyncio.create_task(self.interaction.show_keypad(_pin_request(wish, seen, facts)))
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    async def ask_pin(self, wish: Wish, seen: Seen, facts: Facts) -> Pin:
        """The PIN of the card seen, from the person; the caller wipes it.

        Raises:
            AgentError: pin.cancelled, request.rate, busy.
        """
        pin = await self.interaction.ask_pin(_pin_request(wish, seen, facts))
        if pin is None:
            raise AgentError("pin.cancelled")
        return pin

    async def run(
        self, caller: Caller, reader: str, job: Job[T], done: Callable[[T], None] | None = None
    ) -> T:
        """The result of `job` with the card in `reader`; `done` hears of it even if nobody waits any more."""
        with self.doings.work(reader):
            return await self._workers.run(reader, job, origin=caller.origin, done=done)

    def turn(self, reader: str) -> asyncio.Lock:
        """One question and its answer at a time for each card, so that the tries shown still hold."""
        return self._turns[reader]

    @contextmanager
    def _share(self, origin: str | None) -> Iterator[None]:
        """One origin may have only so much under way, questions included."""
        if self._under_way[origin] >= _UNDER_WAY_MAX:
            raise AgentError("busy")
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
        self.choosing.keep_only(states)
        self.doings.readers_changed(states)
        there = {state.name: state for state in states}

        def lost(kept: KeptPin) -> bool:
            state = there.get(kept.reader)
            return state is None or kept.ended_by(present=state.present, event_counter=state.event_counter)

        self.forget_pins(lost)


def _pin_request(wish: Wish, seen: Seen, facts: Facts) -> PinRequest:
    if seen.pin is None:
        raise UnsupportedError
    return PinRequest(wish.caller.origin, wish.verb, facts.shown(seen), seen.pin, wish.document)
