"""What matters of WebSocket framing (RFC 6455), as bytes; Autobahn's whole suite is `make autobahn`."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.server.websocket_frames import StrictFrames
from tests.support.agent import PORTAL, RunningAgent
from tests.support.nhi_component import component_agent
from tests.support.raw_http import any_certificate
from tests.support.raw_websocket import opening

MASK: Final = b"\x5a\xc3\x0f\x81"
HELLO: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "agent.hello", "params": {}}).encode()
COMMAND: Final = b"GetVersion"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OVER: Final = 1000
BROKEN: Final = 1002
NO_TEXT: Final = 1007
TOO_LARGE: Final = 1009


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    more: bool = False,
    reserved: int = 0,
    masked: bool = True,
    width: int | None = None,
    length: int | None = None,
) -> bytes:
    """One frame of a browser; `width` says its length in so many bytes, `length` is what it claims."""
    claimed = len(payload) if length is None else length
    width = (0 if claimed < 126 else 2 if claimed < 1 << 16 else 8) if width is None else width
    short = {0: claimed, 2: 126, 8: 127}[width]
    head = bytes((opcode | reserved << 4 | (not more) << 7, short | masked << 7))
    head += claimed.to_bytes(width) if width else b""
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))


def close(code: int, reason: bytes = b"") -> bytes:
    """The frame that ends it, with a code."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


def fragments(payload: bytes, *cuts: int, between: bytes = b"") -> bytes:
    """A text cut at these places, with frames between."""
    ends = (*cuts, len(payload))
    parts = [payload[begin:end] for begin, end in zip((0, *cuts), ends, strict=True)]
    last = len(parts) - 1
    return between.join(
        frame(CONTINUATION if place else TEXT, part, more=place < last) for place, part in enumerate(parts)
    )


END: Final = close(OVER)

Row = tuple[bytes, int | None, tuple[bytes, ...], int]
"""What is sent; how many messages are answered, None of a race; the payloads of pongs; the end's code.

Where that is 1000, the row, or else the client once it has all of this, ends the connection.
"""


