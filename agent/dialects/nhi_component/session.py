"""One WebSocket session of a page: its commands one after the other, in the order they came."""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import Final

from aiohttp.http import WSCloseCode, WSMessage, WSMsgType

from agent.access.rates import OriginRates
from agent.dialects.nhi_component.dialect import NhiDialect
from agent.dialects.nhi_component.frames import FRAME_BYTES_MAX, CommandFrame
from agent.errors import AgentError, ErrorId
from agent.operations import Caller
from agent.websocket import WebSocketSession

WAITING_MAX: Final = 16
"""Commands of one session that wait for their turn; pages send a handful."""

_EXIT: Final = "Exit"


class NhiSession(WebSocketSession):
    """A page or a local program.

    Args:
        commands: what answers.
        origin: the page's origin; None for a local program.
        rate: how often one origin may ask.
    """

    def __init__(self, commands: NhiDialect, origin: str | None, rate: OriginRates) -> None:
        super().__init__(origin, FRAME_BYTES_MAX)
        self._caller = Caller(origin, secrets.token_urlsafe(12))
        self._commands = commands
        self._rate = rate
        self._waiting: asyncio.Queue[CommandFrame | Exception] = asyncio.Queue(WAITING_MAX)
        self._working = False

    @property
    def idle(self) -> bool:
        """Whether no command of this session is at work or waits."""
        return not self._working and self._waiting.empty()

    async def read(self) -> None:
        """Queue the command of each message; end where too many wait."""
        async for message in self.socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            command = self._command(message)
            if isinstance(command, AgentError) and command.error_id == ErrorId.REQUEST_RATE:
                await self._rate.hold_up(self.origin)  # and nothing more is read meanwhile
            try:
                self._waiting.put_nowait(command)
            except asyncio.QueueFull:
                await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many")
                return

    async def work(self) -> None:
        """Answer the queued commands until the page says Exit or leaves."""
        while True:
            command = await self._waiting.get()
            self._working = True
            try:
                if isinstance(command, Exception):
                    text = self._commands.refuse(self._caller, "", command)
                elif command.name == _EXIT:
                    # Nobody else's connection ends, and the program least of all.
                    await self.socket.close()
                    return
                else:
                    text = await self._commands.answer(self._caller, command)
                await self.socket.send_str(text)
            except ConnectionError:
                return
            finally:
                self._working = False

    def _command(self, message: WSMessage) -> CommandFrame | Exception:
        """Return what a frame asks for, or why it is not even looked at."""
        if self.origin is not None and (wait := self._rate.take(self.origin)):
            return AgentError(ErrorId.REQUEST_RATE, retry_after=math.ceil(wait))
        if message.type is not WSMsgType.TEXT:
            return AgentError(ErrorId.REQUEST_BINARY)
        return CommandFrame.read(message.data)
