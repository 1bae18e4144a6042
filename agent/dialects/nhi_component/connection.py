"""One WebSocket of a page: its commands one after the other, in the order they came."""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from agent.dialects.nhi_component.component import NhiComponent
from agent.dialects.nhi_component.frames import FRAME_BYTES_MAX, Command
from agent.errors import AgentError
from agent.operations import Caller
from agent.origins.rate_limits import Buckets

WAITING_MAX: Final = 16
"""Commands of one connection that wait for their turn; pages send a handful."""

HEARTBEAT_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 2.0
_EXIT: Final = "Exit"


class Connection:
    """A page or a local program.

    Args:
        component: the commands.
        origin: the page's origin; None for a local program.
        rate: how often one origin may ask.

    Attributes:
        caller: who asks.
    """

    def __init__(self, component: NhiComponent, origin: str | None, rate: Buckets) -> None:
        self.caller = Caller(origin, secrets.token_urlsafe(12))
        self._component = component
        self._rate = rate
        self._waiting: asyncio.Queue[Command | Exception] = asyncio.Queue(WAITING_MAX)
        self._working = False
        self._giving_way: asyncio.Task[bool] | None = None
        self._socket = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES_MAX, heartbeat=HEARTBEAT_SECONDS, timeout=_CLOSE_SECONDS, compress=False
        )

    @property
    def idle(self) -> bool:
        """Whether nothing that it asked for is at work."""
        return not self._working and self._waiting.empty()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Speak with the other side until either ends it.

        Raises:
            web.HTTPException: the request is no WebSocket upgrade (RFC 6455 §4.2.1).
        """
        await self._socket.prepare(request)
        # Reading goes on while a command is at work, so that a page that goes away takes its question along.
        work = asyncio.create_task(self._work())
        try:
            await self._read()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if self._giving_way is not None:
                await self._giving_way
        return self._socket

    async def close(self) -> None:
        """Say that this program stops."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"agent.stopped")

    def give_way(self) -> None:
        """End with "try again later": another needs the place."""
        closing = self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
        self._giving_way = asyncio.create_task(closing)

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            try:
                self._waiting.put_nowait(self._command(message))
            except asyncio.QueueFull:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many")
                return

    def _command(self, message: WSMessage) -> Command | Exception:
        """What a frame asks for, or why it is not even looked at."""
        origin = self.caller.origin
        if origin is not None and (wait := self._rate.take(origin)):
            return AgentError("request.rate", retry_after=math.ceil(wait))
        if message.type is not WSMsgType.TEXT:
            return AgentError("request.binary")
        return Command.read(message.data)

    async def _work(self) -> None:
        while True:
            command = await self._waiting.get()
            self._working = True
            try:
                if isinstance(command, Exception):
                    text = self._component.refuse(self.caller, "", command)
                elif command.name == _EXIT:
                    # This page has had enough; nobody else's connection ends, and the program least of all.
                    await self._socket.close()
                    return
                else:
                    text = await self._component.answer(self.caller, command)
                await self._socket.send_str(text)
            except ConnectionError:
                return
            finally:
                self._working = False
