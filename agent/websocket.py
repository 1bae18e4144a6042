"""WebSocket sessions of pages and programs, whatever is spoken in them: their number, and their end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, WSCloseCode

HEARTBEAT_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 2.0


class WebSocketSession(ABC):
    """One WebSocket connection.

    Reading goes on while requests are at work, so that a page that leaves takes its questions along.

    Args:
        origin: the origin that its connections are counted by; None for a local program.
        message_bytes_max: the longest message that is read.
        decode_text: whether text arrives as `str` rather than UTF-8 `bytes`.
    """

    def __init__(self, origin: str | None, message_bytes_max: int, *, decode_text: bool = True) -> None:
        self.origin = origin
        self.socket = web.WebSocketResponse(
            max_msg_size=message_bytes_max,
            heartbeat=HEARTBEAT_SECONDS,
            timeout=_CLOSE_SECONDS,
            compress=False,
            decode_text=decode_text,
        )
        self.tasks: set[asyncio.Task[None]] = set()
        self._giving_way: asyncio.Task[bool] | None = None

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether no request of this session is at work."""

    @abstractmethod
    async def read(self) -> None:
        """Take messages until the socket is closed."""

    @abstractmethod
    async def work(self) -> None:
        """Send what there is to send, until cancelled."""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade `request` and speak with the other side until either ends it; then cancel all tasks.

        Raises:
            web.HTTPException: the request is no WebSocket upgrade (RFC 6455 §4.2.1).
        """
        await _prepare(self.socket, request)
        worker = asyncio.create_task(self.work())
        try:
            await self.read()
        finally:
            tasks = (*self.tasks, worker)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._giving_way is not None:
                await self._giving_way  # or the line is cut before its last words
            # Where the other side vanished, the heartbeat would keep all of the connection for as long as
            # it waits, half a megabyte with TLS.
            await self.socket.close()
        return self.socket

    async def close(self) -> None:
        """Tell the other side that this program stops."""
        await self.socket.close(code=WSCloseCode.GOING_AWAY, message=b"agent.stopped")

    def give_way(self) -> None:
        """Begin to end with "try again later": to make room for another session, or where nobody reads."""
        if self._giving_way is not None:
            return
        for task in self.tasks:
            task.cancel()
        closing = self.socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
        self._giving_way = asyncio.create_task(closing)


S = TypeVar("S", bound=WebSocketSession)


class WebSocketSessions(Generic[S]):
    """The open sessions of one site, oldest first."""

    def __init__(self) -> None:
        self._sessions: dict[S, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[S]:
        return iter(self._sessions)

    async def serve(self, session: S, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a session, counting it while it is open."""
        self._sessions[session] = None
        try:
            return await session.serve(request)
        finally:
            self._sessions.pop(session, None)

    async def close(self) -> None:
        """End every session, telling each that this program stops."""
        await asyncio.gather(*(session.close() for session in self._sessions))


async def turn_away(request: web.BaseRequest) -> web.WebSocketResponse:
    """Answer "try again later" in the one way that a page can read (RFC 6455 §7.4, code 1013).

    Raises:
        web.HTTPException: the request is no WebSocket upgrade (RFC 6455 §4.2.1).
    """
    socket = web.WebSocketResponse()
    await _prepare(socket, request)
    await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
    return socket


async def _prepare(socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
    """Upgrade `request`, of which aiohttp alone would take an older version, two keys or a body."""
    headers = request.headers
    if headers.getall(hdrs.SEC_WEBSOCKET_VERSION, ()) != ["13"]:
        raise web.HTTPUpgradeRequired(headers={hdrs.UPGRADE: "websocket", hdrs.SEC_WEBSOCKET_VERSION: "13"})
    keys = headers.getall(hdrs.SEC_WEBSOCKET_KEY, ())
    if request.version != HttpVersion11 or len(keys) != 1 or request.body_exists:
        raise web.HTTPBadRequest
    await socket.prepare(request)
