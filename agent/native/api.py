"""The native API as the server sees it: its sessions, and the notifications that all of them get."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from agent.native import conversion, jsonrpc, messages
from agent.native.context import NativeServices
from agent.native.session import NativeSession, RequestLoad
from agent.operations import Caller, ReaderView
from agent.origins.rate_limits import Buckets
from agent.vocabulary import Verb
from agent.websocket import WebSocketSessions, turn_away

SESSIONS_MAX: Final = 64
SESSIONS_PER_ORIGIN_MAX: Final = 16
LARGE_STRANGERS_MAX: Final = 4
"""Pages nobody has allowed to sign yet that may send large documents; any site can connect, by many names."""


class NativeApi:
    """The native API with all its sessions.

    Args:
        services: what its methods use.
        rate: how often one origin may ask.
    """

    def __init__(self, services: NativeServices, rate: Buckets) -> None:
        self._services = services
        self._rate = rate
        self._sessions: WebSocketSessions[NativeSession] = WebSocketSessions()
        self._load = RequestLoad()
        self._readers: dict[str, ReaderView] = {}
        self._stop_watching = services.operations.on_change(self._notify)

    async def serve(
        self, request: web.BaseRequest, origin: str | None, *, own_page: bool = False
    ) -> web.StreamResponse:
        """Upgrade `request` and speak with the other side until either ends it.

        Args:
            request: admitted already.
            origin: the page's origin; None for a local program with the per-user token.
            own_page: whether this program served the page itself; it has shown its token.
        """
        counted = None if own_page else origin
        if len(self._sessions.of_origin(counted)) >= SESSIONS_PER_ORIGIN_MAX or not self._make_room():
            return await turn_away(request)
        large_strangers = sum(each.large and self._is_stranger(each.caller) for each in self._sessions)
        large = not self._is_stranger(Caller(counted)) or large_strangers < LARGE_STRANGERS_MAX
        session = NativeSession(
            self._services, origin, self._load, self._rate, own_page=own_page, large=large
        )
        return await self._sessions.serve(session, request)

    async def close(self) -> None:
        """End every session, telling each that this program stops."""
        self._stop_watching()
        await self._sessions.close()

    def _is_stranger(self, caller: Caller) -> bool:
        """Whether it is a page that nobody has allowed to sign."""
        return caller.origin is not None and not self._services.operations.allowed(caller, Verb.SIGN)

    def _make_room(self) -> bool:
        """Whether there is room for one more, at the expense of the oldest idle page that nobody allowed."""
        if len(self._sessions) < SESSIONS_MAX:
            return True
        return self._sessions.end_one_idle(
            [each for each in self._sessions if self._is_stranger(each.caller)]
        )

    def _notify(self, views: tuple[ReaderView, ...]) -> None:
        before, self._readers = self._readers, {view.name: view for view in views}
        frames = [
            jsonrpc.notification("card.changed", messages.CardChanged(conversion.reader(view)))
            for view in views
            if view.name in before and view != before[view.name]
        ]
        if before.keys() != self._readers.keys():
            frames.append(jsonrpc.notification("reader.changed", conversion.readers(views)))
        if not frames:
            return
        for session in self._sessions:
            # Nobody is asked for this: a page learns of cards only once the person let it read them.
            if not session.caller.page and self._services.operations.allowed(session.caller, Verb.READ):
                session.notify(frames)
