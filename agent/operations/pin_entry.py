"""A PIN or PUK on its way to a card: one class for each source it can come from, all with one interface.

| class | source | bound to | the last try | after a failure |
|---|---|---|---|---|
| `AskedPin` | a window, the terminal | the card looked at, its tries | with the person's yes | nothing |
| `KeypadPin` | the reader's keypad | the same | is not typed there | nothing |
| `KeyringPin` | the system's keyring | the same | is never spent | deleted there |
| `PagePin` | a page, a command | the card in the reader | is never spent | the origin is remembered |
| `SessionPin` | a session | the very card it was verified on | is never spent | wiped, origin remembered |

A PUK counts its own tries, so nothing about the PIN's tries keeps it from being sent.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar

from agent.access.consents import Consents
from agent.errors import AgentError, ErrorId
from agent.operations.audit_trail import AuditEntry
from agent.operations.certificate_facts import facts_of
from agent.operations.messages import Caller
from agent.operations.transaction_jobs import (
    CardSnapshot,
    current_certificate,
    issuers_on,
    look_for_pin,
    snapshot_of,
)
from agent.pins.kept import KeptPin, WrongPins
from agent.slots import Visit
from agent.vocabulary import SessionEnd, Verb
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.errors import (
    CardChangedError,
    CardError,
    CertificateRenewedError,
    ObjectMissingError,
    PinLastTryError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    UnsupportedError,
)
from hca_card.model import Card, KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.errors import (
    CardRemovedError,
    CommunicationError,
    MalformedResponseError,
    PcscError,
    ReaderLimitError,
)
from pcsc.status import StatusError
from signing.errors import SigningError

T = TypeVar("T")
Work = Callable[[Card, bytes], T]
"""What is done with a card whose PIN is verified, and with the certificate of its key."""


class PinCommand(Enum):
    """What a PIN is sent for."""

    VERIFY = auto()
    CHANGE = auto()
    UNBLOCK = auto()


class PinEntry(ABC):
    """A PIN from one source, sent for one command, once at most.

    The event loop enters it before the transaction and leaves it, which wipes what it holds, when the outcome
    is known or nobody waits any more. `run` is called in between, in the reader's thread.

    Args:
        command: what it is sent for.
        pins: the PIN; or the old PIN or the PUK, and the new PIN. Wiped at the end.
        session: keeps the new PIN of a change from then on.

    Attributes:
        unattended: whether nobody is there.
        by_itself: whether nobody has looked at the card, or was asked, before it is sent.
    """

    unattended: ClassVar[bool] = False
    by_itself: ClassVar[bool] = False

    def __init__(self, command: PinCommand, pins: tuple[Pin, ...], session: KeptPin | None = None) -> None:
        self.command = command
        self.session = session
        self._pins = pins
        self._sent = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pin in self._pins:
            pin.wipe()

    def run(self, visit: Visit, card: Card, audit: AuditEntry, work: Work[T]) -> tuple[CardSnapshot, T]:
        """Check the card, send the PIN, and do `work`.

        Args:
            visit: to the card.
            card: the card.
            audit: has the card before the PIN is sent, whatever becomes of that.
            work: is given the card and the certificate.

        Raises:
            CardChangedError: another card is in the reader now; nothing was sent.
            CertificateRenewedError: its key is not that of the certificate looked at, but of a newer one.
            AgentError: pin.tries_changed, pin.not_kept: nothing was sent; pin.changed_elsewhere: the card
                refused a PIN that was right before.
            PinLockedError, PinLastTryError: nothing was sent.
            hca_card.errors.PinError: as the command of `Card`; one try spent at most.
        """
        snapshot = self._check(visit, card, audit)
        try:
            if (self.by_itself or self.unattended) and self.command is not PinCommand.UNBLOCK:
                _refuse_last_try(snapshot.pin)
            self._sent = True
            self._send(visit, card)
        except BaseException as error:
            self._failed(error)
            raise
        try:
            return snapshot, work(card, snapshot.certificate)
        except SigningError as error:
            # Of what was looked at before the question the key's own work is the check: it sends no command
            # but where it fails.
            if _renewed(card, snapshot):
                raise CertificateRenewedError from error
            raise

    def keep(self, owner: Caller, snapshot: CardSnapshot) -> KeptPin | None:
        """Return a copy for the owner's session after VERIFY; None where this program never had the PIN."""
        if not self._pins:
            return None
        kept = KeptPin(
            self._pins[0],
            owner=owner,
            reader=snapshot.reader,
            serial=snapshot.serial,
            event_counter=snapshot.event_counter,
        )
        if snapshot.certificate:
            kept.certificates[KeyUse.SIGNATURE] = snapshot.certificate
            kept.chain = snapshot.chain
        return kept

    @abstractmethod
    def _check(self, visit: Visit, card: Card, audit: AuditEntry) -> CardSnapshot:
        """Return the card that the PIN is for, if it is this one and its tries allow it."""

    def _send(self, visit: Visit, card: Card) -> None:
        match self.command, self._pins:
            case PinCommand.VERIFY, (pin,):
                card.verify(pin)
            case PinCommand.CHANGE, (old, new):
                card.change_pin(old, new)
                if self.session is not None:
                    self.session.replace(new)
            case PinCommand.UNBLOCK, (puk, new):
                card.unblock_pin(puk, new)
            case _:
                raise UnsupportedError

    def _failed(self, error: BaseException) -> None:
        """Take the consequences of a failure that may have cost a try; raise in its place what it means."""
        del error  # most have none

    def _may_have_spent(self, error: BaseException | None) -> bool:
        """Return whether a try may be spent: it was sent, and what came back may mean "wrong"."""
        return self._sent and not (isinstance(error, PinLengthError) and not error.sent)


