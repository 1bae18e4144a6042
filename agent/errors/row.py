"""What one row of the error table is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class JsonRpc(IntEnum):
    """Error families: the predefined ones of JSON-RPC 2.0 and ours in the range left to servers."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    READER = -32001
    CARD = -32002
    PIN = -32003
    PERMISSION = -32004
    CERTIFICATE = -32005
    DATA = -32006
    BUSY = -32007
    SETUP = -32008


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One kind of error.

    Attributes:
        id: stable, dotted, lower case.
        zh: what happened, Traditional Chinese.
        en: what happened, English.
        next_zh: what to do next, one sentence.
        next_en: the same in English.
        servisign: the number ServiSign pages know for it.
        jsonrpc: the JSON-RPC error code.
    """

    id: str
    zh: str
    en: str
    next_zh: str
    next_en: str
    servisign: int
    jsonrpc: int
