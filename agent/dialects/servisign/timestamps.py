"""Time stamps, in both libraries: asked from an authority, verified, and taken apart (RFC 3161)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign.certificates import ctime
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.keys import encoded
from agent.vocabulary import Verb
from signing import timestamp
from signing.timestamp import Stamp

if TYPE_CHECKING:
    from yarl import URL

_MEDIA_TYPE: Final = "application/timestamp-query"  # RFC 3161 §3.4
_NONCE_BITS: Final = 64


async def query(call: FunctionCall) -> str:
    """ATL_TSQuery: from a host that the page names, if it is listed; the authority's whole answer."""
    url = call.hosts.named(call.text("hostname"), call.text("hostport"))
    return await _stamped(call, url, call.data("b64Data"))


async def query_own(call: FunctionCall) -> str:
    """HCA_TSQuery: from the authority that is configured."""
    return await _stamped(call, call.hosts.timestamps, call.data("data"))


async def query_ex(call: FunctionCall) -> str:
    """HCA_TSQueryEx: as ATL_TSQuery."""
    url = call.hosts.named(call.text("bIP"), call.text("bPort"))
    return await _stamped(call, url, call.data("bData"))


def verify_function(data: str, stamp: str) -> Callable[[FunctionCall], None]:
    """ATL_TSVerify, HCA_TSVerify, whose arguments have different names."""

    def verify(call: FunctionCall) -> None:
        timestamp.verify(call.data(data), call.data(stamp))

    return verify


def info_function(stamp: str, wanted: str) -> Callable[[FunctionCall], str]:
    """ATL_GetTSInfo, HCA_GetTSInfo: one thing that a stamp says; nothing is verified."""

    def info(call: FunctionCall) -> str:
        return _part(timestamp.read(call.data(stamp)), call.numbers[wanted])

    return info


async def _stamped(call: FunctionCall, url: URL, data: bytes) -> str:
    await call.operations.permit(call.caller, Verb.READ)
    question = timestamp.request(data, 1 << _NONCE_BITS - 1 | secrets.randbits(_NONCE_BITS - 1))
    answer = await call.hosts.post(url, question, _MEDIA_TYPE)
    # Only what is a stamp for this very question reaches the page.
    timestamp.check_answer(question, answer)
    return encoded(answer)


def _part(stamp: Stamp, wanted: int) -> str:
    match wanted:
        case 0:
            return stamp.policy
        case 1:
            return stamp.imprint.hex().upper()
        case 2:
            return stamp.serial.hex().upper()
        case 3:
            return ctime(stamp.time)
        case 4:
            return str(stamp.version)
        case 5:
            return "" if stamp.accuracy is None else f"{stamp.accuracy.normalize():f}"
        case 6:
            return stamp.nonce.hex().upper()
    raise LibraryError(LibraryCode.PARAMETER)
