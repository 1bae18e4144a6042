"""Requests and replies of the ServiSign dialect as bytes: one percent-encoded form field, one JSON object.

Two generations of page adapters send different shapes of the same thing (docs/servisign.md, "Framing"); both
are read here. Nothing in this file knows what any function does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from agent.dialects.servisign.codes import BAD_PARAMETER, FrameworkError
from hca_card.decoding import UNREADABLE
from hca_card.pin import Pin

FIELD: Final = b"Parameter="
ECHO_NAMES: Final = frozenset(("Echo", "ServiSignEcho"))
"""The probe that opens a session."""


# An unsigned 32-bit handle or mechanism has ten digits; what is longer is no number of this protocol, and
# Python would happily compute with a million digits.
DIGITS_MAX: Final = 16
NUMBER_MIN: Final = -(2**31)
NUMBER_MAX: Final = 2**32 - 1
NAME_MAX: Final = 64
SESSION_ID_MAX: Final = 128

FIELDS_MAX: Final = 16
# What no adapter writes is refused before it takes long. A request is flat: no function takes an argument
# that is an array or object.
BRACKETS_MAX: Final = 1024
ESCAPES_MAX: Final = 1024
_ESCAPES: Final = (
    (b"%2B", b"+"),
    (b"%2F", b"/"),
    (b"%3D", b"="),
    (b"%2b", b"+"),
    (b"%2f", b"/"),
    (b"%3d", b"="),
)
_BLANKS: Final = b" \t\r\n\v\f"

# What a flag is where it is set: JavaScript's true, or what page code makes of it.
_TRUE: Final = (True, "true", 1, "1")
_ONE: Final = (1, "1", "MQ==")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One call of a page.

    Attributes:
        function: the function's name.
        session_id: as the page sent it; empty before the first Echo.
        per_browser: tab mode 1: the session id is the browser's name, shared by all its tabs.
        browser: the browser's name, what tab mode 1 uses as a session id.
        keep_alive: the page understands `heartbeat`, and sends the same request again until it is over.
        members: all members of the request. Never in a repr: one of them can be a PIN.
    """

    function: str
    session_id: str
    per_browser: bool
    browser: str
    keep_alive: bool
    members: dict[str, object] = field(repr=False)

    def text(self, name: str) -> str:
        """Return a text argument; absent and "undefined", which JavaScript makes of it, are the empty text.

        Raises:
            FrameworkError: 61005, it is marked as base64 and is not, or no text can be made of it.
        """
        members = self.members
        value = members.get(name)
        if value is None:
            return ""
        text = value if isinstance(value, str) else _written(value)
        if members.get(name + "_ServiSignBase64Flag") in _TRUE:
            text = decode_text(_unquoted(text.encode()))
        if members.get(name + "_ServiSignSlashFlag") in _TRUE:
            text = text.replace("==ServiSignSlash==", "\\")
        if members.get(name + "_servisignflag") in _TRUE:
            text = text.replace("*", "\\")
        return "" if text == "undefined" else text

    def number(self, name: str) -> int:
        """Return a number argument: a JSON number, its decimal text, or either marked as base64; absent is 0.

        Raises:
            FrameworkError: 61005, no number of this protocol.
        """
        value = self.members.get(name)
        if type(value) is int and name + "_ServiSignBase64Flag" not in self.members:
            if not NUMBER_MIN <= value <= NUMBER_MAX:
                raise FrameworkError(BAD_PARAMETER)
            return value
        text = self.text(name).strip()
        if not text:
            return 0
        digits = text[1:] if text[0] in "+-" else text
        if len(digits) > DIGITS_MAX or not (digits.isascii() and digits.isdigit()):
            raise FrameworkError(BAD_PARAMETER)
        value = int(text)
        if not NUMBER_MIN <= value <= NUMBER_MAX:
            raise FrameworkError(BAD_PARAMETER)
        return value

    def take_secret(self, name: str) -> Pin | None:
        """Return a PIN or PUK, removed from the members; None where the page sent none.

        Raises:
            FrameworkError: 61005, not readable.
            ValueError: if it has characters no PIN has. The message does not contain them.
        """
        try:
            characters = self.text(name)
        finally:
            self.members.pop(name, None)
        return Pin(characters) if characters else None


