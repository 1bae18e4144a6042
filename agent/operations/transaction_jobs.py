"""What is done with a card within one visit, in its reader's thread.

Each function is a job for `agent.workers`: it recognises the card anew, relies on nothing that an earlier
visit left, and never waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.errors import AgentError, ErrorId
from agent.pins.kept import KeptPin
from agent.slots import Visit
from hca_card.errors import (
    CardChangedError,
    CardError,
    ObjectMissingError,
    PinLastTryError,
    PinLockedError,
    PinWrongError,
    UnsupportedError,
)
from hca_card.model import Card, CardCertificate, CardKind, KeyUse, Metadata, PinStatus
from hca_card.pin import Pin
from pcsc.errors import MalformedResponseError
from pcsc.status import StatusError
from signing.pkcs1 import CERTIFICATE_INDEX

T = TypeVar("T")
Action = Callable[[Card, bytes], T]


@dataclass(frozen=True, slots=True)
class CardSnapshot:
    """A card as the first visit saw it.

    Attributes:
        reader: the reader's name.
        kind: the kind of card.
        serial: the card's number.
        event_counter: the reader's count of cards put in and taken out.
        atr: answer to reset.
        pin: how the PIN stands; None for a card without one that can be used.
        certificate: DER of the certificate of the key asked for, or of the signature key; empty without any.
        keys: the keys it has, as far as they were asked for.
        pin_pad: whether the reader has a keypad.
        takes_keypad: whether this card's PIN can be typed there.
        changes_on_keypad: whether it can be changed there.
    """

    reader: str
    kind: CardKind
    serial: str
    event_counter: int
    atr: bytes
    pin: PinStatus | None
    certificate: bytes
    keys: frozenset[KeyUse]
    pin_pad: bool
    takes_keypad: bool
    changes_on_keypad: bool


@dataclass(frozen=True, slots=True)
class Read:
    """All of a card that needs no PIN; `certificate` as in `CardSnapshot`."""

    seen: CardSnapshot
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class CertificatesOnCard:
    """Certificates, and the card they were read from."""

    reader: str
    serial: str
    certificates: tuple[CardCertificate, ...]


@dataclass(frozen=True, slots=True)
class Examined(Generic[T]):
    """What a job found out about a card, and which card it was."""

    reader: str
    atr: bytes
    kind: CardKind
    serial: str
    result: T


def look(visit: Visit) -> CardSnapshot:
    """Which card this is, with whatever certificate, PIN and keys it has."""
    card = visit.card()
    keys = frozenset(use for use in KeyUse if card.has_key(use))
    return seen_in(visit, card, _pin_or_none(card), _certificate_or_none(card), keys)


def look_for_key(visit: Visit, use: KeyUse) -> CardSnapshot:
    """Which card this is, with the certificate of the key that is wanted, and the tries left.

    Raises:
        UnsupportedError: no card of this kind has keys (NHI cards).
        ObjectMissingError: this card has no such key.
    """
    card = visit.card()
    if not card.has_key(use):
        # A card whose keys this program cannot use says by its PIN what can.
        card.pin_status()
        raise ObjectMissingError if card.certificate_indexes() else UnsupportedError
    certificate = card.certificate(CERTIFICATE_INDEX[use]).der
    return seen_in(visit, card, card.pin_status(), certificate, frozenset((use,)))


def read(visit: Visit) -> Read:
    """All of a card that needs no PIN."""
    card = visit.card()
    metadata = card.metadata()
    return Read(seen_in(visit, card, _pin_or_none(card), _certificate_or_none(card)), metadata)


def certificates(visit: Visit, index: int | None = None) -> CertificatesOnCard:
    """The certificate of that number, or all that the card has."""
    card = visit.card()
    found = card.certificates() if index is None else (card.certificate(index),)
    return CertificatesOnCard(visit.reader, card.serial, found)


def examine(visit: Visit, job: Callable[[Card], T]) -> Examined[T]:
    """One thing about a card that needs no PIN, and nothing else: what cannot be read hides nothing more."""
    card = visit.card()
    return Examined(visit.reader, visit.atr, card.kind, card.serial, job(card))


def look_for_pin(visit: Visit) -> CardSnapshot:
    """Which card this is and how its PIN stands, whatever becomes of its certificate.

    Raises:
        UnsupportedError: no card of this kind has a PIN that can be used (NHI cards).
        TerminatedError, NotActivatedError: the card says so when its PIN is asked about.
    """
    return pin_of(visit, visit.card())


def pin_of(visit: Visit, card: Card) -> CardSnapshot:
    """As `look_for_pin`, of the visit's card, recognised."""
    status = card.pin_status()
    try:
        certificate = _certificate_or_none(card)
    except MalformedResponseError:
        certificate = b""
    return seen_in(visit, card, status, certificate)


