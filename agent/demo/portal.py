"""The demo portal's server: its pages, its small JSON interface, and the headers that fence them in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.demo.application import prepare, verify_signature
from agent.demo.errors import PortalError
from agent.demo.login import Role, SignedIn, Trust, log_in
from agent.demo.sessions import Session, Sessions, same_secret

SITE = Path(__file__).parent / "site"
MOST_BYTES = 32 * 1024
PAGES = {"/": "login.html", "/apply": "apply.html", "/result": "result.html"}
ASSETS = {
    "style.css": (SITE / "style.css", "text/css"),
    "icon.svg": (SITE / "icon.svg", "image/svg+xml"),
    "common.js": (SITE / "common.js", "text/javascript"),
    "login.js": (SITE / "login.js", "text/javascript"),
    "apply.js": (SITE / "apply.js", "text/javascript"),
    "result.js": (SITE / "result.js", "text/javascript"),
    # A real portal keeps a copy of this file; the demo's copy is the one it was shipped with.
    "agent.js": (Path(__file__).parents[1] / "web" / "agent.js", "text/javascript"),
    "browser-check.js": (Path(__file__).parents[1] / "web" / "browser-check.js", "text/javascript"),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """Where the pages look for the agent.

    Attributes:
        plain_port: native API in the clear, and `/status`.
        tls_ports: native API over TLS, tried in this order.
    """

    plain_port: int = 56440
    tls_ports: tuple[int, ...] = (56445, 56545, 56645)

    def sources(self) -> str:
        """The agent's addresses as sources of a Content-Security-Policy `connect-src`."""
        hosts = ("localhost", "127.0.0.1")
        plain = [f"{scheme}://{host}:{self.plain_port}" for scheme in ("http", "ws") for host in hosts]
        tls = [
            f"{scheme}://{host}:{port}"
            for scheme in ("https", "wss")
            for port in self.tls_ports
            for host in hosts
        ]
        return " ".join(plain + tls)


