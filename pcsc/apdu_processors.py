"""From one logical command to the APDUs that carry it: small pieces, put together by `assemble`.

Each piece takes what sends commands and gives something that sends commands (`Send`). All bounds are here: a
card cannot make one command last for ever, answer more than was asked, or have a PIN sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from pcsc.apdu import LC_SHORT_MAX, LE_EXTENDED_MAX, LE_SHORT_MAX, Command, Response
from pcsc.errors import CommunicationError, MalformedResponseError, PcscError, ReaderLimitError
from pcsc.status import StatusWord
from pcsc.trace import Exchange, Observe

Send = Callable[[Command], Response]
Transmit = Callable[[bytes], bytes]

MAX_ROUNDS: Final = 512
"""GET RESPONSE rounds for one command: twice what 65536 bytes need."""

_CHAIN: Final = 0x10
_INTERINDUSTRY: Final = 0x80
_GET_RESPONSE: Final = 0xC0
_ALL: Final = frozenset({None, LE_SHORT_MAX, LE_EXTENDED_MAX})


@dataclass(slots=True)
class LengthForm:
    """Whether card and reader take extended length (ISO/IEC 7816-3 §12.1.3).

    Attributes:
        extended: None until it has been tried.
        worked: readers that have passed on a command of extended length; shared by those with one reader.
    """

    extended: bool | None = None
    worked: set[str] = field(default_factory=set)
    reader: str = ""


def extended_length(historical: bytes) -> bool | None:
    """Return what the historical bytes say of extended length (ISO/IEC 7816-4:2020 §12.1.1.9).

    Returns:
        None where they do not say.
    """
    if not historical or historical[0] not in (0x00, 0x80):
        return None
    # With category 00 the last three bytes are a status indicator, not COMPACT-TLV.
    rest = historical[1:] if historical[0] == 0x80 else historical[1:-3]
    while rest:
        tag, length = rest[0] >> 4, rest[0] & 0x0F
        value, rest = rest[1 : 1 + length], rest[1 + length :]
        if tag == 7 and len(value) == 3:
            return bool(value[2] & 0x40)
    return None


def exchange(transmit: Transmit, observe: Observe | None = None) -> Send:
    """Return the innermost piece: encode, transmit, decode; `observe` is called with each exchange.

    A command without Le may still bring data, as many cards answer SELECT, up to what the short form holds.

    Raises:
        MalformedResponseError: fewer than two bytes, or more data than was asked for.
    """

    def send(command: Command) -> Response:
        raw = transmit(command.encode())
        if len(raw) < 2:
            raise MalformedResponseError(detail=f"the card answered {len(raw)} bytes, no status word")
        response = Response.decode(raw)
        if len(response.data) > (command.le or LE_SHORT_MAX):
            raise MalformedResponseError(
                detail=f"the card answered {len(response.data)} bytes where {command.le} were asked"
            )
        return response

    return send if observe is None else _observed(send, observe)


def _observed(send: Send, observe: Observe) -> Send:
    def tell(command: Command) -> Response:
        begun = time.monotonic()
        try:
            response = send(command)
        except PcscError as error:
            observe(Exchange.of(command, None, time.monotonic() - begun, type(error).__name__))
            raise
        observe(Exchange.of(command, response, time.monotonic() - begun))
        return response

    return tell


def resend_with_length(send: Send) -> Send:
    """After 6CXX, the command again with the length the card named: once, and never one that holds a PIN."""

    def resend(command: Command) -> Response:
        response = send(command)
        if response.sw >> 8 == 0x6C and not command.secret:
            return send(replace(command, le=response.sw & 0xFF or LE_SHORT_MAX))
        return response

    return resend


def collect_response(send: Send) -> Send:
    """After 61XX, GET RESPONSE until the card has said everything (ISO/IEC 7816-4 §5.3.4).

    Raises:
        MalformedResponseError: more rounds or more bytes than one response can have.
    """

    def collect(command: Command) -> Response:
        response = send(command)
        if response.sw >> 8 != 0x61:
            return response
        most = LE_EXTENDED_MAX if command.le in _ALL else command.le or 0
        cla = command.cla if command.cla & _INTERINDUSTRY else command.cla & ~_CHAIN
        collected = bytearray(response.data)
        for _ in range(MAX_ROUNDS):
            more = response.sw & 0xFF or LE_SHORT_MAX
            response = send(Command(cla, _GET_RESPONSE, 0, 0, le=more))
            collected += response.data
            if len(collected) > most:
                raise MalformedResponseError(detail=f"the card answered more than {most} bytes")
            if response.sw >> 8 != 0x61:
                return Response(bytes(collected), response.sw)
        raise MalformedResponseError(detail=f"the card says there is more after {MAX_ROUNDS} responses")

    return collect


def chain_command(send: Send) -> Send:
    """Return a piece that sends short APDUs, linked by the chaining bit (ISO/IEC 7816-4 §5.3.3).

    Le is cut to 256, so that less may come back than was asked; who reads a file goes on reading.
    """

    def chain(command: Command) -> Response:
        le = command.le and min(command.le, LE_SHORT_MAX)
        data = command.data
        while len(data) > LC_SHORT_MAX:
            part, data = data[:LC_SHORT_MAX], data[LC_SHORT_MAX:]
            response = send(replace(command, cla=command.cla | _CHAIN, data=part, le=None))
            if not response.ok:
                return response
        return send(replace(command, data=data, le=le))

    return chain


def choose_form(whole: Send, short: Send, form: LengthForm) -> Send:
    """Return a piece that sends long commands in extended form, or by `short` if that is not taken.

    6700 to an extended command means that nothing was done, so the short form is tried, and from then on
    used if extended length never worked. So it is, once, where a reader fails that never passed one on: some
    say nothing of their limits and answer the first one with an error. A PIN is never sent a second time.
    """

    def choose(command: Command) -> Response:
        if command.fits_short:
            return whole(command)
        if form.extended is False:
            return short(command)
        try:
            response = whole(command)
        except (CommunicationError, ReaderLimitError):
            if command.secret or form.extended or form.reader in form.worked:
                raise
            response = short(command)
            form.extended = False
            return response
        form.worked.add(form.reader)
        if response.sw == StatusWord.WRONG_LENGTH and not command.secret:
            if form.extended is None:
                form.extended = False
            return short(command)
        if response.ok:
            form.extended = True
        return response

    return choose


def assemble(transmit: Transmit, form: LengthForm, observe: Observe | None = None) -> Send:
    """All pieces on top of `transmit`; what was learnt of extended length stays in `form`."""
    whole = collect_response(resend_with_length(exchange(transmit, observe)))
    return choose_form(whole, chain_command(whole), form)
