"""The native API as the server sees it: connections, and what all of them are told."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import WSCloseCode, web

from agent.interaction import Verb
from agent.native import jsonrpc, messages, translate
from agent.native.backend import Backend
from agent.native.connection import Connection, Load
from agent.operations import Caller, ReaderView
from agent.origins.rate_limits import Buckets

CONNECTIONS_MAX: Final = 64
CONNECTIONS_PER_ORIGIN_MAX: Final = 16
LARGE_STRANGERS_MAX: Final = 4
"""Pages nobody has allowed to sign yet that may send large documents; any site can connect, by many names."""


class NativeApi:
    """Every connection of the native API.

    Args:
        backend: what its methods work with.
        rate: how often one origin may ask.
    """

    def __init__(self, backend: Backend, rate: Buckets) -> None:
        self._backend = backend
        self._rate = rate
        self._connections: dict[Connection, None] = {}
        self._load = Load()
        self._views: dict[str, ReaderView] = {}
        self._stop_watching = backend.operations.on_change(self._changed)

    async def serve(
        self, request: web.BaseRequest, origin: str | None, *, own_page: bool = False
    ) -> web.StreamResponse:
        """Upgrade `request` and speak with the other side until either ends it.

        Args:
            request: admitted already.
            origin: the page's origin; None for a local program with the per-user token.
            own_page: this program served the page itself, and it has shown its token.
        """
        asks_as = None if own_page else origin
        of_origin = sum(each.caller.origin == asks_as for each in self._connections)
        if of_origin >= CONNECTIONS_PER_ORIGIN_MAX or not self._make_room():
            return await _turn_away(request)
        large = not self._is_stranger(Caller(asks_as)) or self._large_strangers() < LARGE_STRANGERS_MAX
        connection = Connection(self._backend, origin, self._load, self._rate, own_page=own_page, large=large)
        self._connections[connection] = None
        try:
            return await connection.serve(request)
        finally:
            self._connections.pop(connection, None)

    def _is_stranger(self, caller: Caller) -> bool:
        """Whether it is a page that nobody has allowed to sign."""
        return caller.origin is not None and not self._backend.operations.allowed(caller, Verb.SIGN)

    def _large_strangers(self) -> int:
        return sum(each.large and self._is_stranger(each.caller) for each in self._connections)

    def _make_room(self) -> bool:
        """Whether there is room for one more, at the expense of the oldest idle page that nobody allowed."""
        if len(self._connections) < CONNECTIONS_MAX:
            return True
        for each in self._connections:
            if each.idle and self._is_stranger(each.caller):
                del self._connections[each]
                each.give_way()
                return True
        return False

    async def close(self) -> None:
        """End every connection, telling each that this program stops."""
        self._stop_watching()
        await asyncio.gather(*(connection.close() for connection in self._connections))

    def _changed(self, views: tuple[ReaderView, ...]) -> None:
        before, self._views = self._views, {view.name: view for view in views}
        told = [
            jsonrpc.notification("card.changed", messages.CardChanged(translate.reader(view)))
            for view in views
            if view.name in before and view != before[view.name]
        ]
        if before.keys() != self._views.keys():
            readers = messages.Readers(tuple(translate.reader(view) for view in views))
            told.append(jsonrpc.notification("reader.changed", readers))
        for connection in self._connections:
            # Nobody is asked for this: a page learns of cards only once the person let it read them.
            if (
                told
                and not connection.caller.page
                and self._backend.operations.allowed(connection.caller, Verb.READ)
            ):
                connection.tell(told)


async def _turn_away(request: web.BaseRequest) -> web.WebSocketResponse:
    """Say "try again later" in the one way that a page can read (RFC 6455 §7.4, code 1013)."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
    return socket
