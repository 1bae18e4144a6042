"""PIN and PUK of the card: the security officer's session, unblocking, and a new PIN.

A card takes a PUK only together with the new PIN. So a PUK that a page hands over first is kept, unverified,
for the one unblocking it was given for.
"""

from __future__ import annotations

from agent.dialects.servisign import card
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.open_objects import CardModule, OfficerSession
from hca_card.errors import CardChangedError
from hca_card.pin import Pin


async def init_officer_session(call: FunctionCall) -> int:
    """ATL_InitSOSession: with the card that is in the module's reader now; nothing is verified yet."""
    handle = call.numbers["ulModuleHandle"]
    module = call.session.objects.get(handle, CardModule)
    await card.select_again(call, module)
    puk = call.secrets["cardPuk"]
    officer = OfficerSession(handle, module.selected.serial, puk.copy() if puk else None)
    return call.session.objects.add(officer)


async def unblock(call: FunctionCall) -> None:
    """ATL_UnblockUserPIN: with the PUK of its session, used once; without one the person is asked."""
    module, handle = card.named_module(call), call.numbers["ulSessionHandle"]
    officer = call.session.objects.get(handle, OfficerSession)
    if officer.module != call.numbers["ulModuleHandle"]:
        raise LibraryError(LibraryCode.SESSION_HANDLE)
    if officer.serial != module.selected.serial:
        # The module has another card since; a PUK is good for its own alone.
        raise CardChangedError
    await card.require_in_reader(call, module)
    puk = officer.take()
    try:
        await _unblock(call, module, puk, call.secrets["newUserPin"])
    finally:
        if puk is not None:
            puk.wipe()


async def change(call: FunctionCall) -> None:
    """ATL_ChangeUserPIN: from the PIN that the session was opened with; it goes on with the new one.

    Where the session has none any more, the person enters both.
    """
    module, session = card.named_session(call)
    if session.kept is None or session.kept.wiped:
        # Before anybody is asked; a PIN that is kept is good for its own card alone.
        await card.require_in_reader(call, module)
    new = None if session.kept is None else call.secrets["newUserPin"]
    selected = module.selected
    await call.operations.change_pin(
        call.caller,
        new=new,
        reader=selected.reader,
        kept=session.kept,
        kinds=card.HCA_KINDS,
        serial=selected.serial,
    )


async def set_pin(call: FunctionCall) -> None:
    """HCA_SetPIN: a new PIN with the PUK; where one of them is missing (flag 1), the person enters both."""
    module = card.latest_module(call)
    await card.require_in_reader(call, module)
    await _unblock(call, module, call.secrets["pukcode"], call.secrets["newPincode"])


async def unlock(call: FunctionCall) -> None:
    """HCA_UnlockHPC: the person enters PUK and new PIN."""
    module = card.latest_module(call)
    await card.require_in_reader(call, module)
    await _unblock(call, module, None, None)


async def _unblock(call: FunctionCall, module: CardModule, puk: Pin | None, new: Pin | None) -> None:
    """With both as the page has them, or both as the person enters them; of the module's card alone."""
    if puk is None or new is None:
        puk = new = None
    selected = module.selected
    await call.operations.unblock_pin(
        call.caller,
        puk=puk,
        new=new,
        reader=selected.reader,
        kinds=card.HCA_KINDS,
        serial=selected.serial,
    )
