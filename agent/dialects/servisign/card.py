"""PC/SC library: modules, sessions, and what can be read of a card without its PIN."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.open_objects import CardModule, CardSession
from agent.errors import AgentError, ErrorId
from agent.operations import ReaderCondition
from hca_card.errors import CardChangedError
from hca_card.model import CardKind, Institution, Metadata, Personnel
from hca_card.pin import Pin

if TYPE_CHECKING:
    from agent.pins.kept import KeptPin

INSTITUTIONS: Final = frozenset((CardKind.INSTITUTION, CardKind.INSTITUTION_SECONDARY))
HCA_KINDS: Final = INSTITUTIONS | {CardKind.PERSONNEL}

TYPE_INSTITUTION: Final = "0"
TYPE_PERSONNEL: Final = "1"
BASE64_COLUMNS: Final = 64
CERTIFICATE_INDEXES: Final = range(5)
_WITH_CARD: Final = frozenset((ReaderCondition.CARD, ReaderCondition.BUSY))
SIGNATURE_CERTIFICATE: Final = 1


async def init_module(call: FunctionCall) -> int:
    """ATL_InitModule: choose the card. The module name is only a name."""
    return call.session.objects.add(await open_module(call))


async def open_module(call: FunctionCall) -> CardModule:
    """The HCA card that this session works with.

    Raises:
        LibraryError: 9056, the card there is none of HCA's.
    """
    try:
        return CardModule(await call.operations.choose(call.caller, kinds=HCA_KINDS))
    except AgentError as error:
        if error.error_id is ErrorId.CARD_WRONG_KIND:
            # The vendor's module does not see other cards at all.
            raise LibraryError(LibraryCode.TOKEN_NOT_PRESENT) from error
        raise


def close_module(call: FunctionCall) -> None:
    """ATL_CloseModule, ATL_CloseModuleEx: and whatever is open on it."""
    module(call)
    call.session.objects.remove(call.number("ulModuleHandle"))


async def init_session(call: FunctionCall) -> int:
    """ATL_InitSession: verify a PIN once and keep it; pages take a session for a log-in."""
    opened = await open_session(call, call.number("ulModuleHandle"), call.secret("userPin"))
    return call.session.objects.add(opened)


async def open_session(call: FunctionCall, handle: int, pin: Pin | None) -> CardSession:
    """A session with the card that is in the module's reader now.

    A page can keep its module for hours while people change cards; whoever types a PIN means the card
    that is in the reader.
    """
    held = call.session.objects.get(handle, CardModule)
    if pin is None:
        # Of one that is typed on a key pad nothing is kept that says on which card it was verified.
        await select_again(call, held)
    kept = await keep(call, held, pin)
    if kept is not None:
        try:
            if not _is_of(kept, held):
                # People have changed cards since: what was read of the other one is forgotten.
                await select_again(call, held)
            require_of(kept, held)
        except BaseException:
            kept.wipe()
            raise
    return CardSession(handle, kept)


async def select_again(call: FunctionCall, held: CardModule) -> None:
    """Work with the HCA card that is in the module's reader now."""
    held.select(await call.operations.choose(call.caller, kinds=HCA_KINDS, reader=held.selected.reader))


async def keep(call: FunctionCall, held: CardModule, pin: Pin | None) -> KeptPin | None:
    """A PIN verified once on the HCA card in the module's reader; the person is asked where a page has none.

    Returns:
        None where it was typed on the reader's key pad, which keeps it to itself.

    Raises:
        LibraryError: 9041, the page brings none and there is nobody to ask.
    """
    reader = held.selected.reader
    try:
        return await call.operations.keep_pin(call.caller, pin, reader=reader, kinds=HCA_KINDS)
    except AgentError as error:
        if pin is None and error.error_id is ErrorId.PIN_UNAVAILABLE:
            raise LibraryError(LibraryCode.PIN_LENGTH) from error
        raise


def require_of(kept: KeptPin, held: CardModule) -> None:
    """Return if a PIN was verified on the module's card.

    Raises:
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    if not _is_of(kept, held):
        raise CardChangedError


def _is_of(kept: KeptPin, held: CardModule) -> bool:
    return kept.serial == held.selected.serial and kept.holds(held.selected.event_counter)


def close_session(call: FunctionCall) -> None:
    """ATL_CloseSession: wipe its PIN, or the PUK of a security officer's session."""
    handle = call.number("ulSessionHandle")
    if call.session.objects.is_officer(handle, call.number("ulModuleHandle")):
        call.session.objects.remove(handle)
        return
    session(call)
    call.session.objects.remove(handle)


async def certificate(call: FunctionCall) -> str:
    """ATL_GetCertificateFromGPKICard: base64 in lines; pages hand it back exactly so."""
    session(call)
    der = await read_certificate(call, module(call), call.number("iCertId"))
    return wrapped(der)


async def card_version(call: FunctionCall) -> str:
    """ATL_GetCardHCACardVersion: "1" or "2"."""
    return (await metadata(call, module(call))).version


