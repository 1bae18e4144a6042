"""Portals whose pages use the HiPKI popup, each on its own https origin; and what a page there can try."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from tests.support.portal_tls import PortalTls

# As portals' pages do it: open from a click, wait for getTbs, hand over one string, wait for the answer.
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>入口網站</title>
<button id="go">憑證登入</button>
<script>
  window.heard = [];
  window.addEventListener("message", (event) => {
    heard.push({ data: event.data, origin: event.origin });
    if (event.origin !== window.agent || event.source !== window.popup) return;
    if (JSON.parse(event.data).func !== "getTbs" || !window.wanted) return;
    popup.postMessage(JSON.stringify(wanted), agent);
  });
  document.getElementById("go").onclick = () => {
    window.popup = window.open(agent + "/popupForm", "hipki", "width=300,height=260");
  };
</script>
"""


@asynccontextmanager
async def site(host: str, identity: PortalTls, port: int, **headers: str) -> AsyncIterator[str]:
    """A portal at `host` on that port of this machine, its page sent with `headers`; its origin."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html", headers=headers)

    application = web.Application()
    application.add_routes([web.get("/", page)])
    async with identity.serving(host, application, port) as origin:
        yield origin