class Portal:
    """One demo portal.

    Args:
        origin: its own origin as browsers report it, `https://host[:port]` or `http://localhost:port`.
        trust: whose certificates log in.
        agent: where its pages find the agent.
    """

    def __init__(self, origin: str, trust: Trust, *, agent: AgentAddress | None = None) -> None:
        self.origin = origin
        self.sessions = Sessions()
        self._trust = trust
        self._agent = agent or AgentAddress()
        self._secure = origin.startswith("https://")
        # The prefix makes browsers refuse the cookie unless it is Secure, for this host alone and for "/".
        self._cookie = "__Host-demo" if self._secure else "demo"

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[self._fence])
        app.router.add_get("/static/{name}", _asset)
        for path in PAGES:
            app.router.add_get(path, self._page)
        app.router.add_get("/api/session", self._session)
        app.router.add_get("/api/result", self._result)
        for path, answer in {
            "/api/nonce": self._nonce,
            "/api/login": self._login,
            "/api/prepare": self._prepare,
            "/api/sign": self._sign,
            "/api/logout": self._logout,
        }.items():
            app.router.add_post(path, answer)
        return app

    # Pages

    async def _page(self, request: web.Request) -> web.StreamResponse:
        session = self._find(request)
        if request.path in {"/apply", "/result"} and (session is None or session.signed_in is None):
            raise web.HTTPSeeOther("/")
        if request.path == "/" and session is not None and session.signed_in is not None:
            raise web.HTTPSeeOther("/apply")
        return web.Response(text=(SITE / PAGES[request.path]).read_text("utf-8"), content_type="text/html")

    async def _session(self, request: web.Request) -> web.StreamResponse:
        """The secret for this page's requests, who is logged in, and where the agent is."""
        session = self._find(request) or self.sessions.open()
        who = session.signed_in
        answer = {
            "csrf": session.csrf,
            "signedIn": who.to_json() if who else None,
            "agent": {"plainPort": self._agent.plain_port, "tlsPorts": list(self._agent.tls_ports)},
        }
        return self._with_cookie(web.json_response(answer), session)

    async def _result(self, request: web.Request) -> web.StreamResponse:
        session, _ = self._member(request)
        if session.receipt is None:
            raise PortalError("result.unknown")
        return web.json_response(session.receipt.to_json())

    # What pages send

    async def _nonce(self, request: web.Request) -> web.StreamResponse:
        session, _ = await self._sent(request)
        return web.json_response({"nonce": self.sessions.issue_nonce(session)})

    async def _login(self, request: web.Request) -> web.StreamResponse:
        session, body = await self._sent(request)
        nonce = self.sessions.take_nonce(session)
        token, role = body.get("token"), body.get("role")
        if not isinstance(token, dict) or not isinstance(role, str) or role not in set(Role):
            raise PortalError("request.malformed")
        who = log_in(token, role=Role(role), origin=self.origin, nonce=nonce, trust=self._trust)
        fresh = self.sessions.sign_in(session, who)
        return self._with_cookie(web.json_response({"csrf": fresh.csrf, "signedIn": who.to_json()}), fresh)

    async def _prepare(self, request: web.Request) -> web.StreamResponse:
        _, body = await self._sent(request)
        session, who = self._member(request)
        session.pending = prepare(body, who, origin=self.origin)
        return web.json_response(
            {"number": session.pending.number, "document": session.pending.document.decode()}
        )

    async def _sign(self, request: web.Request) -> web.StreamResponse:
        _, body = await self._sent(request)
        session, who = self._member(request)
        if session.pending is None:
            raise PortalError("form.unknown")
        session.receipt = verify_signature(session.pending, body.get("signature"), who)
        session.pending = None
        return web.json_response(session.receipt.to_json())

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        session, _ = await self._sent(request)
        self.sessions.close(session)
        response = web.json_response({})
        response.del_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="Strict")
        return response

    # Whose request it is

    def _find(self, request: web.Request) -> Session | None:
        return self.sessions.find(request.cookies.get(self._cookie, ""))

    def _member(self, request: web.Request) -> tuple[Session, SignedIn]:
        session = self._find(request)
        if session is None or session.signed_in is None:
            raise PortalError("session.expired")
        return session, session.signed_in

    async def _sent(self, request: web.Request) -> tuple[Session, Mapping[str, Any]]:
        """The session and the JSON object of a request that our own page sent."""
        if request.headers.get("Origin") != self.origin or request.content_type != "application/json":
            raise PortalError("csrf.refused")
        session = self._find(request)
        if session is None:
            raise PortalError("session.expired")
        if not same_secret(request.headers.get("X-CSRF-Token", ""), session.csrf):
            raise PortalError("csrf.refused")
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise PortalError("request.malformed") from None
        if not isinstance(body, dict):
            raise PortalError("request.malformed")
        return session, body

    def _with_cookie(self, response: web.Response, session: Session) -> web.Response:
        response.set_cookie(
            self._cookie, session.key, path="/", secure=self._secure, httponly=True, samesite="Strict"
        )
        return response

    # Headers

    @web.middleware
    async def _fence(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer refusals as JSON, and put the security headers on everything."""
        response: web.StreamResponse
        try:
            response = await handler(request)
        except PortalError as error:
            response = web.json_response(error.to_json(), status=error.status)
        except web.HTTPException as answer:
            answer.headers.update(self._headers())
            raise
        response.headers.update(self._headers())
        return response

    def _headers(self) -> dict[str, str]:
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            f"connect-src 'self' {self._agent.sources()}; "
            "form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
        )
        return {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


async def _asset(request: web.Request) -> web.StreamResponse:
    """One of the files of `ASSETS`; nothing of the request becomes a path."""
    asset = ASSETS.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    path, content_type = asset
    return web.Response(text=path.read_text("utf-8"), content_type=content_type, charset="utf-8")
