"""What the HiPKI port serves: the popup that pages open, and what that popup alone may ask for.

A page of a portal does not talk to this port itself. It opens the popup, the popup takes the request from the
page that opened it, and with it the page's origin as the browser vouches for it. The popup is known by a
one-use ticket that it was served with (docs/hipki.md). The one thing that a page may ask for itself is an
image, which old pages read first; the browser names its origin where the page means to read it. This person's
own programs show the token and need no popup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import hdrs, web

from agent import metrics
from agent.access.policy import Admission, AdmissionKind, Listener, admit
from agent.access.rates import OriginRates
from agent.config import OriginSettings
from agent.dialects.hipki.dialect import HipkiDialect, HipkiVerb
from agent.origins.portals import KNOWN
from agent.origins.spelling import is_origin
from agent.places import Places
from agent.server import pages, sentences
from agent.server.http import (
    allow_origin,
    empty,
    for_anybody,
    form,
    is_part_of_another_page,
    only,
    room,
)
from agent.server.page_tokens import PageTokens
from agent.server.pages import WEB, StaticPage

TICKET: Final = "X-HCA-Ticket"
PORTAL: Final = "X-HCA-Portal"

POPUPS: Final = frozenset(("/popupForm", "/ChtPopupForm"))
"""One page by the two names that the vendor's older and present scripts have for it."""
SELF_TEST: Final = "/selfTest.htm"
_FILES: Final = MappingProxyType(
    {
        "/popup.js": ("popup.js", "text/javascript; charset=utf-8"),
        "/popup.css": ("popup.css", "text/css; charset=utf-8"),
        "/icon.svg": ("icon.svg", "image/svg+xml"),
    }
)
VERSION: Final = "/"
ADD_DOMAIN: Final = "/addDomain"
IMAGE: Final = "/p11Image.bmp"
PUBLIC: Final = frozenset((VERSION, ADD_DOMAIN, *POPUPS, SELF_TEST, *_FILES))
"""What anybody may GET."""

_HOW_TO_ALLOW: Final = (
    (
        "網站不能自己把自己加入允許清單；這裡沒有加入任何網站。",
        "A site cannot allow itself; nothing was allowed here.",
    ),
    (
        "請關閉這一頁，回到網站再操作一次；HCA Card Agent 的視窗問您時，確認網址正確再按「允許」。"
        "若沒有出現視窗，或曾經拒絕過，請在圖示選單或自我檢測頁的「允許的網站」加入它。",
        "Close this page, go back to the site and try again; when HCA Card Agent's window asks, check the"
        " address and allow it. If no window appears, or you refused before, add the site under “Allowed"
        " sites” in the menu of the icon or on the self-test page.",
    ),
)

_VERBS: Final = MappingProxyType({f"/{verb}": verb for verb in HipkiVerb})
_HTML: Final = "text/html; charset=utf-8"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


