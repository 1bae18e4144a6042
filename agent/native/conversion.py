"""Cards, readers and tokens, as messages of the native API, and which card a message names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TypedDict, TypeVar

from msgspec import UNSET

from agent.expiry import Expiry, expiry
from agent.native import messages
from agent.native.messages import given
from agent.operations import CardView, ReaderView
from agent.vocabulary import KIND_WORDS
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.model import (
    CardCertificate,
    CardInfo,
    CardKind,
    Citizen,
    Holder,
    Institution,
    Insured,
    Personnel,
    PinStatus,
)
from signing.login import LoginToken

M = TypeVar("M", bound=messages.NativeMessage)


class CardChoice(TypedDict):
    """Which card is meant, as arguments of an operation."""

    reader: str | None
    kinds: tuple[CardKind, ...]


def card_of(params: messages.CardParams | messages.SignParams) -> CardChoice:
    """Return the card that the parameters name."""
    kinds = given(params.card_kind) or ()
    return {"reader": given(params.reader), "kinds": tuple(CardKind(name) for name in kinds)}


def reader(view: ReaderView) -> messages.ReaderInfo:
    """Return a reader, without what only this machine needs to know of it."""
    return messages.ReaderInfo(view.name, view.condition.value, view.pin_pad, view.virtual)


def readers(views: Iterable[ReaderView]) -> messages.ReaderList:
    """Return all readers."""
    return messages.ReaderList(tuple(reader(view) for view in views))


def card(view: CardView) -> messages.CardDescription:
    """Return a card as far as it can be read without its PIN."""
    metadata = view.metadata
    return messages.CardDescription(
        reader=view.reader,
        kind=metadata.kind.value,
        kind_text=messages.BilingualText(*KIND_WORDS[metadata.kind]),
        version=metadata.version,
        serial=metadata.serial,
        simulated=view.simulated,
        holder=None if metadata.holder is None else holder(metadata.holder),
        info=None if metadata.info is None else _same(metadata.info, messages.HcaCardInfo),
        issued=metadata.issued,
        pin=None if view.pin is None else pin(view.pin),
        expiry=certificate_expiry(expiry(view.ends, metadata.kind)),
    )


def holder(source: Holder) -> messages.Holder:
    """Return the holder, each kind with the members of its own."""
    match source:
        case Personnel():
            return _same(source, messages.PersonnelHolder)
        case Institution():
            return _same(source, messages.InstitutionHolder)
        case Insured():
            return _same(source, messages.InsuredHolder)
        case Citizen():
            return _same(source, messages.CitizenHolder)


def pin(status: PinStatus) -> messages.PinState:
    """Return how the PIN stands."""
    return messages.PinState(status.tries_left, status.locked, status.min_length, status.max_length)


def certificate_expiry(told: Expiry | None) -> messages.CertificateExpiry | None:
    """Return what is to be said of the end of a certificate."""
    if told is None:
        return None
    then = messages.BilingualText(told.next_zh, told.next_en)
    return messages.CertificateExpiry(told.zh, told.en, told.urgency.value, told.ends, told.days, then)


def certificate(source: CardCertificate) -> messages.CertificateEntry:
    """Return a certificate and its fields; only the bytes where it cannot be parsed."""
    from hca_card.certificate import card_kind, describe
    from hca_card.errors import CardError

    try:
        facts = describe(source.der)
    except (CardError, ValueError):
        return messages.CertificateEntry(source.index, source.use.value, source.der)
    own = source.index in CERTIFICATE_INDEX.values()
    ends = expiry(facts.not_after, card_kind(facts)) if own else None
    return messages.CertificateEntry(
        source.index,
        source.use.value,
        source.der,
        subject=facts.subject,
        issuer=facts.issuer,
        serial_number=facts.serial_hex,
        not_before=facts.not_before,
        not_after=facts.not_after,
        expiry=certificate_expiry(ends) or UNSET,
    )


def login_token(token: LoginToken) -> messages.AuthenticateResult:
    """Return a login token."""
    return _same(token, messages.AuthenticateResult)


def _same(source: CardInfo | Holder | LoginToken, kind: type[M]) -> M:
    """Return `source` as the message that has the same fields."""
    return kind(**{field.name: getattr(source, field.name) for field in fields(source)})
