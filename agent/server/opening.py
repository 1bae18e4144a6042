"""What a port serves from its first moment: who it is. All else waits until what answers it is open."""

from __future__ import annotations

import asyncio

from aiohttp import web

from agent.access.policy import Admission, AdmissionKind, Listener
from agent.server import pages
from agent.server.gate import HttpSite
from agent.server.http import for_anybody


class OpeningSite:
    """Says that an agent is here, and hands every other request to a site once there is one.

    Attributes:
        is_open: whether there is one.
    """

    cors = True

    def __init__(self) -> None:
        self._site: asyncio.Future[HttpSite] = asyncio.get_running_loop().create_future()
        self.is_open = False

    def open(self, site: HttpSite) -> None:
        """Serve `site` from now on, also to whoever has been waiting."""
        self._site.set_result(site)
        self.is_open = True

    def close(self) -> None:
        """Let nobody wait any longer for a site that will not come."""
        self._site.cancel()

    async def serve(
        self, request: web.BaseRequest, path: str, admission: Admission, listener: Listener
    ) -> web.StreamResponse:
        """Answer an admitted request."""
        if admission.kind is AdmissionKind.PUBLIC and path == "/status":
            return for_anybody(pages.STATUS)
        # Shielded: a page that goes away takes the site from nobody else.
        site = await asyncio.shield(self._site)
        return await site.serve(request, path, admission, listener)

    def refusal(self, request: web.BaseRequest, listener: Listener) -> bytes | None:
        """Return what the site's pages understand as a refusal."""
        return self._site.result().refusal(request, listener) if self.is_open else None

    def excuse(self, request: web.BaseRequest, listener: Listener, status: int) -> bytes | None:
        """Return what the site's pages need where a request was not read."""
        return self._site.result().excuse(request, listener, status) if self.is_open else None
