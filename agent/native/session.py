"""One session of the native API: its requests run side by side, its answers go out one after another."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from aiohttp.http import WSCloseCode, WSMsgType

from agent.access.rates import OriginRates
from agent.errors import AgentError, ErrorId, error_id
from agent.native import jsonrpc, methods
from agent.native.context import NativeCaller, NativeServices
from agent.native.limits import FRAME_BYTES_MAX
from agent.places import Places
from agent.websocket import WebSocketSession

log = logging.getLogger(__name__)

REQUESTS_MAX: Final = 8
"""Requests of one session at work at the same time."""

SMALL_FRAME_BYTES_MAX: Final = jsonrpc.SMALL_BYTES_MAX + 128 * 1024
"""Everything but a document."""

_OUTBOX_MAX: Final = 64
_LAST_WORDS_SECONDS: Final = 1.0


class NativeSession(WebSocketSession):
    """A page or a local program.

    Its end cancels its requests. A card in the middle of an exchange is not torn from it: the reader's own
    thread brings its transaction to its end.

    Args:
        services: what its methods use.
        origin: the page's origin; None for a local program.
        load: the bytes of all requests at work.
        rate: how often one origin may ask.
        own_page: whether this program served the page itself.
        large: whether it may send documents of any size; what is half received is kept in memory.
    """

    def __init__(
        self,
        services: NativeServices,
        origin: str | None,
        load: Places,
        rate: OriginRates,
        *,
        own_page: bool = False,
        large: bool = True,
    ) -> None:
        counted = None if own_page else origin
        super().__init__(counted, FRAME_BYTES_MAX if large else SMALL_FRAME_BYTES_MAX, decode_text=False)
        self.large = large
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(_OUTBOX_MAX)
        page = origin if own_page and origin else ""
        self.caller = NativeCaller(
            counted, secrets.token_urlsafe(12), page=page, send=self._outbox.put, notify=self.notify
        )
        self._services = services
        self._load = load
        self._rate = rate

    @property
    def idle(self) -> bool:
        """Whether no request of this session is at work."""
        return not self.tasks

    def notify(self, frames: Iterable[bytes]) -> None:
        """Send notifications; a side that does not read is left, rather than with news of long ago."""
        try:
            for frame in frames:
                self._outbox.put_nowait(frame)
        except asyncio.QueueFull:
            self.give_way()

    async def read(self) -> None:
        """Begin the request of each message, or answer why not; end at text that is none (RFC 6455 §8.1)."""
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                if not _is_utf8(message.data):
                    await self.socket.close(code=WSCloseCode.INVALID_TEXT)
                    return
                await self._take(message.data)
            elif message.type is WSMsgType.BINARY:
                await self._refuse(None, AgentError(ErrorId.REQUEST_BINARY))

    async def work(self) -> None:
        """Send what is in the outbox; once the other side has left, throw it away, so that nobody waits."""
        while True:
            frame = await self._outbox.get()
            with suppress(ConnectionError):
                await self.socket.send_str(frame.decode("utf-8"))
            self._outbox.task_done()

    async def close(self) -> None:
        """Send what is in the outbox, to a side that reads; then tell it that this program stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._outbox.join()
        await super().close()

    async def _take(self, frame: bytes) -> None:
        try:
            request = jsonrpc.read(frame)
        except AgentError as error:
            await self._refuse(None, error)
            return
        if self.origin is not None and (wait := self._rate.take(self.origin)):
            await self._rate.hold_up(self.origin)  # and nothing more is read meanwhile
            await self._refuse(request.id, AgentError(ErrorId.REQUEST_RATE, retry_after=math.ceil(wait)))
            return
        size = len(frame)
        if len(self.tasks) >= REQUESTS_MAX:
            await self._refuse(request.id, AgentError(ErrorId.BUSY))
            return
        try:
            place = self._load.take(self.origin, size)
        except AgentError as error:
            await self._refuse(request.id, error)
            return
        task = asyncio.create_task(self._answer(request, size))
        self.tasks.add(task)

        def done(_task: asyncio.Task[None]) -> None:
            self.tasks.discard(task)
            self._load.give_back(place)

        task.add_done_callback(done)

    async def _refuse(self, request_id: jsonrpc.Id | None, error: Exception) -> None:
        await self._outbox.put(jsonrpc.error_response(request_id, error))

    async def _answer(self, request: jsonrpc.Request, size: int) -> None:
        try:
            result = await methods.answer(self._services, self.caller, request, size)
            await self._outbox.put(jsonrpc.response(request.id, result))
        except Exception as error:
            if error_id(error) == ErrorId.INTERNAL:
                log.exception("%s failed", request.method)
            await self._refuse(request.id, error)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
