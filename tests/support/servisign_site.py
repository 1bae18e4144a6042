"""Portals whose pages use the ServiSign adapter of these tests, each on its own https origin."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from tests.support.portal_tls import PortalTls

ADAPTER: Final = Path(__file__).with_name("servisign_adapter")
SCRIPTS: Final = ("adapter.js", "methods.js", "pages.js")
_PAGE: Final = "<!doctype html><meta charset='utf-8'><title>入口網站</title>" + "".join(
    f"<script src='/{name}'></script>" for name in SCRIPTS
)


@asynccontextmanager
async def site(host: str, identity: PortalTls, port: int) -> AsyncIterator[str]:
    """A portal at `host` on that port of this machine; its origin."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def script(request: web.Request) -> web.FileResponse:
        return web.FileResponse(ADAPTER / request.match_info["name"])

    application = web.Application()
    application.add_routes([web.get("/", page), web.get("/{name:[a-z]+[.]js}", script)])
    async with identity.serving(host, application, port) as origin:
        yield origin


@contextmanager
def closed_ports(count: int) -> Iterator[tuple[int, ...]]:
    """Ports at which nobody listens, and that nobody else is given meanwhile."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        yield tuple(each.getsockname()[1] for each in held)