class _LookedAt(PinEntry):
    """A PIN for the card that an earlier transaction looked at."""

    def __init__(
        self,
        command: PinCommand,
        snapshot: CardSnapshot,
        pins: tuple[Pin, ...],
        session: KeptPin | None = None,
    ) -> None:
        super().__init__(command, pins, session)
        self._snapshot = snapshot

    def _check(self, visit: Visit, card: Card, audit: AuditEntry) -> CardSnapshot:
        if (card.kind, card.serial) != (self._snapshot.kind, self._snapshot.serial):
            raise CardChangedError
        if self.command is not PinCommand.UNBLOCK:
            _require_tries(card.pin_status().tries_left, self._snapshot.pin)
        return self._snapshot


class AskedPin(_LookedAt):
    """A PIN that the person typed in a window or the terminal, with a yes of its own to the last try."""


class KeypadUselessError(AgentError):
    """The reader's keypad does not work, and no try was spent: the PIN can be asked for on the screen."""

    def __init__(self) -> None:
        super().__init__(ErrorId.READER_KEYPAD)


_NO_KEYPAD: Final = frozenset((0x6B00, 0x6B80, 0x6D00, 0x6E00, 0x6F00))
"""What drivers answer in the card's place for a keypad that the reader does not have."""


def _may_be_no_keypad(error: PcscError | StatusError) -> bool:
    if isinstance(error, StatusError):
        return error.sw in _NO_KEYPAD
    return isinstance(error, ReaderLimitError | CommunicationError | MalformedResponseError)


