"""From a listening socket to connections: whose process is it, is there room, and only then TLS or HTTP.

Loopback is open to every user of the machine. A socket of another user costs one question to the kernel here
and is closed; what it never gets is a TLS handshake, a task that waits, or a line in the log for each.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from agent import __version__
from agent.server.http import VERSION_HEADER
from agent.server.peer import Peers

log = logging.getLogger(__name__)

HANDSHAKES_MAX: Final = 64
"""Connections of this user, on all ports together, that have not finished their TLS handshake."""
LOOKUPS_MAX: Final = 32
"""Connections whose user is being looked up; the next ones wait in the kernel."""

_AT_ONCE: Final = 16
"""Connections taken before everything else has its turn."""
_PAUSE_SECONDS: Final = 0.1
_REFUSALS_MAX: Final = 8
_REFUSAL_SECONDS: Final = 1.0
_FULL: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_REFUSAL: Final = (
    f"HTTP/1.1 403 Forbidden\r\nServer: hca-agent\r\n{VERSION_HEADER}: {__version__}\r\n"
    "Content-Length: 0\r\nConnection: close\r\n\r\n"
).encode("ascii")


class Handshakes:
    """The TLS handshakes under way on all ports; the oldest ends where another needs the room."""

    def __init__(self, most: int = HANDSHAKES_MAX) -> None:
        self._most = most
        self._tasks: dict[asyncio.Task[None], None] = {}

    def begin(self, task: asyncio.Task[None]) -> None:
        """Count `task`, which is one until `end`."""
        while len(self._tasks) >= self._most:
            oldest = next(iter(self._tasks))
            del self._tasks[oldest]
            oldest.cancel()
        self._tasks[task] = None

    def end(self, task: asyncio.Task[None]) -> None:
        """Count it no longer."""
        self._tasks.pop(task, None)


class Acceptor:
    """One listening socket.

    Args:
        listener: bound, listening, not blocking; closed at the end.
        protocol: makes what speaks on a connection.
        context: for TLS; None in the clear.
        seconds: how long a handshake may take.
        peers: tells whose process is at the other end.
        handshakes: shared by all ports.
        make_room: ends a connection that is idle; False where there is none. Called when the system has no
            descriptor left.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        *,
        seconds: float,
        peers: Peers,
        handshakes: Handshakes,
        make_room: Callable[[], bool],
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._seconds = seconds
        self._peers = peers
        self._handshakes = handshakes
        self._make_room = make_room
        self._lookups = asyncio.Semaphore(LOOKUPS_MAX)
        self._refusals = asyncio.Semaphore(_REFUSALS_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept no more, and end the handshakes; connections go on."""
        tasks = (self._accepting, *self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_AT_ONCE):
                await self._lookups.acquire()
                try:
                    connection, peer = await loop.sock_accept(self._listener)
                except Exception as error:  # whatever it was, the port must not fall deaf
                    self._lookups.release()
                    await self._failed(error)
                    continue
                except BaseException:
                    self._lookups.release()
                    raise
                task = loop.create_task(self._connect(connection, peer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            # A connection that is there already is given without a pause.
            await asyncio.sleep(0)

    async def _failed(self, error: Exception) -> None:
        """Survive what one connection, or the want of descriptors, does to accepting."""
        if isinstance(error, OSError) and error.errno not in _FULL:
            # The other side may have left before it was let in (accept(2)).
            await asyncio.sleep(0)
            return
        log.warning("no connection can be accepted: %r", error)
        self._make_room()
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _connect(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        """Let one connection in, or close it."""
        begun = False
        try:
            try:
                ours = await self._peers.ours(peer, connection.getsockname())
            finally:
                self._lookups.release()
            if ours:
                with self._handshake():
                    if await self._has_begun(connection):
                        begun = True  # from here on asyncio closes it, whatever happens
                        await asyncio.get_running_loop().connect_accepted_socket(
                            self._protocol,
                            connection,
                            ssl=self._context,
                            ssl_handshake_timeout=None if self._context is None else self._seconds,
                        )
            elif self._context is None and not self._refusals.locked():
                await self._refuse(connection)
        except (OSError, TimeoutError):
            pass  # the other side has left, or never spoke TLS
        finally:
            if not begun:
                connection.close()

    async def _refuse(self, connection: socket.socket) -> None:
        """Say 403 and wait a moment: closed at once, it would be lost to a reset (RFC 9112 §9.6)."""
        async with self._refusals, asyncio.timeout(_REFUSAL_SECONDS):
            connection.send(_REFUSAL)
            connection.shutdown(socket.SHUT_WR)
            while await asyncio.get_running_loop().sock_recv(connection, 65536):
                pass

    @contextmanager
    def _handshake(self) -> Iterator[None]:
        """Run the body as one of the handshakes under way, if this port speaks TLS."""
        task = asyncio.current_task()
        if self._context is None or task is None:
            yield
            return
        self._handshakes.begin(task)
        try:
            yield
        finally:
            self._handshakes.end(task)

    async def _has_begun(self, connection: socket.socket) -> bool:
        """Wait until the other side of a TLS connection speaks; False where it ends instead.

        What TLS needs takes half a megabyte: nothing of it for those who never speak.
        """
        if self._context is None:
            return True
        async with asyncio.timeout(self._seconds):
            return await _speaks(connection)


async def _speaks(connection: socket.socket) -> bool:
    """Wait for the first byte and leave it where it is; False when the other side ends instead."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(connection, readable.set)
    except NotImplementedError:
        return True  # the loop of Windows cannot wait without reading
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return bool(connection.recv(1, socket.MSG_PEEK))
