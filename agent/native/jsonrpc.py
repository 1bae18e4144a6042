"""JSON-RPC 2.0 as bytes: one request out of one frame, one response or notification into one.

Stricter than the standard where it leaves room: every request has an id, parameters are named, batches are
refused, and nothing unknown is passed over in silence.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec

from agent.errors import AgentError, ErrorId, describe, row_for
from agent.native.messages import ErrorData, NativeMessage
from hca_card.decoding import UNREADABLE

Id = int | Annotated[str, msgspec.Meta(max_length=128)]
T = TypeVar("T")

SMALL_BYTES_MAX: Final = 1024 * 1024
"""The largest request of a method that carries no document."""

_UNKNOWN_FIELD: Final = "Object contains unknown field"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request; `params` is still JSON, to be read once the method says as what."""

    jsonrpc: Literal["2.0"]
    id: Id
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


class _Response(msgspec.Struct, frozen=True):
    id: Id
    result: NativeMessage
    jsonrpc: Literal["2.0"] = "2.0"


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: ErrorData


class _ErrorResponse(msgspec.Struct, frozen=True):
    id: Id | None
    error: _Error
    jsonrpc: Literal["2.0"] = "2.0"


class _Notification(msgspec.Struct, frozen=True):
    method: str
    params: NativeMessage
    jsonrpc: Literal["2.0"] = "2.0"


_encoder: Final = msgspec.json.Encoder()


def read(frame: bytes) -> Request:
    """Return the request in a text frame.

    Args:
        frame: valid UTF-8, parts that are only read once the method is known too.

    Raises:
        AgentError: `request.not_json`, `request.batch`, `request.unknown_member` or `request.malformed`.
    """
    if frame.lstrip(b" \t\r\n")[:1] == b"[":
        raise AgentError(ErrorId.REQUEST_BATCH)
    return decode(frame, Request, otherwise=ErrorId.REQUEST_MALFORMED)


def decode(
    octets: bytes | msgspec.Raw, kind: type[T], *, otherwise: ErrorId = ErrorId.REQUEST_PARAMETERS
) -> T:
    """JSON read as one of our messages.

    Args:
        octets: JSON text, valid UTF-8.
        kind: the message.
        otherwise: the id of the error for a member that is missing or has a wrong value.

    Raises:
        AgentError: `request.not_json`, `request.unknown_member`, or `otherwise`.
    """
    try:
        return msgspec.json.decode(octets, type=kind)
    except msgspec.ValidationError as error:  # JSON, with a wrong member
        unknown = str(error).startswith(_UNKNOWN_FIELD)
        wrong = ErrorId.REQUEST_UNKNOWN_MEMBER if unknown else otherwise
        raise AgentError(wrong, detail=str(error)) from None
    except UNREADABLE as error:
        raise AgentError(ErrorId.REQUEST_NOT_JSON, detail=str(error)) from None


def response(request_id: Id, result: NativeMessage) -> bytes:
    """Return the answer to a request."""
    return _encoder.encode(_Response(request_id, result))


def error_response(request_id: Id | None, error: BaseException) -> bytes:
    """Return the answer to a failed request; `request_id` None where none could be read (JSON-RPC 2.0 §5)."""
    data = error_data(error)
    return _encoder.encode(_ErrorResponse(request_id, _Error(row_for(error).jsonrpc, data.en, data)))


def notification(method: str, params: NativeMessage) -> bytes:
    """Something the page did not ask for."""
    return _encoder.encode(_Notification(method, params))


def error_data(error: BaseException) -> ErrorData:
    """Return what a page gets of an error: its row, and the few facts that are for pages."""
    text = describe(error)
    tries_left, retry_after = text.facts.get("tries_left"), text.facts.get("retry_after")
    return ErrorData(
        text.id,
        text.zh,
        text.en,
        text.next_zh,
        text.next_en,
        tries_left=tries_left if isinstance(tries_left, int) else msgspec.UNSET,
        retry_after=retry_after if isinstance(retry_after, int) else msgspec.UNSET,
    )
