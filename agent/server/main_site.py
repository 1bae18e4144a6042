"""What the main ports serve: the native API, our own pages, and over TLS the ServiSign dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Final, Protocol

from aiohttp import hdrs, web

from agent import metrics
from agent.access.policy import Admission, AdmissionKind, Listener
from agent.native.api import NativeApi
from agent.server import pages
from agent.server.gate import Refused
from agent.server.http import (
    DOCUMENT_BODY_BYTES_MAX,
    empty,
    form,
    is_part_of_another_page,
    only,
    preflight,
    room,
)
from agent.server.page_tokens import PageTokens

WEBSOCKET_PATH: Final = "/v1"

Measured = Callable[[], Awaitable[bytes]]
"""What monitoring reads, at the moment."""


class Dialect(Protocol):
    """An old dialect: one POST, one answer."""

    async def handle(self, origin: str, body: bytes) -> bytes:
        """Answer a request of an admitted origin."""
        ...

    def excuse(self, origin: str, status: int) -> bytes:
        """Return what a page of `origin` understands where its request ends with this HTTP status, unread."""
        ...


class MainSite:
    """The same on every main listener but for the old dialect, which wants TLS; an `agent.server.gate.Site`.

    Args:
        native: the native API.
        dialect: makes it when a page first speaks it; None where it is switched off.
        refusal: returns what the dialect's pages understand as a refusal, and stop trying.
        hopeless: whether an origin is not allowed, and nobody is there to be asked about it.
        measured: what monitoring reads; None where that is switched off.
    """

    cors = True

    def __init__(
        self,
        native: NativeApi,
        *,
        dialect: Callable[[], Dialect] | None,
        refusal: Callable[[], bytes],
        hopeless: Callable[[str], bool],
        measured: Measured | None = None,
    ) -> None:
        self._native = native
        self._dialect = None if dialect is None else cache(dialect)
        self._refusal = refusal
        self._hopeless = hopeless
        self._measured = measured
        self._page_tokens = PageTokens()

    def refusal(self, request: web.BaseRequest, listener: Listener) -> bytes | None:
        """Return what tells a page of the old dialect that it is not wanted."""
        return self._refusal() if self._of_dialect(request, listener) else None

    def excuse(self, request: web.BaseRequest, listener: Listener, status: int) -> bytes | None:
        """Return what tells a page of the old dialect that its request was not read."""
        origin = only(request, hdrs.ORIGIN)
        if self._dialect is None or origin is None or not self._of_dialect(request, listener):
            return None
        return self._dialect().excuse(origin, status)

    def _of_dialect(self, request: web.BaseRequest, listener: Listener) -> bool:
        return self._dialect is not None and listener.tls and request.method == hdrs.METH_POST

    async def serve(
        self, request: web.BaseRequest, path: str, admission: Admission, listener: Listener
    ) -> web.StreamResponse:
        """Answer an admitted request."""
        kind, method = admission.kind, request.method
        # A site that asks for the page asks for its token: it may read whatever it is answered.
        if (
            method == hdrs.METH_GET
            and path in pages.OWN
            and kind
            in (
                AdmissionKind.PUBLIC,
                AdmissionKind.OWN_PAGE,
            )
        ):
            # Tokens are few: another site's page, which cannot read one, may not use them up.
            return empty(403) if is_part_of_another_page(request) else self._own_page(path, listener)
        if method == hdrs.METH_GET and path in pages.PATHS:
            page = pages.static()[path]
            return web.Response(body=page.body, headers={hdrs.CONTENT_TYPE: page.content_type})
        if path == metrics.PATH and self._measured is not None and not listener.tls:
            return await _to_monitor(request, admission, self._measured)
        metrics.DIALECT.set("native")
        if kind is AdmissionKind.OWN_PAGE:
            if path != WEBSOCKET_PATH or not self._page_tokens.redeem(request.query.get("page", "")):
                return empty(403)
            return await self._native.serve(request, admission.origin, own_page=True)
        if method == hdrs.METH_OPTIONS:
            return preflight()
        if method == hdrs.METH_GET and path == WEBSOCKET_PATH:
            return await self._native.serve(request, admission.origin)
        if self._dialect and admission.origin and self._of_dialect(request, listener):
            if self._hopeless(admission.origin):
                # At its very first call: a page whose Echo is answered goes on, call after call.
                raise Refused
            metrics.DIALECT.set("servisign")
            with room(request, self._native.load, admission.origin, DOCUMENT_BODY_BYTES_MAX):
                body = await form(request, DOCUMENT_BODY_BYTES_MAX)
                answer = await self._dialect().handle(admission.origin, body)
            return web.Response(body=answer, content_type="application/json")
        return empty(404)

    def _own_page(self, path: str, listener: Listener) -> web.Response:
        ports = {tls: port for port, tls in listener.own_ports | {(listener.port, listener.tls)}}
        page = pages.index(path, self._page_tokens.issue(), ports.get(False, 0), ports.get(True, 0))
        headers = {hdrs.CONTENT_TYPE: page.content_type, hdrs.CONTENT_SECURITY_POLICY: _page_policy(ports)}
        return web.Response(body=page.body, headers=headers)


async def _to_monitor(request: web.BaseRequest, admission: Admission, measured: Measured) -> web.Response:
    """For programs alone: a browser says where a request comes from even where it names no origin."""
    if admission.origin is not None or any(name.lower().startswith("sec-fetch-") for name in request.headers):
        return empty(403)
    if request.method != hdrs.METH_GET:
        return empty(404)
    return web.Response(body=await measured(), headers={hdrs.CONTENT_TYPE: metrics.CONTENT_TYPE})


def _page_policy(ports: Mapping[bool, int]) -> str:
    """Return the content security policy of our own page: nothing from elsewhere, nothing inline.

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
