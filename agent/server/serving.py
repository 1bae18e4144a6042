"""Sockets to requests: the gate on each taken port, and what HTTP itself is allowed to be."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11

from agent.access.policy import Listener
from agent.server.accepting import Acceptor, Handshakes
from agent.server.gate import Gate
from agent.server.http import SECURITY_HEADERS, empty, only
from agent.server.peer import Peers
from agent.server.ports import TakenPort
from agent.server.websocket_frames import StrictFrames

if TYPE_CHECKING:
    from aiohttp.http import WebSocketReader

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS: Final = 2.0
HEAD_SECONDS: Final = 10.0
"""How long a new connection may take to say what it wants."""
CONNECTIONS_MAX: Final = 256
"""On one port; browsers keep six for each site."""
_SHARES: Final = 4
_RESERVED_DESCRIPTORS: Final = 96
"""For everything but connections of pages: readers, windows, files, handshakes."""
_SETTINGS: Final[dict[str, Any]] = {
    "access_log": None,
    "auto_decompress": False,  # nothing that we serve needs it, and a few bytes can unpack to gigabytes
    "keepalive_timeout": 75.0,
    "lingering_time": 1.0,  # an answer given before the body was read must reach its reader
}


def _descriptors() -> int:
    """Return how many descriptors connections may take."""
    if sys.platform == "win32":
        return CONNECTIONS_MAX * _SHARES
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _RESERVED_DESCRIPTORS, _SHARES * 8)


class _Protocol(web.RequestHandler):
    """HTTP that says nothing of itself when it is spoken to badly, and waits for nobody for long.

    Attributes:
        known: whether its last request came from an allowed origin or the person's own program.
        working: whether a request of it is being answered.
    """

    __slots__ = ("_head_timer", "known", "working")

    def __init__(self, manager: _Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(manager, loop=loop, **_SETTINGS)
        self.known = False
        self.working = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; where there are too many, in place of the one that has been silent the longest."""
        super().connection_made(transport)
        abort = cast("asyncio.Transport", transport).abort
        manager = self._manager
        if manager is not None:
            server = cast("_Server", manager)
            if len(server.connections) > min(CONNECTIONS_MAX, server.most) and not server.make_room(self):
                abort()
                return
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self.head_read()
        super().connection_lost(exc)

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        """Read frames from here on."""
        super().set_parser(cast("WebSocketReader", StrictFrames(parser)), data_received_cb)

    def give_way(self, newcomer: _Protocol | None) -> bool:
        """End, if nothing is being answered here."""
        transport = self.transport
        if self is newcomer or self.working or transport is None or transport.is_closing():
            return False
        transport.abort()
        return True

    @property
    def _left(self) -> bool:
        """Whether the other side is gone, and what cannot be written to it is nobody's fault."""
        return self.transport is None or self.transport.is_closing()

    def head_read(self) -> None:
        """Stop the clock: the head of the first request is here."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a bare status line; only our own faults are worth a log entry."""
        if status >= 500 and not (isinstance(exc, ConnectionError) and self._left):
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        response = web.Response(status=status, headers=SECURITY_HEADERS)
        response.force_close()
        return response


def _fault(request: web.BaseRequest) -> int | None:
    """Return the status for a request whose head aiohttp takes and RFC 9112 does not, else None."""
    if request.version not in (HttpVersion10, HttpVersion11):
        return 505
    # Its own path and nothing else: a target that names a host would have to be judged by that one (§3.2.2).
    if not request.raw_path.startswith("/") or "#" in request.raw_path:
        return 400
    if hdrs.TRANSFER_ENCODING not in request.headers:
        return None
    coding = only(request, hdrs.TRANSFER_ENCODING) or ""
    if coding.lower() == "chunked" and request.version == HttpVersion11:
        return None
    return 501 if request.version == HttpVersion11 else 400  # §6.1


def _is_last(request: web.BaseRequest) -> bool:
    """Whether what comes behind a request on its connection must not be believed.

    aiohttp puts the trailer of a body in chunks into the head of the next request, and drops what came in one
    piece with an upgrade that it does not know.
    """
    return hdrs.TRANSFER_ENCODING in request.headers or hdrs.UPGRADE in request.headers


class _Server(web.Server):
    """What makes the protocols of one port.

    Attributes:
        most: how many connections this process has descriptors for, as one of several ports.
    """

    most = _descriptors() // _SHARES

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, self._loop)

    def make_room(self, newcomer: _Protocol | None = None) -> bool:
        """End an idle connection, the oldest and a stranger's first; False where all are at work."""
        others = sorted(cast("list[_Protocol]", self.connections), key=lambda other: other.known)
        return any(other.give_way(newcomer) for other in others)


class _Socket(web.SockSite):
    """A listening socket whose connections are looked at before anything is spent on them."""

    def __init__(
        self,
        runner: web.ServerRunner,
        server: _Server,
        listener: socket.socket,
        context: ssl.SSLContext | None,
        *,
        peers: Peers,
        handshakes: Handshakes,
    ) -> None:
        super().__init__(runner, listener, ssl_context=context)
        self._own_server = server
        self._peers = peers
        self._handshakes = handshakes
        self._acceptor: Acceptor | None = None

    async def start(self) -> None:
        """Accept connections."""
        await web.BaseSite.start(self)
        self._acceptor = Acceptor(
            self._sock,
            self._own_server,
            self._ssl_context,
            seconds=HEAD_SECONDS,
            peers=self._peers,
            handshakes=self._handshakes,
            make_room=self._own_server.make_room,
        )

    async def stop(self) -> None:
        """Accept no more."""
        if self._acceptor is not None:
            await self._acceptor.close()
        await super().stop()


async def serve(
    gate: Gate,
    taken: TakenPort,
    listener: Listener,
    context: ssl.SSLContext | None,
    *,
    peers: Peers,
    handshakes: Handshakes,
) -> web.ServerRunner:
    """Serve what is behind `gate` on every socket of `taken`, until the result's `cleanup` is awaited.

    Args:
        gate: what every request passes.
        taken: the port.
        listener: what policy knows of the port.
        context: for TLS; None in the clear.
        peers: tells whose process is at the other end.
        handshakes: of all ports.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        protocol = cast("_Protocol", request.protocol)
        protocol.head_read()
        if (fault := _fault(request)) is not None:
            return empty(fault)
        last = _is_last(request)
        protocol.known = gate.knows(request)
        protocol.working = True
        try:
            response = await gate.answer(request, listener)
        finally:
            protocol.working = False
        if last:
            response.force_close()
        return response

    # A page that goes away takes its question back from the person's screen.
    server = _Server(answer, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    for each in taken.sockets:
        await _Socket(runner, server, each, context, peers=peers, handshakes=handshakes).start()
    return runner
