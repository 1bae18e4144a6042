"""The card of a session: modules, sessions, and what can be read of a card without its PIN."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionAnswer, FunctionCall, Implementation, joined
from agent.dialects.servisign.open_objects import CardModule, CardSession
from agent.errors import AgentError, ErrorId
from agent.operations import ReaderCondition
from hca_card.errors import CardChangedError
from hca_card.model import CardKind, Institution, Metadata, Personnel
from hca_card.pin import Pin

if TYPE_CHECKING:
    from agent.dialects.agreed import AgreedSessions
    from agent.operations import SigningSession
    from agent.pins.kept import KeptPin

INSTITUTIONS: Final = frozenset((CardKind.INSTITUTION, CardKind.INSTITUTION_SECONDARY))
HCA_KINDS: Final = INSTITUTIONS | {CardKind.PERSONNEL}

TYPE_INSTITUTION: Final = "0"
TYPE_PERSONNEL: Final = "1"
BASE64_COLUMNS: Final = 64
CERTIFICATE_INDEXES: Final = range(5)
SIGNATURE_CERTIFICATE: Final = 1
_WITH_CARD: Final = frozenset((ReaderCondition.CARD, ReaderCondition.BUSY))

FindModule = Callable[[FunctionCall], CardModule]


# Which module, and which session


def named_module(call: FunctionCall) -> CardModule:
    """Return the module that the call names."""
    return call.session.objects.get(call.numbers["ulModuleHandle"], CardModule)


def latest_module(call: FunctionCall) -> CardModule:
    """Return the module opened last, for the functions without a handle."""
    return call.session.objects.latest_module()[1]


def named_session(call: FunctionCall) -> tuple[CardModule, CardSession]:
    """Return the module and the card session that the call names.

    Raises:
        LibraryError: 9046, also where the session belongs to another module.
    """
    module = named_module(call)
    session = call.session.objects.get(call.numbers["ulSessionHandle"], CardSession)
    if session.module != call.numbers["ulModuleHandle"]:
        raise LibraryError(LibraryCode.SESSION_HANDLE)
    return module, session


# Opening and closing


async def init_module(call: FunctionCall) -> int:
    """ATL_InitModule: choose the card. The module name is only a name."""
    return call.session.objects.add(await open_module(call))


async def open_module(call: FunctionCall) -> CardModule:
    """Return the HCA card that this session works with.

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
    named_module(call)
    call.session.objects.remove(call.numbers["ulModuleHandle"])


async def init_session(call: FunctionCall) -> int:
    """ATL_InitSession: verify a PIN once and keep it; pages take a session for a log-in."""
    session = await open_session(call, call.numbers["ulModuleHandle"], call.secrets["userPin"])
    return call.session.objects.add(session)


async def open_session(call: FunctionCall, handle: int, pin: Pin | None) -> CardSession:
    """Return a session with the card that is in the module's reader now.

    A page can keep its module for hours while people change cards; whoever types a PIN means the card
    that is in the reader.
    """
    module = call.session.objects.get(handle, CardModule)
    if call.agreed is not None:
        return CardSession(handle, signing=await _agreed(call, module, call.agreed))
    if pin is None:
        # Of one that is typed on a key pad nothing is kept that says on which card it was verified.
        await select_again(call, module)
    kept = await keep_pin(call, module, pin)
    if kept is not None:
        try:
            if not _is_of(kept, module):
                # People have changed cards since: what was read of the other one is forgotten.
                await select_again(call, module)
            require_of(kept, module)
        except BaseException:
            kept.wipe()
            raise
    return CardSession(handle, kept)


async def _agreed(call: FunctionCall, module: CardModule, agreed: AgreedSessions) -> SigningSession:
    """Return the signing session that the person agreed to, for the card that is in the module's reader now.

    Raises:
        LibraryError: 9041, there is nobody to ask.
    """
    await select_again(call, module)
    try:
        signing = await agreed.get(call.caller, module.selected.reader, HCA_KINDS)
    except AgentError as error:
        if error.error_id is ErrorId.PIN_UNAVAILABLE:
            raise LibraryError(LibraryCode.PIN_LENGTH) from error
        raise
    if signing.card.serial != module.selected.serial:
        raise CardChangedError
    return signing


def close_session(call: FunctionCall) -> None:
    """ATL_CloseSession: wipe its PIN, or the PUK of a security officer's session."""
    handle = call.numbers["ulSessionHandle"]
    if not call.session.objects.is_officer(handle, call.numbers["ulModuleHandle"]):
        named_session(call)
    call.session.objects.remove(handle)


async def select_again(call: FunctionCall, module: CardModule) -> None:
    """Work with the HCA card that is in the module's reader now."""
    reader = module.selected.reader
    module.select(await call.operations.choose(call.caller, kinds=HCA_KINDS, reader=reader))


async def keep_pin(call: FunctionCall, module: CardModule, pin: Pin | None) -> KeptPin | None:
    """Verify a PIN once on the HCA card in the module's reader; ask the person where the page has none.

    Returns:
        None where it was typed on the reader's key pad, which keeps it to itself.

    Raises:
        LibraryError: 9041, the page brings none and there is nobody to ask.
    """
    reader = module.selected.reader
    try:
        return await call.operations.keep_pin(call.caller, pin, reader=reader, kinds=HCA_KINDS)
    except AgentError as error:
        if pin is None and error.error_id is ErrorId.PIN_UNAVAILABLE:
            raise LibraryError(LibraryCode.PIN_LENGTH) from error
        raise


