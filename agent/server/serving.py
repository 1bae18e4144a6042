"""Sockets to requests: the site on each taken port, and what HTTP itself is allowed to be."""

from __future__ import annotations

import logging
import ssl
from typing import Any, Final

from aiohttp import web

from agent.policy import Listener
from agent.server.http import SECURITY_HEADERS, Site
from agent.server.listeners import Listeners

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS: Final = 2.0
_SETTINGS: Final[dict[str, Any]] = {
    "access_log": None,
    "auto_decompress": False,  # nothing that we serve needs it, and a few bytes can unpack to gigabytes
    "keepalive_timeout": 75.0,
    "lingering_time": 1.0,  # an answer given before the body was read must reach its reader
}


class _Protocol(web.RequestHandler):
    """HTTP that says nothing of itself when it is spoken to badly."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A bare status line; only our own faults are worth a log entry."""
        if status >= 500:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        response = web.Response(status=status, headers=SECURITY_HEADERS)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **_SETTINGS)


async def serve(
    site: Site, taken: Listeners, listener: Listener, context: ssl.SSLContext | None
) -> web.ServerRunner:
    """Serve `site` on every socket of `taken`, until the result's `cleanup` is awaited.

    Args:
        site: what is served.
        taken: the port.
        listener: what policy knows of the port.
        context: for TLS; None in the clear.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await site.answer(request, listener)

    # A page that goes away takes its question back from the person's screen.
    server = _Server(answer, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    for each in taken.sockets:
        await web.SockSite(runner, each, ssl_context=context).start()
    return runner
