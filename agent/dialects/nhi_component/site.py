"""What the ports of the NHI component serve: its WebSocket, and nothing else."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from agent import metrics
from agent.access.policy import Admission, AdmissionKind, Listener
from agent.access.rates import OriginRates
from agent.dialects.nhi_component.dialect import NhiDialect
from agent.dialects.nhi_component.session import NhiSession
from agent.errors import AgentError
from agent.places import Places, Ranking
from agent.server import pages
from agent.server.http import empty, for_anybody
from agent.websocket import WebSocketSessions, turn_away

PATH: Final = "/echo"
SESSIONS_MAX: Final = 32
SESSIONS_OF_STRANGERS_MAX: Final = 16
SESSIONS_PER_ORIGIN_MAX: Final = 8


class NhiSite:
    """An `agent.server.gate.Site`.

    Args:
        commands: what answers.
        rate: how often one origin may ask.
        rank: tells who is a stranger.
    """

    cors = False

    def __init__(self, commands: NhiDialect, rate: OriginRates, rank: Ranking) -> None:
        self._commands = commands
        self._rate = rate
        self._sessions: WebSocketSessions[NhiSession] = WebSocketSessions()
        self._places = Places(
            rank,
            total=SESSIONS_MAX,
            strangers=SESSIONS_OF_STRANGERS_MAX,
            each=SESSIONS_PER_ORIGIN_MAX,
            renew=True,
        )
        self.close = self._sessions.close

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
        session = NhiSession(self._commands, admission.origin, self._rate)
        try:
            place = self._places.take(admission.origin, holder=session)
        except AgentError:
            return await turn_away(request)
        try:
            return await self._sessions.serve(session, request)
        finally:
            self._places.give_back(place)

    def refusal(self, _request: web.BaseRequest, _listener: Listener) -> bytes | None:
        """Return None: a page whose upgrade is refused sees a connection that cannot be opened."""
        return None

    def excuse(self, _request: web.BaseRequest, _listener: Listener, _status: int) -> bytes | None:
        """Return None, likewise."""
        return None