async def card_type(call: FunctionCall) -> str:
    """ATL_GetCardType, ATL_GetHCACardType: "0" institution, "1" personnel."""
    return type_text(await metadata(call, module(call)))


async def card_serial(call: FunctionCall) -> str:
    """ATL_GetHCACardSN."""
    return (await metadata(call, module(call))).serial


async def basic_data(call: FunctionCall) -> tuple[str, ...]:
    """ATL_GetHCABasicData, ATL_GetBasicData: 6 items for a personnel card, 8 for an institution card."""
    return basic_items(await metadata(call, module(call)))


async def card_info(call: FunctionCall) -> tuple[str, ...]:
    """ATL_GetHCACardInfo: 5 items."""
    return info_items(await metadata(call, module(call)))


async def latest_serial(call: FunctionCall) -> str:
    """ATL_GetCardSN: as ATL_GetHCACardSN, of the module opened last."""
    return (await metadata(call, call.session.objects.latest_module()[1])).serial


async def latest_info(call: FunctionCall) -> tuple[str, ...]:
    """ATL_GetCardInfo: as ATL_GetHCACardInfo, of the module opened last."""
    return info_items(await metadata(call, call.session.objects.latest_module()[1]))


def no_effect(call: FunctionCall) -> None:
    """ATL_SetCodePage: texts are UTF-8 whatever the page chooses."""


def module(call: FunctionCall) -> CardModule:
    """The module a call names."""
    return call.session.objects.get(call.number("ulModuleHandle"), CardModule)


def session(call: FunctionCall) -> CardSession:
    """The card session a call names, on the module it names.

    Raises:
        LibraryError: 9046, also where it belongs to another module.
    """
    module(call)
    opened = call.session.objects.get(call.number("ulSessionHandle"), CardSession)
    if opened.module != call.number("ulModuleHandle"):
        raise LibraryError(LibraryCode.SESSION_HANDLE)
    return opened


async def metadata(call: FunctionCall, held: CardModule) -> Metadata:
    """What the module's card says of itself.

    Raises:
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    await still_there(call, held)
    if held.metadata is None:
        view = await call.operations.card(call.caller, held.selected.reader)
        if view.metadata.serial != held.selected.serial:
            raise CardChangedError
        held.metadata = view.metadata
    return held.metadata


async def read_certificate(call: FunctionCall, held: CardModule, index: int) -> bytes:
    """A certificate of the module's card, DER.

    Raises:
        LibraryError: 5005, no number of a certificate.
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    if index not in CERTIFICATE_INDEXES:
        raise LibraryError(LibraryCode.PARAMETER)
    await still_there(call, held)
    if index not in held.certificates:
        found = await call.operations.certificate(call.caller, index, held.selected.reader)
        # A PIN that was verified for one card must not vouch for the certificate of another.
        if found.serial != held.selected.serial:
            raise CardChangedError
        held.certificates[index] = found.der
    return held.certificates[index]


async def still_there(call: FunctionCall, held: CardModule) -> None:
    """Return if the module's card lies where it did; no command is sent where nobody touched it.

    Raises:
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    selected = held.selected
    for view in await call.operations.readers(call.caller):
        untouched = view.event_counter == selected.event_counter and view.condition in _WITH_CARD
        if view.name == selected.reader and untouched:
            return
    now = await call.operations.choose(call.caller, kinds=HCA_KINDS, reader=selected.reader)
    if now.serial != selected.serial:
        raise CardChangedError
    held.select(now)


def type_text(data: Metadata) -> str:
    """The card type as pages know it."""
    return TYPE_INSTITUTION if data.kind in INSTITUTIONS else TYPE_PERSONNEL


def basic_items(data: Metadata) -> tuple[str, ...]:
    """The holder's fields in the order of the card.

    Raises:
        LibraryError: 5050, the card says nothing of its holder.
    """
    match data.holder:
        case Personnel() as person:
            return (
                person.name,
                person.english_name,
                person.sex,
                person.birth,
                person.id_number,
                person.category,
            )
        case Institution() as place:
            return (
                place.code,
                place.name,
                place.card_sequence,
                place.kind,
                place.type,
                place.address,
                place.telephone,
                place.owner,
            )
    raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)


def info_items(data: Metadata) -> tuple[str, ...]:
    """Generates keys, issued, valid from and to in one, opened, in use ("0") or terminated ("1").

    Raises:
        LibraryError: 5050, the card has no such information.
    """
    info = data.info
    if info is None:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return (
        str(int(info.generates_keys)),
        info.issued,
        info.valid_from + info.valid_to,
        str(int(info.activated)),
        str(int(info.terminated)),
    )


def wrapped(der: bytes) -> str:
    r"""Base64 with "\n" after every 64 characters and at the end."""
    text = base64.b64encode(der).decode("ascii")
    lines = (text[start : start + BASE64_COLUMNS] for start in range(0, len(text), BASE64_COLUMNS))
    return "".join(line + "\n" for line in lines)
