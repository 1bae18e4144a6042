"""Passes connections on to an agent in a Windows under Wine, which asks Windows whose they are.

    python -m tests.support.windows_relay PORT...

Run by the Windows Python of that Windows it listens at 127.0.0.2 and passes on to 127.0.0.1: what comes from
outside of Wine is then this user's. On the other side `by_relay` has `localhost` mean 127.0.0.2.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

RELAY: Final = "127.0.0.2"


@contextmanager
def by_relay() -> Iterator[None]:
    """In this process `localhost` is the relay."""
    usual = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        return usual(RELAY if host == "localhost" else host, *rest, **more)

    socket.getaddrinfo = resolve
    try:
        yield
    finally:
        socket.getaddrinfo = usual


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await source.read(65536):
            target.write(part)
            await target.drain()
    target.close()


async def _serve(port: int) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(pass_on, RELAY, port)
    await server.serve_forever()


async def _main() -> None:
    await asyncio.gather(*(_serve(int(port)) for port in sys.argv[1:]))


if __name__ == "__main__":
    asyncio.run(_main())
