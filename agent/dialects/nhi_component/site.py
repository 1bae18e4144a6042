"""What the ports of the NHI component serve: its WebSocket, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import WSCloseCode, hdrs, web

from agent import metrics
from agent.access.policy import Admission, AdmissionKind, Listener
from agent.dialects.nhi_component.component import NhiComponent
from agent.dialects.nhi_component.connection import Connection
from agent.origins.rate_limits import Buckets
from agent.server import pages
from agent.server.http import empty, for_anybody

PATH: Final = "/echo"
CONNECTIONS_MAX: Final = 32
CONNECTIONS_PER_ORIGIN_MAX: Final = 8


class NhiSite:
    """An `agent.server.gate.Site`.

    Args:
        component: the commands.
        rate: how often one origin may ask.
    """

    cors = False

    def __init__(self, component: NhiComponent, rate: Buckets) -> None:
        self._component = component
        self._rate = rate
        self._connections: dict[Connection, None] = {}

    async def serve(
        self, request: web.BaseRequest, path: str, admission: Admission, _listener: Listener
    ) -> web.StreamResponse:
        """Answer an admitted request."""
        metrics.DIALECT.set("nhi-component")
        if path == "/status" and admission.kind is AdmissionKind.PUBLIC:
            return for_anybody(pages.STATUS)
        # No page of ours is served here: whoever claims to be one is somebody else.
        if admission.kind not in (AdmissionKind.PAGE, AdmissionKind.LOCAL_PROGRAM):
            return empty(403)
        if path != PATH or request.method != hdrs.METH_GET:
            return empty(404)
        if not self._make_room(admission.origin):
            return await _turn_away(request)
        connection = Connection(self._component, admission.origin, self._rate)
        self._connections[connection] = None
        try:
            return await connection.serve(request)
        finally:
            self._connections.pop(connection, None)

    def refusal(self, _request: web.BaseRequest, _listener: Listener) -> bytes | None:
        """None: a page whose upgrade is refused sees a connection that cannot be opened."""
        return None

    def excuse(self, _request: web.BaseRequest, _listener: Listener, _status: int) -> bytes | None:
        """None, likewise."""
        return None

    def _make_room(self, origin: str | None) -> bool:
        """Whether there is room for one more, at the expense of the oldest that waits for nothing."""
        of_origin = [each for each in self._connections if each.caller.origin == origin]
        if len(of_origin) >= CONNECTIONS_PER_ORIGIN_MAX:
            return self._end_idle(of_origin)
        return len(self._connections) < CONNECTIONS_MAX or self._end_idle(list(self._connections))

    def _end_idle(self, connections: list[Connection]) -> bool:
        for each in connections:
            if each.idle:
                del self._connections[each]
                each.give_way()
                return True
        return False

    async def close(self) -> None:
        """End every connection."""
        await asyncio.gather(*(connection.close() for connection in self._connections))


async def _turn_away(request: web.BaseRequest) -> web.WebSocketResponse:
    """Say "try again later" (RFC 6455 §7.4, code 1013)."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy")
    return socket
