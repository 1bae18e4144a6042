"""One WebSocket connection: its requests side by side, what it is told, and its end."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from agent.errors import AgentError, error_id
from agent.native import jsonrpc, messages, methods
from agent.native.backend import Backend
from agent.native.guest import Guest
from agent.origins.rate_limits import Buckets

log = logging.getLogger(__name__)

FRAME_BYTES_MAX: Final = messages.DOCUMENT_BYTES_MAX * 4 // 3 + 128 * 1024
"""A document in base64, and everything that stands beside it."""

REQUESTS_MAX: Final = 8
"""Requests of one connection at work at the same time."""

LOAD_BYTES_MAX: Final = 3 * FRAME_BYTES_MAX
"""Requests of all connections at work at the same time; pages send before anybody allowed anything."""

SMALL_FRAME_BYTES_MAX: Final = jsonrpc.SMALL_BYTES_MAX + 128 * 1024
"""Everything but a document."""

HEARTBEAT_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 2.0
_OUTBOX_MAX: Final = 64


@dataclass(slots=True)
class Load:
    """The bytes of all requests at work, counted by the connections that share it."""

    octets: int = 0


class Connection:
    """A page or a local program.

    Closing it cancels what it asked for. A card in the middle of an exchange is not torn from it: the
    reader's own thread brings its transaction to its end.

    Args:
        backend: what its methods work with.
        origin: the page's origin; None for a local program.
        load: shared by all connections.
        rate: how often one origin may ask.
        own_page: this program served the page itself.
        large: whether it may send documents of any size; what is half received is kept in memory.

    Attributes:
        caller: the page, or a local program with the per-user token.
        large: as given.
    """

    def __init__(
        self,
        backend: Backend,
        origin: str | None,
        load: Load,
        rate: Buckets,
        *,
        own_page: bool = False,
        large: bool = True,
    ) -> None:
        self.large = large
        session = secrets.token_urlsafe(12)
        self.caller = (
            Guest(None, session, page=origin or "", say=self._say)
            if own_page
            else Guest(origin, session, say=self._say)
        )
        self._backend = backend
        self._load = load
        self._rate = rate
        self._socket = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES_MAX if large else SMALL_FRAME_BYTES_MAX,
            heartbeat=HEARTBEAT_SECONDS,
            timeout=_CLOSE_SECONDS,
            compress=False,
            decode_text=False,
        )
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(_OUTBOX_MAX)
        self._requests: set[asyncio.Task[None]] = set()
        self._giving_way: asyncio.Task[bool] | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Speak with the other side until either ends it.

        Raises:
            web.HTTPException: the request is no WebSocket upgrade (RFC 6455 §4.2.1).
        """
        await self._socket.prepare(request)
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            work = (*self._requests, writer)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if self._giving_way is not None:
                await self._giving_way  # or the line is cut before its last words
        return self._socket

    @property
    def idle(self) -> bool:
        """Whether nothing that it asked for is at work."""
        return not self._requests

    async def close(self) -> None:
        """Say that this program stops."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"agent.stopped")

    def give_way(self) -> None:
        """End with "try again later": another needs the place."""
        closing = self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
        self._giving_way = asyncio.create_task(closing)

    def tell(self, frames: Iterable[bytes]) -> None:
        """Send notifications; a side that does not read loses them, and can ask instead."""
        with suppress(asyncio.QueueFull):
            for frame in frames:
                self._outbox.put_nowait(frame)

    async def _say(self, frame: bytes) -> None:
        await self._outbox.put(frame)

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._take(message.data)
            elif message.type is WSMsgType.BINARY:
                await self._outbox.put(jsonrpc.error_response(None, AgentError("request.binary")))

    async def _take(self, frame: bytes) -> None:
        try:
            request = jsonrpc.read(frame)
        except AgentError as refused:
            await self._outbox.put(jsonrpc.error_response(None, refused))
            return
        origin = self.caller.origin
        if origin is not None and (wait := self._rate.take(origin)):
            error = AgentError("request.rate", retry_after=math.ceil(wait))
            await self._outbox.put(jsonrpc.error_response(request.id, error))
            return
        size = len(frame)
        if len(self._requests) >= REQUESTS_MAX or self._load.octets + size > LOAD_BYTES_MAX:
            await self._outbox.put(jsonrpc.error_response(request.id, AgentError("busy")))
            return
        task = asyncio.create_task(self._answer(request, size))
        self._requests.add(task)
        self._load.octets += size

        def done(_task: asyncio.Task[None]) -> None:
            self._requests.discard(task)
            self._load.octets -= size

        task.add_done_callback(done)

    async def _answer(self, request: jsonrpc.Request, size: int) -> None:
        try:
            result = await methods.answer(self._backend, self.caller, request, size)
            reply = jsonrpc.response(request.id, result)
        except Exception as error:
            if error_id(error) == "internal":
                log.exception("%s failed", request.method)
            reply = jsonrpc.error_response(request.id, error)
        await self._outbox.put(reply)

    async def _write(self) -> None:
        while True:
            frame = await self._outbox.get()
            # Once the other side is gone, what is left is thrown away, so that nobody waits for room.
            with suppress(ConnectionError):
                await self._socket.send_str(frame.decode("utf-8"))