def with_pin(visit: Visit, seen: CardSnapshot, pin: Pin, action: Action[T]) -> T:
    """Verify `pin` once on the card that was seen, and do `action` with it and its certificate.

    Raises:
        CardChangedError: another card is in the reader now; nothing was sent.
        AgentError: pin.tries_changed: tries were used up while the person was asked; nothing was sent.
        hca_card.errors.PinError: as `Card.verify`; one try spent at most.
    """
    card = same_card(visit, seen)
    card.verify(pin)
    return action(card, seen.certificate)


def with_keypad(visit: Visit, seen: CardSnapshot, action: Action[T]) -> T:
    """As `with_pin`, with the PIN typed on the reader's keypad.

    This is the one visit that waits for a person: the keypad sends the PIN to the card by itself, so it must
    go on while the PIN is typed. The keypad gives up after half a minute.
    """
    card = same_card(visit, seen)
    keypad = visit.pin_pad
    if keypad is None:
        raise UnsupportedError
    card.verify_on_keypad(keypad)
    return action(card, seen.certificate)


def unattended(
    visit: Visit, seen: CardSnapshot, pin: Pin, forget: Callable[[], object], action: Action[T]
) -> T:
    """As `with_pin`, with a PIN from the keyring: never on the last try, and gone at its first failure.

    Args:
        visit: to the card.
        seen: the card that was seen.
        pin: from the keyring.
        forget: deletes it there.
        action: what to do with the verified card and its certificate.

    Raises:
        AgentError: pin.changed_elsewhere: the card refused it.
        PinLastTryError, PinLockedError: nothing was sent.
    """
    card = same_card(visit, seen)
    try:
        refuse_last_try(card.pin_status())
        card.verify(pin)
    except BaseException as error:
        forget()
        if isinstance(error, PinWrongError):
            raise AgentError(ErrorId.PIN_CHANGED_ELSEWHERE, tries_left=error.tries_left) from error
        raise
    return action(card, seen.certificate)


def keep(visit: Visit, pin: Pin, note: Callable[[CardSnapshot], None]) -> CardSnapshot:
    """Verify a PIN that nobody can be asked to confirm: the last try is never spent on it.

    Args:
        visit: to the card.
        pin: sent once.
        note: told of the card before that.

    Raises:
        PinLastTryError: only one try is left; nothing was sent.
        hca_card.errors.PinError: as `Card.verify`; one try spent at most.
    """
    card = visit.card()
    status = card.pin_status()
    refuse_last_try(status)
    seen = seen_in(visit, card, status, _certificate_or_none(card))
    note(seen)
    card.verify(pin)
    return seen


