"""What operations and cards say, in the words of the native API."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

from agent.native import messages
from agent.operations import KIND_WORDS, CardView, ReaderView, SignResult
from hca_card.model import (
    CardCertificate,
    CardInfo,
    Citizen,
    Holder,
    Institution,
    Insured,
    Personnel,
    PinStatus,
)
from signing.login import LoginToken

M = TypeVar("M", bound=messages.Message)


def reader(view: ReaderView) -> messages.Reader:
    """A reader, without what only this machine needs to know of it."""
    return messages.Reader(
        name=view.name, state=view.condition.value, pin_pad=view.pin_pad, virtual=view.virtual
    )


def card(view: CardView) -> messages.Card:
    """A card as far as it can be read without its PIN."""
    metadata = view.metadata
    zh, en = KIND_WORDS[metadata.kind]
    return messages.Card(
        reader=view.reader,
        kind=metadata.kind.value,
        kind_text=messages.Text(zh, en),
        version=metadata.version,
        serial=metadata.serial,
        simulated=view.simulated,
        holder=None if metadata.holder is None else holder(metadata.holder),
        info=None if metadata.info is None else _same(metadata.info, messages.CardInfo),
        issued=metadata.issued,
        pin=None if view.pin is None else pin(view.pin),
    )


def holder(said: Holder) -> messages.Holder:
    """The holder, each kind with the members of its own."""
    match said:
        case Personnel():
            return _same(said, messages.PersonnelHolder)
        case Institution():
            return _same(said, messages.InstitutionHolder)
        case Insured():
            return _same(said, messages.InsuredHolder)
        case Citizen():
            return _same(said, messages.CitizenHolder)


def pin(status: PinStatus) -> messages.Pin:
    """How the PIN stands."""
    return messages.Pin(status.tries_left, status.locked, status.min_length, status.max_length)


def certificate(held: CardCertificate) -> messages.CardCertificate:
    """A certificate and what it says; a page gets the bytes even where they cannot be parsed."""
    from hca_card.certificate import describe
    from hca_card.errors import CardError

    plain = messages.CardCertificate(index=held.index, use=held.use.value, certificate=held.der)
    try:
        facts = describe(held.der)
    except (CardError, ValueError):
        return plain
    return messages.CardCertificate(
        index=held.index,
        use=held.use.value,
        certificate=held.der,
        subject=facts.subject,
        issuer=facts.issuer,
        serial_number=facts.serial_hex,
        not_before=facts.not_before,
        not_after=facts.not_after,
    )


def signature(result: SignResult, form: messages.Format) -> messages.Signature:
    """A signature and the certificate that checks it."""
    return messages.Signature(
        signature=result.signature, certificate=result.certificate, format=form, hash=result.hash.value
    )


def login_token(token: LoginToken) -> messages.LoginToken:
    """A login token."""
    return _same(token, messages.LoginToken)


def _same(source: CardInfo | Holder | LoginToken, kind: type[M]) -> M:
    """`source` as the message that has the same fields."""
    return kind(**{field.name: getattr(source, field.name) for field in fields(source)})
