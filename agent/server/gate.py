"""Every HTTP request from its head to what is served: who asks, then how much, then what.

Nothing of a body is read before `agent.access.policy.admit` has said yes to the head. What is served behind
the gate is a `Site`, one for each listener.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import hdrs, web

from agent.access.policy import Admission, AdmissionKind, Listener, admit, is_ours
from agent.access.rates import OriginRates
from agent.config import OriginSettings
from agent.errors import AgentError
from agent.origins.spelling import is_origin
from agent.places import Places, Rank
from agent.server import sentences
from agent.server.http import SECURITY_HEADERS, allow_origin, empty, is_seen, only
from agent.server.token import UserToken

REQUESTS_MAX: Final = 1024
REQUESTS_OF_STRANGERS_MAX: Final = 64
"""WebSocket connections are such requests too."""

_KEPT: Final = (hdrs.UPGRADE, hdrs.SEC_WEBSOCKET_VERSION)
"""What 426 has to say (RFC 9110 §15.5.22, RFC 6455 §4.4)."""


class Refused(Exception):  # noqa: N818  (it is an answer, not a fault)
    """Raised by a site: this origin is turned away after all."""


class HttpSite(Protocol):
    """What one listener serves.

    Attributes:
        cors: whether pages may read the answers by fetch and XMLHttpRequest.
    """

    cors: bool

    async def serve(
        self, request: web.BaseRequest, path: str, admission: Admission, listener: Listener
    ) -> web.StreamResponse:
        """Answer a request that was admitted; a local program has shown its token.

        Raises:
            Refused: not this origin.
            web.HTTPException: its status is the answer.
        """
        ...

    def refusal(self, request: web.BaseRequest, listener: Listener) -> bytes | None:
        """Return the body, JSON, of a refusal that this site's pages understand; None for no body."""
        ...

    def excuse(self, request: web.BaseRequest, listener: Listener, status: int) -> bytes | None:
        """Return the body, JSON, that its pages need where a request ends with `status` unread, or None."""
        ...


class Gate:
    """What stands before a site.

    Args:
        site: what is served.
        origins: the configured lists.
        token: what lets local programs in.
        refused: called with every origin that was turned away.
        answered: called with every answer's HTTP status.
        rate: how often one origin may ask, at all gates together.
        places: for requests that are being answered, at all gates together.
    """

    def __init__(
        self,
        site: HttpSite,
        origins: OriginSettings,
        token: UserToken,
        *,
        refused: Callable[[str], None],
        answered: Callable[[int], None],
        rate: OriginRates,
        places: Places,
    ) -> None:
        self._site = site
        self._origins = origins
        self._token = token
        self._refused = refused
        self._answered = answered
        self._rate = rate
        self._places = places

    def knows(self, request: web.BaseRequest) -> bool:
        """Return whether `request` comes from an origin that something is allowed, or from an own program.

        Without an origin the token tells: a page's picture of this address has none either.
        """
        origin = only(request, hdrs.ORIGIN)
        if origin is None:
            return self._token.admits(request.headers.get(hdrs.AUTHORIZATION))
        return self._places.rank(origin) is not Rank.STRANGER

    async def answer(self, request: web.BaseRequest, listener: Listener) -> web.StreamResponse:
        """Answer one request that arrived at `listener`."""
        origin, path = only(request, hdrs.ORIGIN), request.rel_url.raw_path
        admission = admit(
            origin,
            only(request, hdrs.HOST),
            request.method,
            path,
            listener=listener,
            origins=self._origins,
        )
        response: web.StreamResponse
        try:
            response = await self._admitted(request, path, admission, listener)
        except Refused:
            response = self._refuse(request, origin, listener)
        except web.HTTPException as stopped:
            response = self._excused(request, listener, stopped.status)
            response.headers.update(
                (each, stopped.headers[each]) for each in _KEPT if each in stopped.headers
            )
        if (
            response.status >= 400
            and _is_blank(response)
            and is_seen(request)
            and is_ours(only(request, hdrs.HOST), listener)
        ):
            response = sentences.of_refusal(response.status)
        if not response.prepared:  # a WebSocket is, and over
            for name, value in SECURITY_HEADERS.items():
                response.headers.setdefault(name, value)
            if admission.origin is not None and self._site.cors:
                allow_origin(response, admission.origin)
        self._answered(response.status)
        return response

    async def _admitted(
        self, request: web.BaseRequest, path: str, admission: Admission, listener: Listener
    ) -> web.StreamResponse:
        if admission.kind is AdmissionKind.REFUSED:
            raise Refused
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if admission.kind is AdmissionKind.LOCAL_PROGRAM and not self._token.admits(authorization):
            return empty(403)
        # A page of ours asks for another site, whom its own site counts.
        origin = admission.origin if admission.kind is AdmissionKind.PAGE else None
        try:
            place = self._places.take(origin)
        except AgentError:
            return self._excused(request, listener, 429)
        try:
            if wait := self._rate.take(origin) if origin else 0.0:
                await self._rate.hold_up(origin)
                response = self._excused(request, listener, 429)
                response.headers[hdrs.RETRY_AFTER] = str(math.ceil(wait))
                return response
            return await self._site.serve(request, path, admission, listener)
        finally:
            self._places.give_back(place)

    def _excused(self, request: web.BaseRequest, listener: Listener, status: int) -> web.Response:
        """Not served; to pages of an old dialect with a body, for want of which they take an old result."""
        return _with_body(empty(status), self._site.excuse(request, listener, status))

    def _refuse(self, request: web.BaseRequest, origin: str | None, listener: Listener) -> web.Response:
        """Answer 403, to a page of an old dialect in its own words, or it would advise an installation."""
        response = empty(403)
        if origin is None or not is_ours(only(request, hdrs.HOST), listener):
            return response
        if is_origin(origin):
            self._refused(origin)
        body = self._site.refusal(request, listener)
        if body is not None:
            allow_origin(_with_body(response, body), origin)
        return response


def _is_blank(response: web.StreamResponse) -> bool:
    return isinstance(response, web.Response) and not response.body


def _with_body(response: web.Response, body: bytes | None) -> web.Response:
    if body is not None:
        response.body = body
        response.content_type = "application/json"
    return response