def require_of(kept: KeptPin, module: CardModule) -> None:
    """Return if a PIN was verified on the module's card.

    Raises:
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    if not _is_of(kept, module):
        raise CardChangedError


def _is_of(kept: KeptPin, module: CardModule) -> bool:
    return kept.serial == module.selected.serial and kept.holds(module.selected.event_counter)


async def require_in_reader(call: FunctionCall, module: CardModule) -> None:
    """Return if the module's card lies where it did; no command is sent where nobody touched it.

    Raises:
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    selected = module.selected
    for view in await call.operations.readers(call.caller):
        untouched = view.event_counter == selected.event_counter and view.condition in _WITH_CARD
        if view.name == selected.reader and untouched:
            return
    now = await call.operations.choose(call.caller, kinds=HCA_KINDS, reader=selected.reader)
    if now.serial != selected.serial:
        raise CardChangedError
    module.select(now)


# What the card says of itself

T = TypeVar("T", bound=FunctionAnswer)


def of_card(
    function: Callable[[Metadata], T], find: FindModule = named_module
) -> Callable[[FunctionCall], Awaitable[T]]:
    """Return `function` of what the module's card says of itself."""

    async def implementation(call: FunctionCall) -> T:
        return function(await _metadata(call, find(call)))

    return implementation


def of_signature_certificate(
    function: Callable[[bytes], FunctionAnswer], find: FindModule = named_module
) -> Implementation:
    """Return `function` of the signature certificate of the module's card."""

    async def implementation(call: FunctionCall) -> FunctionAnswer:
        return function(await read_certificate(call, find(call), SIGNATURE_CERTIFICATE))

    return implementation


def version(data: Metadata) -> str:
    """Return the version of the card: "1" or "2"."""
    return data.version


def serial(data: Metadata) -> str:
    """Return the card's own number."""
    return data.serial


def type_text(data: Metadata) -> str:
    """Return the card type as pages know it: "0" institution, "1" personnel."""
    return TYPE_INSTITUTION if data.kind in INSTITUTIONS else TYPE_PERSONNEL


def basic_items(data: Metadata) -> tuple[str, ...]:
    """Return the holder's fields in the order of the card: 6 of a person, 8 of an institution.

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
        case Institution() as institution:
            return (
                institution.code,
                institution.name,
                institution.card_sequence,
                institution.kind,
                institution.type,
                institution.address,
                institution.telephone,
                institution.owner,
            )
    raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)


def info_items(data: Metadata) -> tuple[str, ...]:
    """Return generates keys, issued, valid from and to in one, opened, in use ("0") or terminated ("1").

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


# Nothing on these cards is behind the PIN but the keys, so these are the records there are. Names are ours:
# the ends of the functions that give the same without a PIN.
_RECORDS: Final[dict[str, Callable[[Metadata], str]]] = {
    "basicdata": lambda data: joined(basic_items(data)),
    "cardinfo": lambda data: joined(info_items(data)),
    "cardsn": serial,
    "cardtype": type_text,
    "cardversion": version,
}


async def data_record(call: FunctionCall) -> str:
    """ATL_GetDataRecord: the PIN is verified once and not kept; without one the person is asked.

    Raises:
        LibraryError: 9100, no such record; the PIN is not used then.
    """
    record = _RECORDS.get(call.text("recordName").strip().lower())
    module = named_module(call)
    if record is None:
        raise LibraryError(LibraryCode.OBJECT_MISSING)
    kept = await keep_pin(call, module, call.secrets["pin"])
    if kept is not None:
        kept.wipe()
        require_of(kept, module)
    return record(await _metadata(call, module))


async def _metadata(call: FunctionCall, module: CardModule) -> Metadata:
    """Return what the module's card says of itself.

    Raises:
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    found = await call.operations.examine(
        call.caller, lambda card: card.metadata(), reader=module.selected.reader
    )
    if found.serial != module.selected.serial:
        raise CardChangedError
    return found.result


async def certificate(call: FunctionCall) -> str:
    """ATL_GetCertificateFromGPKICard: base64 in lines; pages hand it back exactly so."""
    module, _ = named_session(call)
    return wrapped(await read_certificate(call, module, call.numbers["iCertId"]))


async def read_certificate(call: FunctionCall, module: CardModule, index: int) -> bytes:
    """Return a certificate of the module's card, DER.

    Raises:
        LibraryError: 5005, no number of a certificate.
        hca_card.errors.CardChangedError: another card lies in the reader now.
    """
    if index not in CERTIFICATE_INDEXES:
        raise LibraryError(LibraryCode.PARAMETER)
    found = await call.operations.certificate(
        call.caller, index, module.selected.reader, known=module.certificates.get(index, b"")
    )
    # A PIN that was verified for one card must not vouch for the certificate of another.
    if found.serial != module.selected.serial:
        raise CardChangedError
    module.certificates[index] = found.der
    return found.der


def wrapped(der: bytes) -> str:
    r"""Return base64 with "\n" after every 64 characters and at the end."""
    text = base64.b64encode(der).decode("ascii")
    lines = (text[start : start + BASE64_COLUMNS] for start in range(0, len(text), BASE64_COLUMNS))
    return "".join(line + "\n" for line in lines)


def no_effect(call: FunctionCall) -> None:
    """ATL_SetCodePage: texts are UTF-8 whatever the page chooses."""
