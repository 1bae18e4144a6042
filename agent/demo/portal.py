"""The demo portal's server: its pages, its small JSON interface, and the headers that fence them in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from agent.demo import captcha
from agent.demo.application_form import prepare, verify_signature
from agent.demo.errors import PortalError
from agent.demo.login_forms import LoginForms, TrustedIssuers
from agent.demo.pages import ASSETS, PAGES, render
from agent.demo.people import SignedIn
from agent.demo.sessions import PortalSession, PortalSessions, same_secret

if TYPE_CHECKING:
    from agent.demo.simulated_cards import CardTray

BODY_BYTES_MAX: Final = 32 * 1024

Body = Mapping[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answering = Callable[[PortalSession, Body], Mapping[str, object] | SignedIn]


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """Where the pages look for the agent.

    Attributes:
        plain_port: native API in the clear, and `/status`.
        tls_ports: native API and ServiSign over TLS, tried in this order.
        hipki_port: the local signing server of citizen cards; 0 where it is not served.
        nhi_port: the component for NHI cards; 0 where it is not served.
    """

    plain_port: int = 56440
    tls_ports: tuple[int, ...] = (56445, 56545, 56645)
    hipki_port: int = 0
    nhi_port: int = 0

    def to_json(self) -> dict[str, object]:
        """Return what the pages are given."""
        return {
            "plainPort": self.plain_port,
            "tlsPorts": list(self.tls_ports),
            "hipki": f"http://localhost:{self.hipki_port}" if self.hipki_port else None,
            "nhiComponent": f"wss://localhost:{self.nhi_port}/echo" if self.nhi_port else None,
        }

    def sources(self) -> str:
        """Return the agent's addresses as sources of a Content-Security-Policy `connect-src`."""
        found = [
            f"{scheme}{'s' * secure}://{host}:{port}"
            for port, secure in [(self.plain_port, False), *((port, True) for port in self.tls_ports)]
            for scheme in ("http", "ws")
            for host in ("localhost", "127.0.0.1")
        ]
        return " ".join([*found, *([f"wss://localhost:{self.nhi_port}"] if self.nhi_port else [])])


