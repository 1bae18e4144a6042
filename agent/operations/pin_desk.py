"""PINs kept for a session, changed, unblocked: each given, typed here, or typed on a keypad."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import NewPinQuestion, UnblockQuestion
from agent.operations import pin_visits, transaction_jobs
from agent.operations.audit_trail import AuditEntry
from agent.operations.card_selection import CardRequirement
from agent.operations.certificate_facts import CertificateFacts, facts_of, load_libraries
from agent.operations.messages import Caller
from agent.operations.transaction_jobs import CardSnapshot
from agent.operations.workflow import Wish, Workflow
from agent.pins.kept import KeptPin, WrongPins
from agent.pins.unattended import Grant
from agent.slots import Visit
from agent.vocabulary import Verb
from agent.workers import Job
from hca_card.errors import PinWrongError, PukWrongError, UnsupportedError
from hca_card.model import Card, CardKind, KeyUse, PinStatus
from hca_card.pin import Pin

T = TypeVar("T")

_PIN: Final = CardRequirement(pin=True)


@dataclass(frozen=True, slots=True)
class Replacing:
    """What a caller wants done to a PIN.

    Attributes:
        given: PIN or PUK, and the new PIN; None has the person type them.
        kept: the session's PIN: what is replaced where `given` has no old one, and the new one afterwards.
        reader: the reader named, if any; with `kept` its reader is the one.
        kinds: the kinds of card wanted; empty for any.
        serial: the number of the very card; empty for any.
    """

    caller: Caller
    given: tuple[Pin | None, Pin] | None = None
    kept: KeptPin | None = None
    reader: str | None = None
    kinds: frozenset[CardKind] = frozenset()
    serial: str = ""

    @property
    def need(self) -> CardRequirement:
        """What the card must be and have."""
        return CardRequirement(self.kinds, pin=True, serial=self.serial)


class PinDesk:
    """What becomes of PINs themselves.

    A PIN that a page collected is a guess as far as the card is concerned. It never spends the last try, and
    after one that was wrong the same origin's next one needs the person's yes, whatever was answered before:
    a page that is allowed but not honest cannot lock the card by itself.

    Args:
        workflow: consent, cards, the person and the audit log.
        config: how long a wrong PIN from a page is remembered.
    """

    def __init__(self, workflow: Workflow, config: Config) -> None:
        self._workflow = workflow
        self._wrong = WrongPins(config.consent.page_pin_minutes * 60)
        # No card says how many tries its PUK has left, and nothing gives them back: only a right one clears.
        self._wrong_puks = WrongPins(math.inf)

    async def keep(
        self, caller: Caller, pin: Pin, reader: str | None, wanted: CardRequirement = _PIN
    ) -> KeptPin:
        """Verify a page's PIN once and keep it; `pin` stays the caller's."""
        workflow = self._workflow
        async with workflow.asked(caller, Verb.PAGE_PIN) as entry:
            await load_libraries()
            name = await workflow.selection.pick(caller, reader, wanted)
            with pin.copy() as copy:
                job = wanted.checked(partial(transaction_jobs.keep, pin=copy, note=_noting(entry)))
                async with workflow.turn(name):
                    await self._confirm_guess(caller)
                    with self._guess(caller, self._wrong):
                        seen = await workflow.run(caller, name, job)
                await workflow.note(entry, seen)
                return self._keep(caller, copy, seen)

    async def remember(self, caller: Caller, pin: Pin | None, grant: Grant, reader: str | None) -> str:
        """Verify a PIN once and keep it in the keyring; the number of its card."""
        if caller.origin is not None:
            raise AgentError(ErrorId.ORIGIN_REFUSED)
        unattended = self._workflow.unattended
        unattended.require_enabled()
        if pin is None:
            kept = await self.open(caller, reader, on_keypad=False)
        else:
            kept = await self.keep(caller, pin, reader)
        if kept is None:
            raise AgentError(ErrorId.PIN_UNAVAILABLE)
        with kept.take() as taken:
            await asyncio.to_thread(unattended.remember, kept.serial, taken, grant)
        return kept.serial

    async def open(
        self, caller: Caller, reader: str | None, wanted: CardRequirement = _PIN, *, on_keypad: bool = True
    ) -> KeptPin | None:
        """Ask for the PIN, verify it once, and keep it; None where it was typed on the reader's keypad."""
        workflow, wish = self._workflow, Wish(caller, Verb.SIGN, KeyUse.SIGNATURE, reader)
        async with workflow.asked(caller, wish.verb) as entry:
            name = await workflow.selection.pick(caller, reader, wanted)
            async with workflow.turn(name):
                seen = await workflow.run(caller, name, wanted.checked(transaction_jobs.look_for_pin))
                facts = await workflow.note(entry, seen)
                workflow.require_person(seen.pin)
                if on_keypad and workflow.use_keypad(seen):
                    async with workflow.keypad_shown(wish, seen, facts):
                        keyed = partial(transaction_jobs.with_keypad, seen=seen, action=_verified)
                        await workflow.run(caller, name, keyed)
                    return None
                with await workflow.ask_pin(wish, seen, facts) as pin:
                    job = partial(transaction_jobs.with_pin, seen=seen, pin=pin, action=_verified)
                    await workflow.run(caller, name, job)
                    return self._keep(caller, pin, seen)

    async def change(self, wanted: Replacing) -> None:
        """Replace the PIN."""
        async with self._asked(wanted) as (name, entry):
            if wanted.kept is not None and wanted.given is not None and wanted.given[0] is None:
                await self._change_kept(wanted, wanted.kept, wanted.given[1], entry)
                return
            seen = await self._workflow.run(
                wanted.caller, name, wanted.need.checked(transaction_jobs.look_for_pin)
            )
            facts = await self._workflow.note(entry, seen)
            if wanted.given is not None:
                await self._change_given(wanted, wanted.given, seen)
                return
            self._workflow.require_person(seen.pin)
            if self._workflow.use_keypad(seen) and seen.changes_on_keypad:
                await self._change_on_keypad(wanted, seen, facts)
            else:
                await self._change_typed(wanted, seen, facts)

    async def unblock(self, wanted: Replacing) -> None:
        """Set a new PIN with the PUK."""
        async with self._asked(wanted) as (name, entry):
            if wanted.given is None:
                await self._unblock_typed(wanted, name, entry)
            else:
                await self._unblock_given(wanted, wanted.given, name, entry)

    async def _unblock_given(
        self, wanted: Replacing, given: tuple[Pin | None, Pin], name: str, entry: AuditEntry
    ) -> None:
        pair = _copies(given)
        with pair[0], pair[1], self._guess(wanted.caller, self._wrong_puks):
            job = partial(pin_visits.unblock_unasked, puk=pair[0], new=pair[1], note=_noting(entry))
            ends = self._ends(_serial)
            seen = await self._workflow.run(wanted.caller, name, wanted.need.checked(job), ends)
        self._wrong.clear(wanted.caller.origin)
        await self._workflow.note(entry, seen)

    async def _unblock_typed(self, wanted: Replacing, name: str, entry: AuditEntry) -> None:
        workflow, caller = self._workflow, wanted.caller
        seen, puk_status = await workflow.run(caller, name, wanted.need.checked(pin_visits.look_for_puk))
        facts = await workflow.note(entry, seen)
        workflow.require_person(None)
        request = UnblockQuestion(caller.origin, facts.shown(seen), _pin_of(seen), puk_status)
        puk, new = _typed(await workflow.interaction.ask(request))
        with puk, new, self._guess(caller, self._wrong_puks):
            job = partial(pin_visits.unblock, seen=seen, puk=puk, new=new)
            await workflow.run(caller, name, job, self._ends(lambda _: seen.serial))
        self._wrong.clear(caller.origin)

    async def _change_given(
        self, wanted: Replacing, given: tuple[Pin | None, Pin], seen: CardSnapshot
    ) -> None:
        old, new = given
        if old is None:
            raise ValueError("no PIN to replace is given, and none is kept")
        pair = _copies((old, new))
        with pair[0], pair[1], self._guess(wanted.caller, self._wrong):
            job = partial(pin_visits.change_unasked, seen=seen, old=pair[0], new=pair[1])
            await self._run_changing(wanted, seen, job, pair[1])

    async def _change_kept(self, wanted: Replacing, kept: KeptPin, new: Pin, entry: AuditEntry) -> None:
        with new.copy() as copy:
            job = partial(pin_visits.change_kept, kept=kept, new=copy, note=_noting(entry))
            ends = self._ends(_serial, kept)
            seen = await self._workflow.run(wanted.caller, kept.reader, wanted.need.checked(job), ends)
        await self._workflow.note(entry, seen)

    async def _change_typed(self, wanted: Replacing, seen: CardSnapshot, facts: CertificateFacts) -> None:
        request = NewPinQuestion(wanted.caller.origin, facts.shown(seen), _pin_of(seen))
        old, new = _typed(await self._workflow.interaction.ask(request))
        with old, new:
            job = partial(pin_visits.change, seen=seen, old=old, new=new)
            await self._run_changing(wanted, seen, job, new)

    async def _change_on_keypad(self, wanted: Replacing, seen: CardSnapshot, facts: CertificateFacts) -> None:
        wish = Wish(wanted.caller, Verb.CHANGE_PIN, KeyUse.SIGNATURE)
        async with self._workflow.keypad_shown(wish, seen, facts):
            job = partial(pin_visits.change_on_keypad, seen=seen)
            await self._workflow.run(wanted.caller, seen.reader, job, self._ends(lambda _: seen.serial))

    @asynccontextmanager
    async def _asked(self, wanted: Replacing) -> AsyncIterator[tuple[str, AuditEntry]]:
        """The reader's name, in its turn, once `wanted` is allowed."""
        workflow, caller = self._workflow, wanted.caller
        also = () if wanted.given is None else (Verb.PAGE_PIN,)
        async with workflow.asked(caller, Verb.CHANGE_PIN, also) as entry:
            await load_libraries()
            reader = wanted.reader
            if wanted.kept is not None:
                wanted.kept.require_owner(caller)
                reader = wanted.kept.reader
            name = await workflow.selection.pick(caller, reader, wanted.need)
            async with workflow.turn(name):
                if wanted.given is not None:
                    await self._confirm_guess(caller)
                yield name, entry

    async def _run_changing(self, wanted: Replacing, seen: CardSnapshot, job: Job[None], new: Pin) -> None:
        """Run what replaces the PIN of the card seen by `new`, which its own session keeps from then on."""
        kept = wanted.kept

        def change(visit: Visit) -> None:
            job(visit)
            if kept is not None:
                kept.replace(new)

        await self._workflow.run(wanted.caller, seen.reader, change, self._ends(lambda _: seen.serial, kept))

    def _ends(self, serial: Callable[[T], str], stays: KeptPin | None = None) -> Callable[[T], None]:
        """For a job that replaces a PIN: with its success the old one that is kept of its card ends.

        Args:
            serial: the card's number, from what the job gives.
            stays: what is kept of the new PIN.
        """

        def done(result: T) -> None:
            number = serial(result)
            self._workflow.forget_pins(lambda kept: kept is not stays and kept.serial == number)

        return done

    def _keep(self, caller: Caller, pin: Pin, seen: CardSnapshot) -> KeptPin:
        kept = KeptPin(
            pin, owner=caller, reader=seen.reader, serial=seen.serial, event_counter=seen.event_counter
        )
        if seen.certificate:
            kept.certificates[KeyUse.SIGNATURE] = seen.certificate
        return self._workflow.remember(kept)

    async def _confirm_guess(self, caller: Caller) -> None:
        """Ask the person where it is not the first guess; in the card's turn, or many at once all are."""
        if self._wrong.recent(caller.origin) or self._wrong_puks.recent(caller.origin):
            await self._workflow.consents.confirm(caller.origin, Verb.PAGE_PIN)

    @contextmanager
    def _guess(self, caller: Caller, wrong: WrongPins) -> Iterator[None]:
        """The body sends a PIN or PUK that a page gave; unless it turns out right, `wrong` remembers."""
        before = wrong.recent(caller.origin)
        # Before it is sent: a page that hangs up in between never learns that it was wrong, but we must.
        wrong.note(caller.origin)
        try:
            yield
        except (asyncio.CancelledError, PinWrongError, PukWrongError):
            raise
        except Exception:
            if not before:
                wrong.clear(caller.origin)
            raise
        wrong.clear(caller.origin)


def _noting(entry: AuditEntry) -> Callable[[CardSnapshot], None]:
    """For a visit: `entry` has the card before its PIN is sent, whatever becomes of that."""
    return lambda seen: entry.note(seen, facts_of(seen))


def _serial(seen: CardSnapshot) -> str:
    return seen.serial


def _verified(_card: Card, _certificate: bytes) -> None:
    """Nothing more than that the PIN was right."""


def _pin_of(seen: CardSnapshot) -> PinStatus:
    if seen.pin is None:
        raise UnsupportedError
    return seen.pin


def _typed(pair: tuple[Pin, Pin] | None) -> tuple[Pin, Pin]:
    if pair is None:
        raise AgentError(ErrorId.PIN_CANCELLED)
    return pair


def _copies(pair: tuple[Pin | None, Pin]) -> tuple[Pin, Pin]:
    old, new = pair
    if old is None:
        raise ValueError("no PUK is given")
    return old.copy(), new.copy()
