"""The native API as the server sees it: its sessions, and the notifications that all of them get."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from agent.access.rates import OriginRates
from agent.errors import AgentError
from agent.native import limits
from agent.native.context import NativeServices
from agent.operations import ReaderView
from agent.places import Place, Places
from agent.vocabulary import SessionEnd, Verb
from agent.websocket import WebSocketSessions, turn_away

if TYPE_CHECKING:
    from agent.native.session import NativeSession

SESSIONS_MAX: Final = 64
SESSIONS_OF_STRANGERS_MAX: Final = 32
"""Of pages that nobody has allowed anything; any site can connect, by many names."""
SESSIONS_PER_ORIGIN_MAX: Final = 16
LARGE_STRANGERS_MAX: Final = 4
"""How many of these may send large documents."""


class NativeApi:
    """The native API with all its sessions.

    Args:
        services: what its methods use.
        rate: how often one origin may ask.
    """

    def __init__(self, services: NativeServices, rate: OriginRates) -> None:
        self._services = services
        self._rate = rate
        self._sessions: WebSocketSessions[NativeSession] = WebSocketSessions()
        rank = services.operations.rank
        self._places = Places(
            rank, total=SESSIONS_MAX, strangers=SESSIONS_OF_STRANGERS_MAX, each=SESSIONS_PER_ORIGIN_MAX
        )
        self._large = Places(rank, total=SESSIONS_MAX, strangers=LARGE_STRANGERS_MAX)
        self.load: Final = Places(
            rank, total=limits.LOAD_BYTES_MAX, strangers=limits.LOAD_BYTES_OF_STRANGERS_MAX
        )
        """The bytes of requests that are being read or at work, of all sites together."""
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
        # Loaded when the first page or program speaks the API: all methods, and what they rest on.
        from agent.native.session import NativeSession

        counted = None if own_page else origin
        large = self._place_for_large(counted)
        new = NativeSession(
            self._services, origin, self.load, self._rate, own_page=own_page, large=large is not None
        )
        try:
            place = self._places.take(counted, holder=new)
        except AgentError:
            return await turn_away(request)
        else:
            try:
                return await self._sessions.serve(new, request)
            finally:
                self._places.give_back(place)
                self._services.operations.sessions.leave(new.caller)
        finally:
            if large is not None:
                self._large.give_back(large)

    def _place_for_large(self, origin: str | None) -> Place | None:
        try:
            return self._large.take(origin)
        except AgentError:
            return None

    async def close(self) -> None:
        """End every session, telling each that this program stops."""
        self._stop_watching()
        self._services.operations.forget_pins(SessionEnd.AGENT)
        await asyncio.sleep(0)  # who holds a signing session hears of it
        await self._sessions.close()

    def _notify(self, views: tuple[ReaderView, ...]) -> None:
        before, self._readers = self._readers, {view.name: view for view in views}
        if not self._sessions:
            return
        from agent.native import conversion, jsonrpc, messages

        frames = [
            jsonrpc.notification("card.changed", messages.CardChanged(conversion.reader(view)))
            for view in views
            if view.name in before and view != before[view.name]
        ]
        if before.keys() != self._readers.keys():
            frames.append(jsonrpc.notification("reader.changed", conversion.readers(views)))
        if not frames:
            return
        for each in self._sessions:
            # Nobody is asked for this: a page learns of cards only once the person let it read them.
            if not each.caller.page and self._services.operations.allowed(each.caller, Verb.READ):
                each.notify(frames)