class HipkiSite:
    """An `agent.server.gate.Site`.

    Args:
        dialect: does the work.
        origins: the configured lists.
        refused: called with every portal that was turned away.
        rate: how often one portal may ask.
        load: the bytes of requests at work, of all sites together.
        self_test: address of the self-test page.
    """

    cors = False

    def __init__(
        self,
        dialect: HipkiDialect,
        origins: OriginSettings,
        *,
        refused: Callable[[str], None],
        rate: OriginRates,
        load: Places,
        self_test: str,
    ) -> None:
        self._dialect = dialect
        self._origins = origins
        self._refused = refused
        self._rate = rate
        self._load = load
        self._self_test = self_test
        self._tickets = PageTokens()

    def refusal(self, request: web.BaseRequest, listener: Listener) -> bytes | None:
        """Return None: no page of another site may read an answer."""
        return None

    def excuse(self, request: web.BaseRequest, listener: Listener, status: int) -> bytes | None:
        """Return what the popup hands to its page where the request was not read."""
        verb = _VERBS.get(request.rel_url.raw_path)
        return None if verb is None else self._dialect.excuse(verb, status)

    async def serve(
        self, request: web.BaseRequest, path: str, admission: Admission, listener: Listener
    ) -> web.StreamResponse:
        """Answer an admitted request."""
        metrics.DIALECT.set("hipki")
        local = admission.kind is AdmissionKind.LOCAL_PROGRAM
        if path in _VERBS and local:
            return await self._answer_program(request, _VERBS[path])
        if request.method == hdrs.METH_GET:
            if path == IMAGE:
                return await self._image(admission.origin if admission.kind is AdmissionKind.PAGE else None)
            return self._page(request, path, admission)
        if request.method == hdrs.METH_POST and path in _VERBS:
            return await self._answer(request, _VERBS[path], admission, listener)
        return empty(404)

    async def _image(self, origin: str | None) -> web.Response:
        """Answer a page whose origin the browser names, as it does where the page means to read the image."""
        shown = None if origin is None else await self._dialect.image(origin)
        if origin is None or shown is None:
            return empty(403)
        response = web.Response(body=shown, content_type="image/bmp")
        allow_origin(response, origin)
        return response

    async def _answer_program(self, request: web.BaseRequest, verb: HipkiVerb) -> web.Response:
        """Answer this person's own program, which has shown the token."""
        certificates = request.query.get("withcert") == "true"
        if request.method == hdrs.METH_GET and verb is not HipkiVerb.INFO:
            return empty(404)
        with room(request, self._load, None):
            body = b"" if request.method == hdrs.METH_GET else await form(request)
            return _json(await self._dialect.answer(verb, None, body, certificates=certificates))

    def _page(self, request: web.BaseRequest, path: str, admission: Admission) -> web.Response:
        if path in _VERBS:
            # A page cannot name its origin in a request that any page can cause.
            return empty(403)
        if admission.kind is AdmissionKind.PUBLIC and path == "/status":
            return for_anybody(pages.STATUS)
        if path == VERSION:
            return web.Response(text=f"version:{self._dialect.version}")
        if path == ADD_DOMAIN:
            return sentences.page(*_HOW_TO_ALLOW)
        if path in POPUPS:
            # Tickets are few: another site's page, which cannot read one, may not use them up.
            return empty(403) if is_part_of_another_page(request) else self._popup()
        if path == SELF_TEST:
            return web.Response(status=302, headers={hdrs.LOCATION: self._self_test})
        if path in _FILES:
            page = _files()[path]
            return web.Response(body=page.body, headers={hdrs.CONTENT_TYPE: page.content_type})
        return empty(404)

    def _popup(self) -> web.Response:
        names = {origin: (portal.zh, portal.en) for origin, portal in KNOWN.items()}
        facts = {"ticket": self._tickets.issue(), "portals": msgspec.json.encode(names).decode()}
        body = _template()
        for name, value in facts.items():
            body = body.replace(f"{{{{{name}}}}}", escape(value))
        headers = {
            hdrs.CONTENT_TYPE: _HTML,
            hdrs.CONTENT_SECURITY_POLICY: _POLICY,
            # The popup has to reach the page that opened it; every other page of ours is cut off from it.
            "Cross-Origin-Opener-Policy": "unsafe-none",
        }
        return web.Response(text=body, headers=headers)

    async def _answer(
        self, request: web.BaseRequest, verb: HipkiVerb, admission: Admission, listener: Listener
    ) -> web.Response:
        # Before anything of the body is read. Headers of their own no page can send here: browsers would ask
        # first, and are not answered.
        if admission.kind is not AdmissionKind.OWN_PAGE or not self._tickets.redeem(
            only(request, TICKET) or ""
        ):
            return empty(403)
        portal = only(request, PORTAL) or ""
        if not self._admits(portal, request, listener):
            if is_origin(portal):
                self._refused(portal)
            return _json(self._dialect.refusal(verb))
        if self._rate.take(portal):
            await self._rate.hold_up(portal)
            raise web.HTTPTooManyRequests
        certificates = request.query.get("withcert") == "true"
        with room(request, self._load, portal):
            body = await form(request)
            return _json(await self._dialect.answer(verb, portal, body, certificates=certificates))

    def _admits(self, portal: str, request: web.BaseRequest, listener: Listener) -> bool:
        """Return whether the portal would be admitted if it could ask here itself."""
        host = only(request, hdrs.HOST)
        asked = admit(
            portal, host, "POST", request.rel_url.raw_path, listener=listener, origins=self._origins
        )
        return asked.kind is AdmissionKind.PAGE


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


@cache
def _files() -> Mapping[str, StaticPage]:
    return {path: StaticPage(kind, (WEB / name).read_bytes()) for path, (name, kind) in _FILES.items()}


@cache
def _template() -> str:
    return (WEB / "popup.html").read_text("utf-8")
