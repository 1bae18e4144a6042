"""ATL_GetDataRecord: what is on the card, by name and with its PIN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.dialects.servisign import card
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall, joined
from hca_card.model import Metadata

# Nothing on these cards is behind the PIN but the keys, so these are the records there are. Names are ours:
# the ends of the functions that give the same without a PIN.
_RECORDS: Final[dict[str, Callable[[Metadata], str]]] = {
    "basicdata": lambda data: joined(card.basic_items(data)),
    "cardinfo": lambda data: joined(card.info_items(data)),
    "cardsn": lambda data: data.serial,
    "cardtype": card.type_text,
    "cardversion": lambda data: data.version,
}


async def record(call: FunctionCall) -> str:
    """ATL_GetDataRecord: the PIN is verified once and not kept; without one the person is asked.

    Raises:
        LibraryError: 9100, no such record; the PIN is not used then.
    """
    find = _RECORDS.get(call.text("recordName").strip().lower())
    held = card.module(call)
    if find is None:
        raise LibraryError(LibraryCode.OBJECT_MISSING)
    kept = await card.keep(call, held, call.secret("pin"))
    if kept is not None:
        kept.wipe()
        card.require_of(kept, held)
    return find(await card.metadata(call, held))
