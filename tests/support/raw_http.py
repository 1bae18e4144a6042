"""HTTP as bytes: what no well-behaved client would send."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.waiting import LIMIT

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back before the connection ended.

    Attributes:
        status: 0 where the connection just ended.
        headers: names in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def request(method: str, path: str, headers: Headers, body: bytes = b"") -> bytes:
    """The bytes of a request; nothing is added and nothing checked."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def any_certificate() -> ssl.SSLContext:
    """A client's TLS that takes whatever certificate it is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def send(
    port: int, octets: bytes, *, tls: ssl.SSLContext | None = None, seconds: float = LIMIT
) -> Answer:
    """Send `octets` to the port and read until the other side ends the connection or has answered in full."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
        )
        try:
            writer.write(octets)
            return await _answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            return Answer(0, {}, b"")
        finally:
            writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    status = int(head[0].split()[1])
    length = int(headers.get("content-length", "0"))
    return Answer(status, headers, await reader.readexactly(length))
