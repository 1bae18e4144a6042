"""Every HTTP request from its head to its answer, in one order: who asks, then how much, then what.

Nothing of a body is read before `agent.access.policy.admit` has said yes to the head.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from aiohttp import hdrs, web

from agent.access.limits import Buckets
from agent.access.origins import is_loopback_host, is_origin
from agent.access.policy import Admission, Door, Listener, admit
from agent.config import Origins
from agent.native.api import NativeApi
from agent.server import pages
from agent.server.page_tokens import PageTokens
from agent.server.token import UserToken

BODY_BYTES_MAX: Final = 1024 * 1024
BODY_SECONDS_MAX: Final = 10.0
WEBSOCKET_PATH: Final = "/v1"
FORM: Final = "application/x-www-form-urlencoded"

SECURITY_HEADERS: Final = {
    "Server": "hca-agent",  # aiohttp would add its own and Python's version
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Dialect(Protocol):
    """An old dialect: one POST, one answer."""

    async def handle(self, origin: str, body: bytes) -> bytes:
        """The answer to a request of an admitted origin."""
        ...

    def excuse(self, status: int) -> bytes:
        """What its pages understand where a request ends with this HTTP status before it is read."""
        ...


class Site:
    """What is served, the same on every listener but for the old dialect, which wants TLS.

    Args:
        origins: the configured lists.
        token: what lets local programs in.
        native: the native API.
        dialect: None where it is switched off.
        refusal: what the dialect's pages understand as a refusal, and stop trying.
        refused: told of every origin that was turned away.
        hopeless: whether an origin is not allowed, and nobody is there to be asked about it.
        rate: how often one origin may ask.
    """

    def __init__(
        self,
        origins: Origins,
        token: UserToken,
        native: NativeApi,
        *,
        dialect: Dialect | None,
        refusal: bytes,
        refused: Callable[[str], None],
        hopeless: Callable[[str], bool],
        rate: Buckets,
    ) -> None:
        self._origins = origins
        self._token = token
        self._native = native
        self._dialect = dialect
        self._refusal = refusal
        self._refused = refused
        self._hopeless = hopeless
        self._rate = rate
        self._page_tokens = PageTokens()

    async def answer(self, request: web.BaseRequest, listener: Listener) -> web.StreamResponse:
        """Answer one request that arrived at `listener`."""
        origin, path = _only(request, hdrs.ORIGIN), request.rel_url.raw_path
        admission = admit(
            origin,
            _only(request, hdrs.HOST),
            request.method,
            path,
            listener=listener,
            origins=self._origins,
        )
        try:
            response: web.StreamResponse
            if admission.door is Door.REFUSED:
                response = self._refuse(request, origin, listener)
            elif wait := self._rate.take(admission.origin) if admission.origin else 0.0:
                response = self._excused(request, listener, 429)
                response.headers[hdrs.RETRY_AFTER] = str(math.ceil(wait))
            else:
                response = await self._serve(request, path, admission, listener)
        except web.HTTPException as stopped:
            response = empty(stopped.status)
        if not response.prepared:  # a WebSocket is, and over
            response.headers.update({**SECURITY_HEADERS, **response.headers})
            if admission.origin is not None:
                _allow_origin(response, admission.origin)
        return response

    def _excused(self, request: web.BaseRequest, listener: Listener, status: int) -> web.Response:
        """Not served; to pages of the old dialect with a body, for want of which they take an old result."""
        response = empty(status)
        if self._dialect is not None and listener.tls and request.method == hdrs.METH_POST:
            response.body = self._dialect.excuse(status)
            response.content_type = "application/json"
        return response

    def _index(self, listener: Listener) -> web.Response:
        ports = {tls: port for port, tls in listener.own_ports | {(listener.port, listener.tls)}}
        page = pages.index(self._page_tokens.issue(), ports.get(False, 0), ports.get(True, 0))
        headers = {hdrs.CONTENT_TYPE: page.content_type, hdrs.CONTENT_SECURITY_POLICY: _page_policy(ports)}
        return web.Response(body=page.body, headers=headers)

    def _refuse(self, request: web.BaseRequest, origin: str | None, listener: Listener) -> web.Response:
        """403; a page of the old dialect is told in its own words, or it would advise an installation."""
        response = empty(403)
        if origin is None or not is_loopback_host(_only(request, hdrs.HOST) or "", listener.port):
            return response
        if is_origin(origin):
            self._refused(origin)
        if self._dialect is not None and listener.tls and request.method == hdrs.METH_POST:
            response.body = self._refusal
            response.content_type = "application/json"
            _allow_origin(response, origin)
        return response

    async def _serve(
        self, request: web.BaseRequest, path: str, admission: Admission, listener: Listener
    ) -> web.StreamResponse:
        door, method = admission.door, request.method
        if door is Door.LOCAL_PROGRAM and not self._token.admits(request.headers.get(hdrs.AUTHORIZATION)):
            return empty(403)
        if door is Door.PUBLIC and path == "/status":
            response = web.Response(body=pages.STATUS, content_type="application/json")
            _allow_origin(response, "*")
            return response
        # A site that asks for the page asks for its token: it may read whatever it is answered.
        if method == hdrs.METH_GET and path == "/" and door in (Door.PUBLIC, Door.OWN_PAGE):
            return self._index(listener)
        if method == hdrs.METH_GET and path in pages.static():
            page = pages.static()[path]
            return web.Response(body=page.body, headers={hdrs.CONTENT_TYPE: page.content_type})
        if door is Door.OWN_PAGE:
            if path != WEBSOCKET_PATH or not self._page_tokens.redeem(request.query.get("page", "")):
                return empty(403)
            return await self._native.serve(request, admission.origin, own_page=True)
        if method == hdrs.METH_OPTIONS:
            return _preflight()
        if method == hdrs.METH_GET and path == WEBSOCKET_PATH:
            return await self._native.serve(request, admission.origin)
        if method == hdrs.METH_POST and listener.tls and self._dialect and admission.origin:
            if self._hopeless(admission.origin):
                # At its very first call: a page whose Echo is answered goes on, call after call.
                return self._refuse(request, admission.origin, listener)
            try:
                body = await _form(request)
            except web.HTTPException as stopped:
                return self._excused(request, listener, stopped.status)
            answer = await self._dialect.handle(admission.origin, body)
            return web.Response(body=answer, content_type="application/json")
        return empty(404)


def _page_policy(ports: Mapping[bool, int]) -> str:
    """The content security policy of our own page: nothing from elsewhere, nothing inline.

    Args:
        ports: our port by whether it speaks TLS; the page tries both.
    """
    places = " ".join(
        f"http{'s' * tls}://{host}:{port} ws{'s' * tls}://{host}:{port}"
        for tls, port in sorted(ports.items())
        for host in ("localhost", "127.0.0.1")
    )
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        f" connect-src 'self' {places};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _only(request: web.BaseRequest, name: str) -> str | None:
    """A header; several of one name are joined, which is no valid origin or host."""
    values = request.headers.getall(name, ())
    return ", ".join(values) if values else None


def empty(status: int) -> web.Response:
    """No words, and the connection ends, so that nobody goes on sending."""
    response = web.Response(status=status, headers=SECURITY_HEADERS)
    response.force_close()
    return response


def _preflight() -> web.Response:
    """The answer to a CORS preflight, and to the older Private Network Access one."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Allow-Private-Network": "true",
        },
    )


def _allow_origin(response: web.StreamResponse, origin: str) -> None:
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    if origin != "*":
        response.headers[hdrs.VARY] = "Origin"


async def _form(request: web.BaseRequest) -> bytes:
    """The body of a form, read within limits of size and time.

    Raises:
        web.HTTPException: 415 for another content type or an encoded body, 413, 408.
    """
    if request.content_type != FORM or hdrs.CONTENT_ENCODING in request.headers:
        raise web.HTTPUnsupportedMediaType
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            while not request.content.at_eof():
                body += await request.content.readany()
                if len(body) > BODY_BYTES_MAX:
                    raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return bytes(body)
