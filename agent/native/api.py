"""The native API as the server sees it: connections, and what all of them are told."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import WSCloseCode, web

from agent.interaction import Verb
from agent.native import jsonrpc, messages, translate
from agent.native.connection import Connection, Load
from agent.native.methods import Backend
from agent.operations import ReaderView

CONNECTIONS_MAX: Final = 64
CONNECTIONS_PER_ORIGIN_MAX: Final = 16


class NativeApi:
    """Every connection of the native API.

    Args:
        backend: what its methods work with.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._connections: set[Connection] = set()
        self._load = Load()
        self._views: dict[str, ReaderView] = {}
        self._stop_watching = backend.operations.on_change(self._changed)

    async def serve(self, request: web.BaseRequest, origin: str | None) -> web.StreamResponse:
        """Upgrade `request` and speak with the other side until either ends it.

        Args:
            request: admitted already.
            origin: the page's origin; None for a local program with the per-user token.
        """
        of_origin = sum(each.caller.origin == origin for each in self._connections)
        if len(self._connections) >= CONNECTIONS_MAX or of_origin >= CONNECTIONS_PER_ORIGIN_MAX:
            return await _turn_away(request)
        connection = Connection(self._backend, origin, self._load)
        self._connections.add(connection)
        try:
            return await connection.serve(request)
        finally:
            self._connections.discard(connection)

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
            if told and self._backend.operations.allowed(connection.caller, Verb.READ):
                connection.tell(told)


async def _turn_away(request: web.BaseRequest) -> web.WebSocketResponse:
    """Say "try again later" in the one way that a page can read (RFC 6455 §7.4, code 1013)."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
    return socket
