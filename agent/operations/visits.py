"""What is done with a card within one transaction, in its reader's thread.

Each function is a job for `agent.workers`: it recognises the card anew, relies on nothing that an earlier
visit left, and never waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agent.errors import AgentError
from agent.sessions import KeptPin
from hca_card.errors import (
    CardChangedError,
    CardError,
    ObjectMissingError,
    PinLastTryError,
    PinLockedError,
    PinWrongError,
    UnsupportedError,
)
from hca_card.model import Card, CardKind, KeyUse, Metadata, PinStatus
from hca_card.pin import Pin
from hca_card.recognise import recognise
from pcsc.connection import Transaction
from pcsc.status import StatusError
from signing.pkcs1 import CERTIFICATE_INDEX

T = TypeVar("T")
Action = Callable[[Card, bytes], T]


@dataclass(frozen=True, slots=True)
class Seen:
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


@dataclass(frozen=True, slots=True)
class Read:
    """All of a card that needs no PIN; `certificate` as in `Seen`."""

    seen: Seen
    metadata: Metadata


def open_card(transaction: Transaction) -> Card:
    """The card in the reader, recognised."""
    return recognise(transaction, transaction.connection.atr)


def look(transaction: Transaction) -> Seen:
    """Which card this is, with whatever certificate, PIN and keys it has."""
    card = open_card(transaction)
    keys = frozenset(use for use in KeyUse if card.has_key(use))
    return _seen(transaction, card, _pin_or_none(card), _certificate_or_none(card), keys)


def look_for_key(transaction: Transaction, use: KeyUse) -> Seen:
    """Which card this is, with the certificate of the key that is wanted, and the tries left.

    Raises:
        UnsupportedError: no card of this kind has keys (NHI cards).
        ObjectMissingError: this card has no such key.
    """
    card = open_card(transaction)
    if not card.has_key(use):
        raise ObjectMissingError if card.certificate_indexes() else UnsupportedError
    certificate = card.certificate(CERTIFICATE_INDEX[use]).der
    return _seen(transaction, card, card.pin_status(), certificate, frozenset((use,)))


def read(transaction: Transaction) -> Read:
    """All of a card that needs no PIN."""
    card = open_card(transaction)
    metadata = card.metadata()
    return Read(_seen(transaction, card, _pin_or_none(card), _certificate_or_none(card)), metadata)


def with_pin(transaction: Transaction, seen: Seen, pin: Pin, action: Action[T]) -> T:
    """Verify `pin` once on the card that was seen, and do `action` with it and its certificate.

    Raises:
        CardChangedError: another card is in the reader now; nothing was sent.
        AgentError: pin.tries_changed: tries were used up while the person was asked; nothing was sent.
        hca_card.errors.PinError: as `Card.verify`; one try spent at most.
    """
    card = _same_card(transaction, seen)
    card.verify(pin)
    return action(card, seen.certificate)


def with_keypad(transaction: Transaction, seen: Seen, action: Action[T]) -> T:
    """As `with_pin`, with the PIN typed on the reader's keypad.

    This is the one visit that waits for a person: the keypad sends the PIN to the card by itself, so the
    transaction must be open while it is typed. The keypad gives up after half a minute.
    """
    card = _same_card(transaction, seen)
    keypad = transaction.pin_pad
    if keypad is None:
        raise UnsupportedError
    card.verify_on_keypad(keypad)
    return action(card, seen.certificate)


def keep(transaction: Transaction, pin: Pin) -> Seen:
    """Verify a PIN that nobody can be asked to confirm: the last try is never spent on it.

    Raises:
        PinLastTryError: only one try is left; nothing was sent.
        hca_card.errors.PinError: as `Card.verify`; one try spent at most.
    """
    card = open_card(transaction)
    status = card.pin_status()
    _refuse_last_try(status)
    seen = _seen(transaction, card, status, _certificate_or_none(card))
    card.verify(pin)
    return seen


def with_kept_pin(
    transaction: Transaction, kept: KeptPin, use: KeyUse, check: Callable[[Seen], None], action: Action[T]
) -> tuple[Seen, T]:
    """As `with_pin`, with a PIN kept for a session.

    Args:
        transaction: with the card.
        kept: wiped when the card is another or its PIN no longer right.
        use: the key that is wanted.
        check: refuses the card for other reasons before the PIN is used.
        action: what to do with the verified card and its certificate.

    Raises:
        CardChangedError: not the very card, or it was taken out in between; nothing was sent.
        AgentError: pin.changed_elsewhere: the PIN was refused; pin.not_kept: it is gone.
        PinLastTryError, PinLockedError: nothing was sent.
    """
    card = open_card(transaction)
    counter = transaction.connection.event_counter()
    with kept.for_card(
        reader=transaction.connection.reader, serial=card.serial, event_counter=counter
    ) as pin:
        if not card.has_key(use):
            raise ObjectMissingError
        status = card.pin_status()
        certificate = card.certificate(CERTIFICATE_INDEX[use]).der
        seen = _seen(transaction, card, status, certificate, frozenset((use,)))
        check(seen)
        try:
            _refuse_last_try(status)
            card.verify(pin)
        except BaseException as error:
            # Whatever went wrong here may have cost a try: this PIN is not used again.
            kept.wipe()
            if isinstance(error, PinWrongError):
                raise AgentError("pin.changed_elsewhere", tries_left=error.tries_left) from error
            raise
    return seen, action(card, seen.certificate)


def _same_card(transaction: Transaction, seen: Seen) -> Card:
    """The card that was seen, with no fewer tries than then."""
    card = open_card(transaction)
    if (card.kind, card.serial) != (seen.kind, seen.serial):
        raise CardChangedError
    shown = seen.pin.tries_left if seen.pin else None
    left = card.pin_status().tries_left
    if left == 0:
        raise PinLockedError(tries_left=0)
    # More than shown: a right PIN was entered elsewhere. Fewer: not what the person agreed to.
    if (left is None) != (shown is None) or (left is not None and shown is not None and left < shown):
        raise AgentError("pin.tries_changed", tries_left=left)
    return card


def _refuse_last_try(status: PinStatus) -> None:
    if status.locked:
        raise PinLockedError(tries_left=0)
    if status.last_try:
        raise PinLastTryError(tries_left=1)


def _seen(
    transaction: Transaction,
    card: Card,
    pin: PinStatus | None,
    certificate: bytes,
    keys: frozenset[KeyUse] = frozenset(),
) -> Seen:
    connection = transaction.connection
    pin_pad = transaction.pin_pad is not None
    return Seen(
        reader=connection.reader,
        kind=card.kind,
        serial=card.serial,
        event_counter=connection.event_counter(),
        atr=connection.atr,
        pin=pin,
        certificate=certificate,
        keys=keys,
        pin_pad=pin_pad,
        takes_keypad=pin_pad and pin is not None and card.takes_keypad(),
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
