"""The desk that every request passes: consent, then its card, then its PIN, and a row in the audit log."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from agent.audit import AuditLog
from agent.config import Config
from agent.consents import Consents
from agent.errors import AgentError
from agent.interaction import VERB_WORDS, Interaction, PinRequest, Verb
from agent.operations import visits
from agent.operations.choosing import Choosing, Facts, Suits, facts_of, has_key, has_pin
from agent.operations.readers import Readers
from agent.operations.trail import Trail, Trails
from agent.operations.views import Caller
from agent.operations.visits import Action, Seen
from agent.portals import named
from agent.sessions import KeptPin
from agent.workers import Job, Workers
from hca_card.errors import PinLockedError, UnsupportedError
from hca_card.model import KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.context import ReaderState
from pcsc.service import Service

T = TypeVar("T")

_UNDER_WAY_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants done with a key.

    Attributes:
        verb: what the person is asked to allow.
        use: the key.
        reader: the reader named, if any.
        kept: the session's PIN; None asks the person. Its reader is then the one.
    """

    caller: Caller
    verb: Verb
    use: KeyUse
    reader: str | None = None
    kept: KeptPin | None = None


class Desk:
    """Readers, workers, consents and audit, as every operation uses them.

    Args:
        service: PC/SC.
        interaction: how the person is asked.
        consents: who may do what.
        audit: where it is written down.
        config: limits.
    """

    def __init__(
        self, service: Service, interaction: Interaction, consents: Consents, audit: AuditLog, config: Config
    ) -> None:
        self.readers = Readers(service, self._readers_changed)
        self.consents = consents
        self._interaction = interaction
        self._seconds = config.consent.seconds
        self._keypad = config.card.keypad
        self._workers = Workers(service, config.card)
        self._choosing = Choosing(self.readers, self._workers, interaction)
        self._trails = Trails(audit)
        self._turns: dict[str, asyncio.Lock] = {}
        self._under_way: Counter[str | None] = Counter()
        self._kept: weakref.WeakSet[KeptPin] = weakref.WeakSet()

    async def close(self) -> None:
        """Forget every PIN, stop watching, end the readers' threads."""
        for kept in tuple(self._kept):
            kept.wipe()
        await self.readers.close()
        self._workers.close()

    @asynccontextmanager
    async def asked(self, caller: Caller, verb: Verb) -> AsyncIterator[Trail]:
        """The body runs if `caller` may do `verb`; what became of it is written down."""
        with self._trails.begin(caller.origin, verb) as trail, self._share(caller.origin):
            await self.consents.require(caller.origin, verb)
            yield trail

    @contextmanager
    def checked(self, caller: Caller, verb: Verb) -> Iterator[None]:
        """The body refuses what needs neither card nor person to be refused; that too is written down."""
        with self._trails.begin(caller.origin, verb) as trail:
            trail.quiet = True
            yield

    async def visit(self, caller: Caller, reader: str | None, job: Job[T], suits: Suits | None = None) -> T:
        """The result of `job` with the card that is meant; see `Choosing.pick`."""
        return await self._run(caller, await self._choosing.pick(caller, reader, suits), job)

    async def note(self, trail: Trail, seen: Seen) -> Facts:
        """What the certificate of the card seen says; `trail` has it from here on."""
        facts = await asyncio.to_thread(facts_of, seen)
        trail.note(seen, facts)
        if seen.pin_pad:
            self.readers.note_pin_pad(seen.reader)
        return facts

    async def with_pin(self, wish: Wish, action: Action[T]) -> tuple[Seen, T]:
        """Do `action` on the card with its PIN verified: the session's, or one the person is asked for."""
        async with self.asked(wish.caller, wish.verb) as trail:
            if wish.kept is not None:
                return await self._with_kept_pin(wish, wish.kept, trail, action)
            reader = await self._choosing.pick(wish.caller, wish.reader, has_key(wish.use))
            async with self._turn(reader):
                seen = await self._run(wish.caller, reader, partial(visits.look_for_key, use=wish.use))
                facts = await self.note(trail, seen)
                if wish.use is KeyUse.SIGNATURE:
                    facts.require_in_time()
                self._require_askable(seen.pin)
                if self._use_keypad(seen):
                    await self._point_to_keypad(wish, facts)
                    keyed = partial(visits.with_keypad, seen=seen, action=action)
                    return seen, await self._run(wish.caller, reader, keyed)
                with await self._ask_pin(wish, seen, facts) as pin:
                    job = partial(visits.with_pin, seen=seen, pin=pin, action=action)
                    return seen, await self._run(wish.caller, reader, job)

    async def keep_pin(self, caller: Caller, pin: Pin, reader: str | None) -> KeptPin:
        """Verify a page's PIN once and keep it; `pin` stays the caller's."""
        async with self.asked(caller, Verb.PAGE_PIN) as trail:
            name = await self._choosing.pick(caller, reader, has_pin)
            with pin.copy() as copy:
                async with self._turn(name):
                    seen = await self._run(caller, name, lambda transaction: visits.keep(transaction, copy))
                await self.note(trail, seen)
                kept = KeptPin(copy, reader=name, serial=seen.serial, event_counter=seen.event_counter)
            self._kept.add(kept)
            return kept

    async def _with_kept_pin(
        self, wish: Wish, kept: KeptPin, trail: Trail, action: Action[T]
    ) -> tuple[Seen, T]:
        def check(seen: Seen) -> None:
            facts = facts_of(seen)
            trail.note(seen, facts)
            if wish.use is KeyUse.SIGNATURE:
                facts.require_in_time()

        async with self._turn(kept.reader):
            return await self._run(
                wish.caller,
                kept.reader,
                lambda transaction: visits.with_kept_pin(transaction, kept, wish.use, check, action),
            )

    def _require_askable(self, status: PinStatus | None) -> None:
        if status is not None and status.locked:
            raise PinLockedError(tries_left=0)
        if not self._interaction.available:
            raise AgentError("pin.unavailable")

    def _use_keypad(self, seen: Seen) -> bool:
        # A keypad cannot say that this is the last try and take a yes: then the PIN is asked on the screen.
        return self._keypad and seen.takes_keypad and seen.pin is not None and not seen.pin.last_try

    async def _point_to_keypad(self, wish: Wish, facts: Facts) -> None:
        who_zh, who_en = ("您", "you") if wish.caller.origin is None else named(wish.caller.origin)
        zh, en = VERB_WORDS[wish.verb]
        await self._interaction.notify(
            f"{who_zh} 要{zh}（{facts.holder}）：請在讀卡機的鍵盤輸入 PIN 碼。",
            f"To let {who_en} {en} ({facts.holder}): enter the PIN on the reader's keypad.",
        )

    async def _ask_pin(self, wish: Wish, seen: Seen, facts: Facts) -> Pin:
        if seen.pin is None:
            raise UnsupportedError
        request = PinRequest(wish.caller.origin, wish.verb, facts.shown(seen), seen.pin)
        try:
            async with asyncio.timeout(self._seconds):
                pin = await self._interaction.ask_pin(request)
        except TimeoutError:
            pin = None
        if pin is None:
            raise AgentError("pin.cancelled")
        return pin

    async def _run(self, caller: Caller, reader: str, job: Job[T]) -> T:
        return await self._workers.of(reader).run(job, origin=caller.origin)

    @asynccontextmanager
    async def _turn(self, reader: str) -> AsyncIterator[None]:
        """One question and its answer at a time for each card, so that the tries shown still hold."""
        async with self._turns.setdefault(reader, asyncio.Lock()):
            yield

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
        there = {state.name: state.event_counter for state in states if state.present}
        for kept in tuple(self._kept):
            if kept.reader not in there or not kept.holds(there[kept.reader]):
                kept.wipe()