def rows(message: bytes) -> dict[str, Row]:
    """All cases, with a message that the door answers."""
    deflated = zlib.compress(message, wbits=-15)
    found: dict[str, Row] = {
        "a message": (frame(TEXT, message), 1, (), OVER),
        "two in one piece": (frame(TEXT, message) * 2, 2, (), OVER),
        "fragments": (fragments(message, 1, 4), 1, (), OVER),
        "fragments of one byte": (fragments(message, *range(1, len(message))), 1, (), OVER),
        "empty fragments": (fragments(message, 0, 0, 4, 4, len(message)), 1, (), OVER),
        "a ping within fragments": (
            fragments(message, 1, 4, between=frame(PING, b"x")), 1, (b"x", b"x"), OVER),
        "a pong within fragments": (fragments(message, 2, between=frame(PONG, b"x")), 1, (), OVER),
        "a close within fragments": (frame(TEXT, message, more=True), 0, (), OVER),
        "an empty ping": (frame(PING), 0, (b"",), OVER),
        "the longest ping": (frame(PING, b"\xfe" * 125), 0, (b"\xfe" * 125,), OVER),
        "a pong that nobody asked for": (frame(PONG, b"x") + frame(TEXT, message), 1, (), OVER),
        "too long a ping": (frame(PING, b"x" * 126), 0, (), BROKEN),
        "too long a close": (close(1000, b"x" * 124), 0, (), BROKEN),
        "a ping in parts": (frame(PING, b"x", more=True), 0, (), BROKEN),
        "a close in parts": (frame(CLOSE, b"\x03\xe8", more=True), 0, (), BROKEN),
        "a continuation of nothing": (frame(CONTINUATION, message), 0, (), BROKEN),
        "an open continuation of nothing": (frame(CONTINUATION, message, more=True), 0, (), BROKEN),
        "a continuation of what is over": (
            fragments(message, 2) + frame(CONTINUATION, b"x"), None, (), BROKEN),
        "a message within another": (frame(TEXT, b"x", more=True) + frame(TEXT, message), 0, (), BROKEN),
        "a message within one that is empty so far": (
            frame(TEXT, b"", more=True) + frame(TEXT, message), 0, (), BROKEN),
        "octets within a text": (frame(TEXT, b"", more=True) + frame(BINARY, b"x"), 0, (), BROKEN),
        "a message that begins again": (
            frame(TEXT, b"", more=True) + frame(TEXT, message, more=True), 0, (), BROKEN),
        "compressed, which was not agreed": (frame(TEXT, deflated, reserved=4), 0, (), BROKEN),
        "a continuation with a reserved bit": (
            frame(TEXT, b"x", more=True) + frame(CONTINUATION, b"x", reserved=4), 0, (), BROKEN),
        "a length said in two bytes": (frame(TEXT, message, width=2), 0, (), BROKEN),
        "a length said in eight bytes": (frame(TEXT, message, width=8), 0, (), BROKEN),
        "a negative length": (frame(TEXT, b"", width=8, length=1 << 63), 0, (), BROKEN),
        "more than is read": (frame(TEXT, b"", width=8, length=1 << 40), 0, (), TOO_LARGE),
        "more than is read, in parts": (
            frame(TEXT, b"x", more=True) + frame(CONTINUATION, width=8, length=1 << 40), 0, (), TOO_LARGE),
        "no text": (frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"), 0, (), NO_TEXT),
        "overlong text": (frame(TEXT, b"\xc0\xaf"), 0, (), NO_TEXT),
        "text beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 0, (), NO_TEXT),
        "text cut in a letter": (frame(TEXT, "測".encode()[:2]), 0, (), NO_TEXT),
        "no text in parts": (fragments("測".encode() + b"\xff", 1, 2), 0, (), NO_TEXT),
        "a close without a code": (frame(CLOSE), 0, (), OVER),
        "half a code": (frame(CLOSE, b"\x03"), 0, (), BROKEN),
        "the longest reason": (close(1000, "測".encode() * 41), 0, (), OVER),
        "a reason that is no text": (close(1000, b"\xff"), 0, (), NO_TEXT),
        "a message behind the close": (END + frame(TEXT, message), 0, (), OVER),
        "a ping behind the close": (END + frame(PING), 0, (), OVER),
    }  # fmt: skip
    for opcode in (3, 7, 11, 15):
        found[f"opcode {opcode}"] = (frame(opcode, b"x"), 0, (), BROKEN)
    for bit in (1, 2, 4, 7):
        for kind in (TEXT, PING, CLOSE):
            found[f"opcode {kind} with reserved bits {bit}"] = (frame(kind, b"", reserved=bit), 0, (), BROKEN)
    for kind in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        found[f"opcode {kind} without a mask"] = (frame(kind, b"", masked=False), 0, (), BROKEN)
    for code in (1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999):
        found[f"code {code}"] = (close(code), 0, (), OVER)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999):
        found[f"code {code}, which nobody sends"] = (close(code), 0, (), BROKEN)
    return found


