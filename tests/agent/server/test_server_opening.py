"""A port that is served before all behind it is open: it says who is there, and keeps nobody's request."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiohttp import web

from agent.access.policy import Admission, AdmissionKind, Listener
from agent.server import pages
from agent.server.gate import HttpSite
from agent.server.opening import OpeningSite

LISTENER = Listener(1065, False, frozenset({"/status"}), frozenset())
REQUEST = cast(web.BaseRequest, None)
PUBLIC = Admission(AdmissionKind.PUBLIC, None)
PAGE = Admission(AdmissionKind.PAGE, "https://portal.example.test")


class Site:
    """What is opened at last."""

    async def serve(self, _request: object, path: str, _admission: object, _listener: object) -> web.Response:
        return web.Response(text=path)

    def refusal(self, _request: object, _listener: object) -> bytes:
        return b"refused"

    def excuse(self, _request: object, _listener: object, status: int) -> bytes:
        return str(status).encode()


async def test_it_says_who_is_there_at_once_and_serves_the_others_when_it_is_open() -> None:
    opening = OpeningSite()
    told = await opening.serve(REQUEST, "/status", PUBLIC, LISTENER)
    assert isinstance(told, web.Response) and told.body == pages.STATUS
    waiting = [asyncio.create_task(opening.serve(REQUEST, "/v1", PAGE, LISTENER)) for _ in range(2)]
    await asyncio.sleep(0)
    assert opening.refusal(REQUEST, LISTENER) is opening.excuse(REQUEST, LISTENER, 429) is None
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not opening.is_open
    opening.open(cast(HttpSite, Site()))
    served = await waiting[1]
    assert isinstance(served, web.Response) and served.text == "/v1"
    assert opening.refusal(REQUEST, LISTENER) == b"refused"
    assert opening.excuse(REQUEST, LISTENER, 429) == b"429"


async def test_nobody_waits_for_what_does_not_come() -> None:
    opening = OpeningSite()
    waiting = asyncio.create_task(opening.serve(REQUEST, "/v1", PAGE, LISTENER))
    await asyncio.sleep(0)
    opening.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not opening.is_open
