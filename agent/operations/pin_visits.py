"""Replacing the PIN of a card, within one visit; as `agent.operations.transaction_jobs`."""

from __future__ import annotations

from collections.abc import Callable

from agent.operations.transaction_jobs import (
    CardSnapshot,
    kept_for,
    once,
    pin_of,
    refuse_last_try,
    same_card,
    seen_in,
    the_card,
)
from agent.pins.kept import KeptPin
from agent.slots import Visit
from hca_card.errors import UnsupportedError
from hca_card.model import KeyUse, PinStatus
from hca_card.pin import Pin


def look_for_puk(visit: Visit) -> tuple[CardSnapshot, PinStatus]:
    """Which card this is with its PIN, and how its PUK stands.

    Raises:
        UnsupportedError: it takes no PUK.
    """
    card = visit.card()
    return pin_of(visit, card), card.puk_status()


def change(visit: Visit, seen: CardSnapshot, old: Pin, new: Pin) -> None:
    """Replace the PIN of the card that was seen, with both as the person typed them.

    Raises:
        CardChangedError: another card is in the reader now; nothing was sent.
        AgentError: pin.tries_changed: tries were used up while the person was asked; nothing was sent.
        hca_card.errors.PinError: as `Card.change_pin`; one try spent at most.
    """
    same_card(visit, seen).change_pin(old, new)


def change_on_keypad(visit: Visit, seen: CardSnapshot) -> None:
    """As `change`, with both typed on the reader's keypad."""
    card, keypad = same_card(visit, seen), visit.pin_pad
    if keypad is None:
        raise UnsupportedError
    card.change_pin_on_keypad(keypad)


def change_unasked(visit: Visit, seen: CardSnapshot, old: Pin, new: Pin) -> None:
    """As `change`, with a PIN that nobody can be asked to confirm: the last try is never spent on it.

    Raises:
        PinLastTryError: only one try is left; nothing was sent.
    """
    card = the_card(visit, seen)
    refuse_last_try(card.pin_status())
    card.change_pin(old, new)


def change_kept(visit: Visit, kept: KeptPin, new: Pin, note: Callable[[CardSnapshot], None]) -> CardSnapshot:
    """As `change_unasked`, from the PIN kept for a session to `new`, which the session keeps from then on.

    Args:
        visit: to the card.
        kept: wiped when the card is another or its PIN no longer right.
        new: sent once.
        note: told of the card before that.

    Raises:
        CardChangedError: not the very card; nothing was sent.
        AgentError: pin.changed_elsewhere: the PIN was refused; pin.not_kept: it is gone.
    """
    card = visit.card()
    # Copied here: whoever asked may go away in the middle, and wipes what it gave.
    with kept_for(visit, card, kept) as old, new.copy() as copy:
        status = card.pin_status()
        seen = seen_in(visit, card, status, kept.certificates.get(KeyUse.SIGNATURE, b""))
        note(seen)
        with once(kept):
            refuse_last_try(status)
            card.change_pin(old, copy)
        kept.replace(copy)
    return seen


def unblock(visit: Visit, seen: CardSnapshot, puk: Pin, new: Pin) -> None:
    """Set a new PIN with the PUK on the card that was seen, whatever is left of its PIN.

    Raises:
        CardChangedError: another card is in the reader now; nothing was sent.
        hca_card.errors.PinError: as `Card.unblock_pin`; one try of the PUK spent at most.
    """
    the_card(visit, seen).unblock_pin(puk, new)


def unblock_unasked(visit: Visit, puk: Pin, new: Pin, note: Callable[[CardSnapshot], None]) -> CardSnapshot:
    """As `unblock`, with a PUK that nobody is asked for, on the card in the reader.

    Args:
        visit: to the card.
        puk: sent once.
        new: sent with it.
        note: told of the card before that.

    Raises:
        UnsupportedError: it takes no PUK.
    """
    card = visit.card()
    seen = pin_of(visit, card)
    note(seen)
    card.unblock_pin(puk, new)
    return seen