class Door:
    """Where WebSockets are opened."""

    def __init__(self, agent: RunningAgent, *, nhi: bool) -> None:
        [component] = agent.daemon.nhi_ports
        self.port = component if nhi else agent.daemon.native_port
        self.path = "/echo" if nhi else "/v1"
        self.message = COMMAND if nhi else HELLO
        self.tls: ssl.SSLContext | None = None
        if nhi:
            self.tls = any_certificate()

    async def wrong(self, row: Row, *, at_once: bool) -> str | None:
        """Send it, with the opening in one piece or after its answer; what is wrong with what came back."""
        octets, expected, pongs, code = row
        async with self._connected() as (reader, writer):
            first = opening(self.port, self.path, PORTAL)
            writer.write(first + octets if at_once else first)
            status = await reader.readuntil(b"\r\n\r\n")
            if not status.startswith(b"HTTP/1.1 101 "):
                return f"refused: {status!r}"
            if not at_once:
                writer.write(octets)
            texts = 0
            came: list[bytes] = []
            while True:
                if code == OVER and (texts, tuple(came)) == (expected, pongs):
                    writer.write(END)
                opcode, payload = await _frame(reader)
                texts += opcode == TEXT
                came += [payload] if opcode == PONG else []
                if opcode == CLOSE:
                    break
            writer.write(END)
            behind = await _rest(reader)
        told = int.from_bytes(payload[:2])
        if expected in (None, texts) and (tuple(came), told, behind) == (pongs, code, b""):
            return None
        return f"{texts} answered, {came}, {told}, {behind!r}; not {row[1:]}"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, server_hostname="localhost" if self.tls else None
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    assert first & 0x80 and not second & 0x80, "a server's frame is whole, and not masked (§5.1)"
    length = second
    if second > 125:
        length = int.from_bytes(await reader.readexactly(2 if second == 126 else 8))
    return first & 0x7F, await reader.readexactly(length)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("nhi", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["native", "nhi"])
async def test_each_case_is_answered_as_the_standard_has_it(
    tmp_path: Path, nhi: bool, record_property: Callable[[str, object], None]
) -> None:
    async with component_agent(tmp_path, ("nhi",)) as agent:
        door, few = Door(agent, nhi=nhi), asyncio.Semaphore(4)  # an origin has few places

        async def wrong(name: str, row: Row, at_once: bool) -> str | None:
            async with few:
                try:
                    async with asyncio.timeout(30):
                        found = await door.wrong(row, at_once=at_once)
                except (TimeoutError, asyncio.IncompleteReadError) as error:
                    found = repr(error)
            return found and f"{name}, {'at once' if at_once else 'later'}: {found}"

        cells = [(*each, at_once) for each in rows(door.message).items() for at_once in (True, False)]
        found = list(filter(None, await asyncio.gather(*(wrong(*cell) for cell in cells))))
        record_property("cells of the table of WebSocket frames", len(cells))
        assert not found, "\n".join(found)
        assert agent.interaction.questions == []


class Recorder:
    """A reader that keeps what it is given."""

    def __init__(self) -> None:
        self.octets = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.octets += data
        return False, b""

    def feed_eof(self) -> None:
        raise AssertionError


ALLOWED: Final = (
    frame(TEXT, b"x" * 300),
    frame(BINARY, b"x" * 70_000),
    fragments(b"measured", 0, 3),
    frame(PING, b"\x01"),
    frame(CLOSE, b"\x0f"),
    close(1000),
    close(4000, b"reason"),
)
FORBIDDEN: Final = (
    frame(TEXT, masked=False),
    frame(TEXT, b"", more=True) + frame(BINARY),
    frame(TEXT, b"x", width=2),
    close(1006),
)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(ALLOWED), max_size=4),
    st.sampled_from(FORBIDDEN),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_what_is_allowed_goes_on_unchanged_in_whatever_pieces_it_comes_and_nothing_else_does(
    allowed: list[bytes], forbidden: bytes, sizes: list[int]
) -> None:
    octets = b"".join(allowed)
    recorder = Recorder()
    strict = StrictFrames(recorder)

    def feed(data: bytes) -> None:
        begin = 0
        for size in itertools.cycle(sizes):
            if begin >= len(data):
                break
            end = begin + size * (1 + len(data) // 200)
            strict.feed_data(data[begin:end])
            begin = end

    feed(octets)
    assert recorder.octets == octets
    feed(forbidden + frame(TEXT, b"behind"))
    passed = recorder.octets.removeprefix(octets)
    assert passed.endswith(bytes((0x8F, 0x80, 0, 0, 0, 0)))
    assert len(passed) <= 12
