"""WebSocket frames as bytes (RFC 6455 §5.2): what no well-behaved client would send."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support import raw_http
from tests.support.waiting import LIMIT

TEXT = 1
CONTINUATION = 0
_CLOSE = 8


class RawWebSocket:
    """An open connection.

    Args:
        reader: has what the other side sends.
        writer: takes frames.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, opcode: int, payload: bytes, *, last: bool = True) -> None:
        """Write one frame; its mask is zero, which is one like any other."""
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._writer.write(bytes((last << 7 | opcode,)) + length + bytes(4) + payload)

    async def message(self) -> bytes:
        """The next message that is not a close."""
        opcode, payload = await self._frame()
        assert opcode != _CLOSE, payload
        return payload

    async def close_code(self) -> int:
        """Read until the other side closes the connection, and return its code."""
        opcode, payload = await self._frame()
        while opcode != _CLOSE:
            opcode, payload = await self._frame()
        return int.from_bytes(payload[:2], "big")

    async def _frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(LIMIT):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            return first & 0xF, await self._reader.readexactly(length)


def opening(port: int, path: str, origin: str) -> bytes:
    """The request that a page of `origin` begins with (RFC 6455 §4.1)."""
    return raw_http.request(
        "GET",
        path,
        {
            "Host": f"localhost:{port}",
            "Origin": origin,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode("ascii"),
            "Sec-WebSocket-Version": "13",
        }.items(),
    )


@asynccontextmanager
async def raw_websocket(
    port: int, path: str, origin: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawWebSocket]:
    """A connection as a page of `origin` opens it."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        writer.write(opening(port, path, origin))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield RawWebSocket(reader, writer)
    finally:
        writer.transport.abort()