class KeypadPin(_LookedAt):
    """A PIN that the person types on the reader's keypad, which sends it to the card by itself.

    This is the one transaction that waits for a person. The keypad gives up after half a minute.

    Args:
        command: VERIFY or CHANGE.
        snapshot: the card.
        show: points the person to the keypad until it is cancelled.
    """

    def __init__(
        self, command: PinCommand, snapshot: CardSnapshot, show: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        super().__init__(command, snapshot, ())
        self._show = show

    async def __aenter__(self) -> Self:
        self._showing = asyncio.create_task(self._show())
        return self

    async def __aexit__(self, *details: object) -> None:
        self._showing.cancel()
        await asyncio.gather(self._showing, return_exceptions=True)

    def _send(self, visit: Visit, card: Card) -> None:
        keypad = visit.pin_pad
        if keypad is None or self.command is PinCommand.UNBLOCK:
            raise UnsupportedError
        try:
            if self.command is PinCommand.VERIFY:
                card.verify_on_keypad(keypad)
            else:
                card.change_pin_on_keypad(keypad)
        except (PcscError, StatusError) as error:
            if _may_be_no_keypad(error) and self._spent_nothing(card):
                raise KeypadUselessError from error
            raise

    def _spent_nothing(self, card: Card) -> bool:
        """Return whether the card tells its tries, and as many are left as before."""
        before = self._snapshot.pin
        try:
            left = card.pin_status().tries_left
        except (PcscError, CardError, StatusError):
            return False
        return before is not None and left is not None and left == before.tries_left


class KeyringPin(_LookedAt):
    """A PIN from the system's keyring, for signatures that nobody attends.

    Args:
        snapshot: the card.
        pin: wiped at the end.
        forget: deletes it in the keyring.
    """

    unattended = True

    def __init__(self, snapshot: CardSnapshot, pin: Pin, forget: Callable[[], object]) -> None:
        super().__init__(PinCommand.VERIFY, snapshot, (pin,))
        self._forget = forget

    def _failed(self, error: BaseException) -> None:
        self._forget()
        _reword(error)


class PageGuesses:
    """What is remembered of wrong PINs and PUKs that pages gave.

    A PIN that a page collected is a guess as far as the card is concerned. It never spends the last try, and
    after one that was wrong the same origin's next one needs the person's yes, whatever was answered before:
    a page that is allowed but not honest cannot use up tries by itself. So does one whose answer was lost or
    unclear: a reader that fails at the wrong moment cannot do it either. Where the configuration lists an
    origin, that the last try is never spent is enough: a slip in its page stops nobody's work. No card says
    how many tries its PUK has left, and nothing gives them back, so only a right PUK clears a wrong one, and
    no list excuses it.

    Args:
        consents: asks the person.
        seconds: how long a wrong PIN is remembered.
    """

    def __init__(self, consents: Consents, seconds: float) -> None:
        self._consents = consents
        self.pins: Final = WrongPins(seconds)
        self.puks: Final = WrongPins(math.inf)

    async def confirm(self, origin: str | None, command: PinCommand) -> None:
        """Ask the person where it is not the first guess; in the card's turn, or many at once all are.

        Raises:
            AgentError: pin.wrong_before: a PIN was, and nobody can be asked; else as `Consents.confirm`.
        """
        if self.puks.recent(origin):
            await self._consents.confirm(origin, Verb.PAGE_PIN)
            return
        left = self.pins.left(origin)
        if not left or (command is not PinCommand.UNBLOCK and self._consents.listed(origin)):
            return
        try:
            await self._consents.confirm(origin, Verb.PAGE_PIN)
        except AgentError as error:
            if error.error_id != ErrorId.INTERACTION_UNAVAILABLE or command is PinCommand.UNBLOCK:
                raise
            until = datetime.now(UTC) + timedelta(seconds=left)
            raise AgentError(ErrorId.PIN_WRONG_BEFORE, retry_after=math.ceil(left), until=until) from error


class PagePin(PinEntry):
    """A PIN or PUK that a page collected, or that a person's own command was given.

    Args:
        command: what it is sent for.
        guesses: what is remembered of the origin's wrong ones.
        origin: the page's.
        given: copied when it is entered; the giver wipes its own.
        session: keeps the new PIN of a change from then on.
    """

    by_itself = True

    def __init__(
        self,
        command: PinCommand,
        guesses: PageGuesses,
        origin: str | None,
        given: tuple[Pin, ...],
        session: KeptPin | None = None,
    ) -> None:
        super().__init__(command, (), session)
        self._guesses = guesses
        self._wrong = guesses.puks if command is PinCommand.UNBLOCK else guesses.pins
        self._origin = origin
        self._given = given

    async def __aenter__(self) -> Self:
        await self._guesses.confirm(self._origin, self.command)
        self._wrong_before = self._wrong.recent(self._origin)
        # Before it is sent: a page that hangs up in between never learns that it was wrong, but we must.
        self._wrong.note(self._origin)
        self._pins = tuple(pin.copy() for pin in self._given)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        guessed = not isinstance(error, Exception) or self._may_have_spent(error)
        if error is None or not (guessed or self._wrong_before):
            self._wrong.clear(self._origin)

    def _check(self, visit: Visit, card: Card, audit: AuditEntry) -> CardSnapshot:
        snapshot = look_for_pin(visit, card)
        audit.note(snapshot, facts_of(snapshot))
        return snapshot


class SessionPin(PinEntry):
    """The PIN kept for a session, for a key of its card or to be replaced.

    Args:
        session: wiped when the card is another or its PIN no longer right.
        guesses: what is remembered of the origin's wrong ones; a PIN that is changed is one more.
        origin: the session's.
        key: the key that is wanted; VERIFY.
        new: what a page wants in its place, copied; CHANGE.
    """

    by_itself = True

    def __init__(
        self,
        session: KeptPin,
        guesses: PageGuesses,
        origin: str | None,
        *,
        key: KeyUse | None = None,
        new: Pin | None = None,
    ) -> None:
        super().__init__(PinCommand.VERIFY if new is None else PinCommand.CHANGE, (), session)
        self._kept = session
        self._guesses = guesses
        self._origin = origin
        self._key = key
        self._new = new

    async def __aenter__(self) -> Self:
        if self.command is PinCommand.CHANGE:
            await self._guesses.confirm(self._origin, self.command)
        return self

    async def __aexit__(self, *details: object) -> None:
        """Leave the copies to `run`: whoever asked may go away in the middle, and the session goes on."""

    def run(self, visit: Visit, card: Card, audit: AuditEntry, work: Work[T]) -> tuple[CardSnapshot, T]:
        """Do the same with the session's PIN, if this is its very card."""
        reader, serial, event_counter = visit.reader, card.serial, visit.event_counter
        with self._kept.for_card(reader=reader, serial=serial, event_counter=event_counter) as pin:
            if self._new is None:
                self._pins = (pin,)
                return super().run(visit, card, audit, work)
            with self._new.copy() as new:
                self._pins = (pin, new)
                return super().run(visit, card, audit, work)

    def _check(self, visit: Visit, card: Card, audit: AuditEntry) -> CardSnapshot:
        certificates, key = self._kept.certificates, self._key
        if key is not None and not card.has_key(key):
            raise ObjectMissingError
        status = card.pin_status()
        named = key or KeyUse.SIGNATURE
        known = certificate = certificates.get(named, b"")
        if known or key is not None:
            certificate = current_certificate(card, CERTIFICATE_INDEX[named], known).der
            certificates[named] = certificate
        if known != certificate and named is KeyUse.SIGNATURE and self._kept.chain:
            self._kept.chain = issuers_on(card, certificate)
        snapshot = snapshot_of(visit, card, status, certificate)
        facts = facts_of(snapshot)
        audit.note(snapshot, facts)
        if key is KeyUse.SIGNATURE:
            facts.require_in_time()
        return snapshot

    def _failed(self, error: BaseException) -> None:
        self._kept.wipe(SessionEnd.CARD if isinstance(error, CardRemovedError) else SessionEnd.PIN)
        if self._may_have_spent(error):
            # It was right once; but the page will have another at hand.
            self._guesses.pins.note(self._origin)
        _reword(error)


def _reword(error: BaseException) -> None:
    """Raise pin.changed_elsewhere in place of "wrong": the PIN was right before."""
    if isinstance(error, PinWrongError):
        raise AgentError(ErrorId.PIN_CHANGED_ELSEWHERE, tries_left=error.tries_left) from error


def _renewed(card: Card, snapshot: CardSnapshot) -> bool:
    """Return whether the card has another certificate by now than was looked at for its key."""
    try:
        return not all(card.still_has(CERTIFICATE_INDEX[use], snapshot.certificate) for use in snapshot.keys)
    except (CardError, PcscError, StatusError):
        return False


def _require_tries(left: int | None, shown: PinStatus | None) -> None:
    """Refuse a card with fewer tries than the person was shown."""
    before = shown.tries_left if shown else None
    if left == 0:
        raise PinLockedError(tries_left=0)
    # More than shown: a right PIN was entered elsewhere. Fewer: not what the person agreed to.
    if (left is None) != (before is None) or (left is not None and before is not None and left < before):
        raise AgentError(ErrorId.PIN_TRIES_CHANGED, tries_left=left)


def _refuse_last_try(status: PinStatus | None) -> None:
    """Refuse to spend the last try where nobody can say yes to it."""
    if status is None:
        raise UnsupportedError
    if status.locked:
        raise PinLockedError(tries_left=0)
    if status.last_try:
        raise PinLastTryError(tries_left=1)
