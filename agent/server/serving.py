"""Sockets to requests: the gate on each taken port, and what HTTP itself is allowed to be."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, Final, cast

from aiohttp import web

from agent.access.policy import Listener
from agent.server.gate import Gate
from agent.server.http import SECURITY_HEADERS, empty
from agent.server.peer import Peers
from agent.server.ports import TakenPort

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS: Final = 2.0
HEAD_SECONDS: Final = 10.0
"""How long a new connection may take to say what it wants."""
CONNECTIONS_MAX: Final = 256
"""On one port; browsers keep six for each site."""
_SETTINGS: Final[dict[str, Any]] = {
    "access_log": None,
    "auto_decompress": False,  # nothing that we serve needs it, and a few bytes can unpack to gigabytes
    "keepalive_timeout": 75.0,
    "lingering_time": 1.0,  # an answer given before the body was read must reach its reader
}


class _Protocol(web.RequestHandler):
    """HTTP that says nothing of itself when it is spoken to badly, and waits for nobody for long.

    Attributes:
        ours: whether the process at the other end is this user's; None until that was looked up.
        working: whether a request of it is being answered.
    """

    __slots__ = ("_head_timer", "ours", "working")

    def __init__(self, manager: _Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(manager, loop=loop, **_SETTINGS)
        self.ours: bool | None = None
        self.working = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; where there are too many, in place of the one that has been silent the longest."""
        super().connection_made(transport)
        abort = cast("asyncio.Transport", transport).abort
        manager = self._manager
        if manager is not None:
            others = cast("list[_Protocol]", manager.connections)
            if len(others) > CONNECTIONS_MAX and not any(other.give_way(self) for other in others):
                abort()
                return
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self.head_read()
        super().connection_lost(exc)

    def give_way(self, newcomer: _Protocol) -> bool:
        """End, if nothing is being answered here."""
        transport = self.transport
        if self is newcomer or self.working or transport is None or transport.is_closing():
            return False
        transport.abort()
        return True

    def head_read(self) -> None:
        """Stop the clock: the head of the first request is here."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    async def is_ours(self, peers: Peers) -> bool:
        """Return whether the process at the other end is this user's; looked up once for each connection."""
        if self.ours is None:
            transport = self.transport
            if transport is None:
                return False
            peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            self.ours = await peers.ours(peer, here)
        return self.ours

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a bare status line; only our own faults are worth a log entry."""
        if status >= 500:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        response = web.Response(status=status, headers=SECURITY_HEADERS)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, self._loop)


class _Socket(web.SockSite):
    """A listening socket on which a TLS handshake may take no longer than anything else that comes first."""

    async def start(self) -> None:
        """Accept connections."""
        await web.BaseSite.start(self)
        if self._runner.server is None:
            raise RuntimeError("the runner has not been set up")
        self._server = await asyncio.get_running_loop().create_server(
            self._runner.server,
            sock=self._sock,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=None if self._ssl_context is None else HEAD_SECONDS,
        )


async def serve(
    gate: Gate, taken: TakenPort, listener: Listener, context: ssl.SSLContext | None, peers: Peers
) -> web.ServerRunner:
    """Serve what is behind `gate` on every socket of `taken`, until the result's `cleanup` is awaited.

    Args:
        gate: what every request passes.
        taken: the port.
        listener: what policy knows of the port.
        context: for TLS; None in the clear.
        peers: tells whose process is at the other end.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        protocol = cast("_Protocol", request.protocol)
        protocol.head_read()
        protocol.working = True
        try:
            if not await protocol.is_ours(peers):
                return empty(403)
            return await gate.answer(request, listener)
        finally:
            protocol.working = False

    # A page that goes away takes its question back from the person's screen.
    server = _Server(answer, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    for each in taken.sockets:
        await _Socket(runner, each, ssl_context=context).start()
    return runner