def with_kept_pin(
    visit: Visit, kept: KeptPin, use: KeyUse, check: Callable[[CardSnapshot], None], action: Action[T]
) -> tuple[CardSnapshot, T]:
    """As `with_pin`, with a PIN kept for a session.

    Args:
        visit: to the card.
        kept: wiped when the card is another or its PIN no longer right.
        use: the key that is wanted.
        check: refuses the card for other reasons before the PIN is used.
        action: what to do with the verified card and its certificate.

    Raises:
        CardChangedError: not the very card, or it was taken out in between; nothing was sent.
        AgentError: pin.changed_elsewhere: the PIN was refused; pin.not_kept: it is gone.
        PinLastTryError, PinLockedError: nothing was sent.
    """
    card = visit.card()
    with kept_for(visit, card, kept) as pin:
        if not card.has_key(use):
            raise ObjectMissingError
        status = card.pin_status()
        if use not in kept.certificates:
            kept.certificates[use] = card.certificate(CERTIFICATE_INDEX[use]).der
        seen = seen_in(visit, card, status, kept.certificates[use], frozenset((use,)))
        check(seen)
        with once(kept):
            refuse_last_try(status)
            card.verify(pin)
    return seen, action(card, seen.certificate)


def kept_for(visit: Visit, card: Card, kept: KeptPin) -> Pin:
    """A copy of the PIN that a session keeps, if this is the very card. Raises as `KeptPin.for_card`."""
    return kept.for_card(reader=visit.reader, serial=card.serial, event_counter=visit.event_counter)


@contextmanager
def once(kept: KeptPin) -> Iterator[None]:
    """The body sends the PIN of a session; whatever goes wrong may have cost a try, so it is not used again.

    Raises:
        AgentError: pin.changed_elsewhere: the card refused it.
    """
    try:
        yield
    except BaseException as error:
        kept.wipe()
        if isinstance(error, PinWrongError):
            raise AgentError(ErrorId.PIN_CHANGED_ELSEWHERE, tries_left=error.tries_left) from error
        raise


def the_card(visit: Visit, seen: CardSnapshot) -> Card:
    """The card that was seen."""
    card = visit.card()
    if (card.kind, card.serial) != (seen.kind, seen.serial):
        raise CardChangedError
    return card


def same_card(visit: Visit, seen: CardSnapshot) -> Card:
    """The card that was seen, with no fewer tries than then."""
    card = the_card(visit, seen)
    shown = seen.pin.tries_left if seen.pin else None
    left = card.pin_status().tries_left
    if left == 0:
        raise PinLockedError(tries_left=0)
    # More than shown: a right PIN was entered elsewhere. Fewer: not what the person agreed to.
    if (left is None) != (shown is None) or (left is not None and shown is not None and left < shown):
        raise AgentError(ErrorId.PIN_TRIES_CHANGED, tries_left=left)
    return card


def refuse_last_try(status: PinStatus) -> None:
    """Refuse to spend the last try where nobody can say yes to it.

    Raises:
        PinLockedError, PinLastTryError: nothing was sent.
    """
    if status.locked:
        raise PinLockedError(tries_left=0)
    if status.last_try:
        raise PinLastTryError(tries_left=1)


def seen_in(
    visit: Visit,
    card: Card,
    pin: PinStatus | None,
    certificate: bytes,
    keys: frozenset[KeyUse] = frozenset(),
) -> CardSnapshot:
    """The card of a visit, with what was read of it."""
    keypad = visit.pin_pad
    takes_keypad = keypad is not None and pin is not None and card.takes_keypad()
    return CardSnapshot(
        reader=visit.reader,
        kind=card.kind,
        serial=card.serial,
        event_counter=visit.event_counter,
        atr=visit.atr,
        pin=pin,
        certificate=certificate,
        keys=keys,
        pin_pad=keypad is not None,
        takes_keypad=takes_keypad,
        changes_on_keypad=takes_keypad and keypad is not None and keypad.can_modify,
    )


def _pin_or_none(card: Card) -> PinStatus | None:
    # A terminated or unopened card still shows its data; only using its PIN is refused.
    try:
        return card.pin_status()
    except (CardError, StatusError):
        return None


def _certificate_or_none(card: Card) -> bytes:
    try:
        return card.certificate(CERTIFICATE_INDEX[KeyUse.SIGNATURE]).der
    except (CardError, StatusError):
        return b""
