"""What is done with a card inside one transaction, in its reader's thread.

A job is given the card, recognised anew. It relies on nothing that an earlier transaction left, and never
waits for a person. What sends a PIN is in `agent.operations.pin_entry`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from agent.slots import Visit
from hca_card.certificate_numbers import CERTIFICATE_INDEX, USES
from hca_card.errors import CardError, ObjectMissingError, UnsupportedError
from hca_card.model import Card, CardCertificate, CardKind, KeyUse, Metadata, PinStatus
from pcsc.errors import MalformedResponseError
from pcsc.status import StatusError
from signing.certificate import issuers_among

_ISSUERS_MAX: Final = 64
_issuers: Final[dict[bytes, tuple[bytes, ...]]] = {}

T = TypeVar("T")
CardJob = Callable[[Visit, Card], T]


@dataclass(frozen=True, slots=True)
class CardSnapshot:
    """A card as one transaction found it.

    Attributes:
        event_counter: the reader's count of cards put in and taken out.
        atr: answer to reset.
        pin: how the PIN stands; None for a card without one that can be used.
        certificate: DER of the certificate of the key asked for, or of the signature key; empty without any.
        keys: the keys it has, as far as they were asked for.
        pin_pad: whether the reader has a keypad.
        takes_keypad: whether this card's PIN can be typed there.
        changes_on_keypad: whether it can be changed there.
        puk: how the PUK stands, where that was asked for.
        chain: issuers of the certificate, nearest first, as far as the card has them and they were asked for.
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
    puk: PinStatus | None = None
    chain: tuple[bytes, ...] = ()


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


def snapshot_of(
    visit: Visit,
    card: Card,
    pin: PinStatus | None,
    certificate: bytes,
    *,
    keys: frozenset[KeyUse] = frozenset(),
    puk: PinStatus | None = None,
    chain: tuple[bytes, ...] = (),
) -> CardSnapshot:
    """Return the card of a visit with what was read of it."""
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
        puk=puk,
        chain=chain,
    )


def look(visit: Visit, card: Card) -> CardSnapshot:
    """Return which card this is, with whatever certificate, PIN and keys it has."""
    keys = frozenset(use for use in KeyUse if card.has_key(use))
    return snapshot_of(visit, card, _pin_or_none(card), _certificate_or_empty(card), keys=keys)


def look_for_key(visit: Visit, card: Card, use: KeyUse, *, chain: bool = False) -> CardSnapshot:
    """Return which card this is, with the certificate of the key that is wanted, and the tries left.

    Args:
        visit: to the card.
        card: the card.
        use: which key.
        chain: also the certificates of the issuers.

    Raises:
        UnsupportedError: no card of this kind has keys (NHI cards).
        ObjectMissingError: this card has no such key.
    """
    if not card.has_key(use):
        # A card whose keys this program cannot use says by its PIN what can.
        card.pin_status()
        raise ObjectMissingError if card.certificate_indexes() else UnsupportedError
    certificate = card.certificate(CERTIFICATE_INDEX[use]).der
    issuers = issuers_on(card, certificate) if chain else ()
    return snapshot_of(visit, card, card.pin_status(), certificate, keys=frozenset((use,)), chain=issuers)


def issuers_on(card: Card, certificate: bytes) -> tuple[bytes, ...]:
    """Return the issuers of the card's certificate as far as it has them, nearest first; none is trusted.

    They are read once: a card in use signs many documents, and they are as long as its own. Where one could
    not be read they are read again the next time.
    """
    if certificate in _issuers:
        return _issuers[certificate]
    found, whole = [], True
    for index in sorted({*card.certificate_indexes()} - {*CERTIFICATE_INDEX.values()}):
        try:
            found.append(card.certificate(index).der)
        except ObjectMissingError:
            continue  # which will not change
        except (CardError, StatusError, MalformedResponseError):
            whole = False
    issuers = issuers_among(certificate, found)
    if whole:
        if len(_issuers) >= _ISSUERS_MAX:
            _issuers.clear()
        _issuers[certificate] = issuers
    return issuers


def current_certificate(card: Card, index: int, known: bytes = b"") -> CardCertificate:
    """Return the card's certificate of that number; what is `known` of it is looked at, not read again.

    Nothing that was read in an earlier transaction is relied on without this: certificates are renewed while
    the card lies in its reader. The key is proved by the signature, which is checked with the certificate.
    """
    if known and card.still_has(index, known):
        return CardCertificate(index, USES[index], known)
    return card.certificate(index)


def look_for_pin(visit: Visit, card: Card, *, puk: bool = False) -> CardSnapshot:
    """Return which card this is and how its PIN stands, whatever becomes of its certificate.

    Args:
        visit: to the card.
        card: the card.
        puk: also how its PUK stands.

    Raises:
        UnsupportedError: no card of this kind has a PIN, or PUK, that can be used (NHI cards).
        TerminatedError, NotActivatedError: the card says so when its PIN is asked about.
    """
    status = card.pin_status()
    try:
        certificate = _certificate_or_empty(card)
    except MalformedResponseError:
        certificate = b""
    return snapshot_of(visit, card, status, certificate, puk=card.puk_status() if puk else None)


def read(visit: Visit, card: Card) -> tuple[CardSnapshot, Metadata]:
    """Read all of a card that needs no PIN."""
    metadata = card.metadata()
    return snapshot_of(visit, card, _pin_or_none(card), _certificate_or_empty(card)), metadata


def certificates(
    visit: Visit, card: Card, index: int | None = None, known: bytes = b""
) -> CertificatesOnCard:
    """Read the certificate of that number, of which this may be `known`, or all that the card has."""
    found = card.certificates() if index is None else (current_certificate(card, index, known),)
    return CertificatesOnCard(visit.reader, card.serial, found)


def examine(visit: Visit, card: Card, job: Callable[[Card], T]) -> Examined[T]:
    """Read one thing that needs no PIN, and nothing else: what cannot be read hides nothing more."""
    return Examined(visit.reader, visit.atr, card.kind, card.serial, job(card))


def _pin_or_none(card: Card) -> PinStatus | None:
    # A terminated or unopened card still shows its data; only using its PIN is refused.
    try:
        return card.pin_status()
    except (CardError, StatusError):
        return None


def _certificate_or_empty(card: Card) -> bytes:
    try:
        return card.certificate(CERTIFICATE_INDEX[KeyUse.SIGNATURE]).der
    except (CardError, StatusError):
        return b""