def decode_request(body: bytes) -> PageRequest:
    """Return the call in a form body `Parameter=<percent-encoded base64 of UTF-8 JSON>`.

    Args:
        body: the whole body; its size has been limited before.

    Raises:
        FrameworkError: 61005, it is none.
    """
    for pair in body.split(b"&", FIELDS_MAX):
        if pair.startswith(FIELD):
            # "+" is not a blank here: an adapter that forgot to escape it means base64's plus.
            members = _json_object(decode_text(_unquoted(pair[len(FIELD) :].strip())))
            return _request(members)
    raise FrameworkError(BAD_PARAMETER)


def _request(members: dict[str, object]) -> PageRequest:
    function = _common(members, "functionname", NAME_MAX)
    if not function:
        raise FrameworkError(BAD_PARAMETER)
    return PageRequest(
        function=function,
        session_id=_common(members, "sessionid", SESSION_ID_MAX),
        per_browser=members.get("ServiSignTabMode") in _ONE,
        browser=_common(members, "ServiSignBrowser", NAME_MAX),
        keep_alive=members.get("KeepAlive") in _TRUE,
        members=members,
    )


def _common(members: Mapping[str, object], name: str, limit: int) -> str:
    value = members.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit:
        raise FrameworkError(BAD_PARAMETER)
    if members.get(name + "_ServiSignBase64Flag") in _TRUE:
        value = decode_text(_unquoted(value.encode()))
    return value


def _json_object(text: str) -> dict[str, object]:
    if text.count("[") + text.count("{") > BRACKETS_MAX:
        raise FrameworkError(BAD_PARAMETER)
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        # The text can hold a PIN, and an error may carry it.
        raise FrameworkError(BAD_PARAMETER) from None
    if not isinstance(value, dict):
        raise FrameworkError(BAD_PARAMETER)
    return value


def _written(value: object) -> str:
    """Return a JSON number as text.

    Raises:
        FrameworkError: 61005, it is no whole number.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FrameworkError(BAD_PARAMETER)
    return str(value)


def _unquoted(encoded: bytes) -> bytes:
    """Percent-decode base64. Three characters of base64 need it, and a document can be full of them.

    Raises:
        FrameworkError: 61005, much else is escaped: no adapter does that, and it would take long.
    """
    for escape, octet in _ESCAPES:
        encoded = encoded.replace(escape, octet)
    if encoded.count(b"%") > ESCAPES_MAX:
        raise FrameworkError(BAD_PARAMETER)
    return unquote_to_bytes(encoded)


def decode_text(encoded: bytes) -> str:
    """Return the UTF-8 text in base64; missing padding and white space are fine.

    Raises:
        FrameworkError: 61005.
    """
    try:
        return lenient_base64(encoded).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise FrameworkError(BAD_PARAMETER) from None


def lenient_base64(encoded: bytes) -> bytes:
    """Decode base64 (RFC 4648 §4), wrapped or not, padded or not.

    Raises:
        binascii.Error: if it has another alphabet, or a length that cannot be.
    """
    compact = encoded.translate(None, _BLANKS).rstrip(b"=")
    return binascii.a2b_base64(compact + b"=" * (-len(compact) % 4), strict_mode=True)


def encode_reply(result: str, **others: str) -> bytes:
    """Return the reply's body: exactly `{...}`, every value base64 of UTF-8, no byte more.

    Args:
        result: the text the page's function hands back.
        **others: further members, which only an Echo has.
    """
    members = {"result": _encoded(result), **{name: _encoded(text) for name, text in others.items()}}
    return msgspec.json.encode(members)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def echo_request() -> bytes:
    """Return the body with which an adapter asks whether anybody is there."""
    members = {"functionname": "Echo", "sessionid": "", "ServiSignTabMode": 0, "AdapterJsonKeyCheck": True}
    return FIELD + quote(base64.b64encode(msgspec.json.encode(members)), safe="").encode("ascii")


def is_reply(body: bytes) -> bool:
    """Return whether a body is the reply to an Echo: its `result` is empty or a number (of an error, or 0).

    Adapters take a reply without one for a good one; here it must at least open a session.
    """
    try:
        members = _json_object(body.strip().decode("utf-8"))
        result = members.get("result", "" if "SessionID" in members else None)
        text = decode_text(result.encode()) if isinstance(result, str) else "no"
    except (UnicodeError, FrameworkError):
        return False
    return not text or (text.isascii() and text.isdigit())