class DemoPortal:
    """One demo portal.

    Args:
        origin: its own origin as browsers report it, `https://host[:port]` or `http://localhost:port`.
        trusted: whose certificates log in.
        agent: where its pages find the agent.
        tray: the simulated cards that its pages may change.
    """

    def __init__(
        self,
        origin: str,
        trusted: TrustedIssuers,
        *,
        agent: AgentAddress | None = None,
        tray: CardTray | None = None,
    ) -> None:
        self.origin = origin
        self.sessions = PortalSessions()
        self._forms = LoginForms(origin, trusted, self.sessions)
        self._agent = agent or AgentAddress()
        self._tray = tray
        self._changing = asyncio.Lock()
        self._secure = origin.startswith("https://")
        # The prefix makes browsers refuse the cookie unless it is Secure, for this host alone and for "/".
        self._cookie = "__Host-demo" if self._secure else "demo"

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._fence])
        app.router.add_get("/static/{name}", _asset)
        for path in PAGES:
            app.router.add_get(path, self._page)
        app.router.add_get("/api/session", self._session)
        app.router.add_get("/api/result", self._result)
        app.router.add_get("/api/captcha.svg", self._captcha)
        app.router.add_get("/api/words/{number}", _number_words)
        answers: Mapping[str, Answering] = {
            "/api/nonce": lambda session, _: {"nonce": self.sessions.issue_nonce(session)},
            "/api/challenge": lambda session, _: self._forms.challenge(session),
            "/api/captcha": self._captcha_in_words,
            "/api/login": self._forms.native,
            "/api/login/signed": self._forms.signed,
            "/api/login/account": self._forms.account,
            "/api/login/card": self._forms.card_read,
            "/api/login/password": self._forms.password,
            "/api/prepare": self._prepare,
            "/api/sign": self._sign,
        }
        for path, answer in answers.items():
            app.router.add_post(path, partial(self._answer, answer))
        app.router.add_post("/api/logout", self._logout)
        if self._tray is not None:
            app.router.add_post("/api/tray", partial(self._change_card, self._tray))
        return app

    # Pages

    async def _page(self, request: web.Request) -> web.StreamResponse:
        page, session = PAGES[request.path], self._find(request)
        who = session.signed_in if session else None
        if page.member and who is None:
            raise web.HTTPSeeOther("/")
        if who is not None and (page.log_in or (request.path == "/apply" and not who.certificate)):
            raise web.HTTPSeeOther(who.home)
        return web.Response(text=render(page), content_type="text/html")

    async def _session(self, request: web.Request) -> web.StreamResponse:
        """Answer the secret for this page's requests, who is logged in, and where the agent is."""
        session = self._find(request) or self.sessions.open()
        who = session.signed_in
        answer = {
            "csrf": session.csrf,
            "signedIn": who.to_json() if who else None,
            "agent": self._agent.to_json(),
            "tray": self._tray.to_json() if self._tray else None,
        }
        return self._with_cookie(answer, session)

    async def _result(self, request: web.Request) -> web.StreamResponse:
        session = self._find(request)
        if session is None or session.signed_in is None:
            raise PortalError("session.expired")
        if session.receipt is None:
            raise PortalError("result.unknown")
        return web.json_response(session.receipt.to_json())

    async def _captcha(self, request: web.Request) -> web.StreamResponse:
        """Answer a new picture; each is good for one log-in."""
        session = self._find(request)
        if session is None:
            raise PortalError("session.expired")
        answer = captcha.digits()
        self.sessions.ask_captcha(session, answer)
        return web.Response(text=captcha.picture(answer), content_type="image/svg+xml")

    # What pages post

    async def _answer(self, answer: Answering, request: web.Request) -> web.StreamResponse:
        session, body = await self._posted(request)
        result = answer(session, body)
        if not isinstance(result, SignedIn):
            return web.json_response(result)
        fresh = self.sessions.sign_in(session, result)
        return self._with_cookie({"csrf": fresh.csrf, "signedIn": result.to_json()}, fresh)

    def _captcha_in_words(self, session: PortalSession, _body: Body) -> dict[str, object]:
        zh, en, answer = captcha.in_words()
        self.sessions.ask_captcha(session, answer)
        return {"zh": zh, "en": en}

    def _prepare(self, session: PortalSession, body: Body) -> dict[str, object]:
        session.pending = prepare(body, _signer(session), origin=self.origin)
        return {"number": session.pending.number, "document": session.pending.document.decode()}

    def _sign(self, session: PortalSession, body: Body) -> dict[str, object]:
        who = _signer(session)
        if session.pending is None:
            raise PortalError("form.unknown")
        session.receipt = verify_signature(session.pending, body.get("signature"), who)
        session.pending = None
        return session.receipt.to_json()

    async def _change_card(self, tray: CardTray, request: web.Request) -> web.StreamResponse:
        """Put another simulated card into a reader, or all of them as they were at first."""
        _, body = await self._posted(request)
        async with self._changing:
            if body.get("renew") is True:
                await asyncio.to_thread(tray.renew)
            else:
                await asyncio.to_thread(tray.put, body.get("reader"), body.get("kind"))
        return web.json_response(tray.to_json())

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        session, _ = await self._posted(request)
        self.sessions.close(session)
        response = web.json_response({})
        response.del_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="Strict")
        return response

    # Whose request it is

    def _find(self, request: web.Request) -> PortalSession | None:
        return self.sessions.find(request.cookies.get(self._cookie, ""))

    async def _posted(self, request: web.Request) -> tuple[PortalSession, Body]:
        """Return the session and the JSON object of a request that our own page sent."""
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

    def _with_cookie(self, answer: Mapping[str, object], session: PortalSession) -> web.Response:
        response = web.json_response(answer)
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
            response = web.json_response(error.to_json(), status=error.refusal.status)
        except web.HTTPException as answer:
            answer.headers.update(self._headers(request))
            raise
        response.headers.update(self._headers(request))
        return response

    def _headers(self, request: web.Request) -> dict[str, str]:
        page = PAGES.get(request.path)
        # The popup of the local program must be able to answer the page that opened it.
        opener = "same-origin-allow-popups" if page and page.popups else "same-origin"
        return {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                f"connect-src 'self' {self._agent.sources()}; form-action 'none'; "
                "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
            ),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": opener,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


def _signer(session: PortalSession) -> SignedIn:
    """Return who is logged in, with a card that can sign."""
    who = session.signed_in
    if who is None or not who.certificate:
        raise PortalError("session.expired")
    return who


async def _asset(request: web.Request) -> web.StreamResponse:
    """Answer one of the files of `ASSETS`; nothing of the request becomes a path."""
    asset = ASSETS.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    path, content_type = asset
    return web.Response(text=path.read_text("utf-8"), content_type=content_type, charset="utf-8")


async def _number_words(request: web.Request) -> web.StreamResponse:
    """Answer what a number of the ServiSign component means, for the person at the page."""
    from agent.errors.numbers.words import number_words

    number = request.match_info["number"]
    row = None
    if number.isascii() and number.isdigit() and len(number) < 6:
        row = number_words("servisign").get(int(number))
    if row is None:
        raise web.HTTPNotFound
    return web.json_response({"zh": row.zh, "en": row.en, "nextZh": row.next_zh, "nextEn": row.next_en})
