"""The demo portal's server: its pages, its small JSON interface, and the headers that fence them in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from agent.demo import captcha
from agent.demo.application import prepare, verify_signature
from agent.demo.doors import Doors
from agent.demo.errors import PortalError
from agent.demo.login import SignedIn, Trust
from agent.demo.pages import ASSETS, PAGES, Page, render
from agent.demo.sessions import Session, Sessions, same_secret

if TYPE_CHECKING:
    from agent.demo.cards import CardTray

MOST_BYTES = 32 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        """What the pages are told."""
        return {
            "plainPort": self.plain_port,
            "tlsPorts": list(self.tls_ports),
            "hipki": f"http://localhost:{self.hipki_port}" if self.hipki_port else None,
            "nhiComponent": f"wss://localhost:{self.nhi_port}/echo" if self.nhi_port else None,
        }

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
        nhi = [f"wss://localhost:{self.nhi_port}"] if self.nhi_port else []
        return " ".join(plain + tls + nhi)


class Portal:
    """One demo portal.

    Args:
        origin: its own origin as browsers report it, `https://host[:port]` or `http://localhost:port`.
        trust: whose certificates log in.
        agent: where its pages find the agent.
        tray: the cards that its pages may change, on a stage of simulated readers.
    """

    def __init__(
        self, origin: str, trust: Trust, *, agent: AgentAddress | None = None, tray: CardTray | None = None
    ) -> None:
        self.origin = origin
        self.sessions = Sessions()
        self._doors = Doors(origin, trust, self.sessions)
        self._agent = agent or AgentAddress()
        self._tray = tray
        self._changing = asyncio.Lock()
        self._secure = origin.startswith("https://")
        # The prefix makes browsers refuse the cookie unless it is Secure, for this host alone and for "/".
        self._cookie = "__Host-demo" if self._secure else "demo"

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[self._fence])
        app.router.add_get("/static/{name}", _asset)
        for path in PAGES:
            app.router.add_get(path, self._page)
        for path, answer in {
            "/api/session": self._session,
            "/api/result": self._result,
            "/api/captcha.svg": self._captcha,
            "/api/words/{number}": _words,
        }.items():
            app.router.add_get(path, answer)
        for path, answer in {
            "/api/nonce": self._nonce,
            "/api/challenge": self._challenge,
            "/api/captcha": self._captcha_in_words,
            "/api/login": self._login,
            "/api/login/signed": self._login_signed,
            "/api/login/account": self._account,
            "/api/login/card": self._card_read,
            "/api/login/password": self._password,
            "/api/prepare": self._prepare,
            "/api/sign": self._sign,
            "/api/logout": self._logout,
        }.items():
            app.router.add_post(path, answer)
        if self._tray is not None:
            app.router.add_post("/api/tray", self._change_card)
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
        """The secret for this page's requests, who is logged in, and where the agent is."""
        session = self._find(request) or self.sessions.open()
        who = session.signed_in
        answer = {
            "csrf": session.csrf,
            "signedIn": who.to_json() if who else None,
            "agent": self._agent.to_json(),
            "tray": self._tray.to_json() if self._tray else None,
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

    async def _challenge(self, request: web.Request) -> web.StreamResponse:
        session, _ = await self._sent(request)
        return web.json_response(self._doors.challenge(session))

    async def _captcha(self, request: web.Request) -> web.StreamResponse:
        """A new picture; each answers one log-in."""
        session = self._find(request)
        if session is None:
            raise PortalError("session.expired")
        answer = captcha.digits()
        self.sessions.ask_captcha(session, answer)
        return web.Response(text=captcha.picture(answer), content_type="image/svg+xml")

    async def _captcha_in_words(self, request: web.Request) -> web.StreamResponse:
        session, _ = await self._sent(request)
        zh, en, answer = captcha.in_words()
        self.sessions.ask_captcha(session, answer)
        return web.json_response({"zh": zh, "en": en})

    async def _login(self, request: web.Request) -> web.StreamResponse:
        session, body = await self._sent(request)
        return self._signed_in(session, self._doors.native(session, body))

    async def _login_signed(self, request: web.Request) -> web.StreamResponse:
        session, body = await self._sent(request)
        return self._signed_in(session, self._doors.signed(session, body))

    async def _account(self, request: web.Request) -> web.StreamResponse:
        session, body = await self._sent(request)
        self._doors.account(session, body)
        return web.json_response({})

    async def _card_read(self, request: web.Request) -> web.StreamResponse:
        session, body = await self._sent(request)
        return web.json_response(self._doors.card_read(session, body))

    async def _password(self, request: web.Request) -> web.StreamResponse:
        session, body = await self._sent(request)
        return self._signed_in(session, self._doors.password(session, body))

    def _signed_in(self, session: Session, who: SignedIn) -> web.StreamResponse:
        fresh = self.sessions.sign_in(session, who)
        return self._with_cookie(web.json_response({"csrf": fresh.csrf, "signedIn": who.to_json()}), fresh)

    async def _change_card(self, request: web.Request) -> web.StreamResponse:
        """Put another simulated card into a reader, or all of them as they were at first."""
        _, body = await self._sent(request)
        tray = self._tray
        if tray is None:
            raise web.HTTPNotFound
        async with self._changing:
            if body.get("renew") is True:
                await asyncio.to_thread(tray.renew)
            else:
                await asyncio.to_thread(tray.put, body.get("reader"), body.get("kind"))
        return web.json_response(tray.to_json())

    async def _prepare(self, request: web.Request) -> web.StreamResponse:
        _, body = await self._sent(request)
        session, who = self._signer(request)
        session.pending = prepare(body, who, origin=self.origin)
        return web.json_response(
            {"number": session.pending.number, "document": session.pending.document.decode()}
        )

    async def _sign(self, request: web.Request) -> web.StreamResponse:
        _, body = await self._sent(request)
        session, who = self._signer(request)
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

    def _signer(self, request: web.Request) -> tuple[Session, SignedIn]:
        """Who is logged in, with a card that can sign."""
        session, who = self._member(request)
        if not who.certificate:
            raise PortalError("session.expired")
        return session, who

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
            answer.headers.update(self._headers(request))
            raise
        response.headers.update(self._headers(request))
        return response

    def _headers(self, request: web.Request) -> dict[str, str]:
        page: Page | None = PAGES.get(request.path)
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            f"connect-src 'self' {self._agent.sources()}; "
            "form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
        )
        return {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            # The popup of the local program must be able to answer the page that opened it.
            "Cross-Origin-Opener-Policy": "same-origin-allow-popups"
            if page and page.popups
            else "same-origin",
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


async def _words(request: web.Request) -> web.StreamResponse:
    """What a number that the ServiSign component gave means, for the person at the page."""
    from agent.errors.numbers.words import number_words

    number = request.match_info["number"]
    row = None
    if number.isascii() and number.isdigit() and len(number) < 6:
        row = number_words("servisign").get(int(number))
    if row is None:
        raise web.HTTPNotFound
    words = {"zh": row.zh, "en": row.en, "nextZh": row.next_zh, "nextEn": row.next_en}
    return web.json_response(words)
