"""What every answer over HTTP has in common: headers, emptiness where it refuses, the form that it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11

from agent import __version__
from agent.errors import AgentError
from agent.places import Places

BODY_BYTES_MAX: Final = 1024 * 1024
DOCUMENT_BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""What ServiSign pages sign is in it in base64 of base64 of base64: 1.7 MB of it fit."""
BODY_SECONDS_MAX: Final = 10.0
FORM: Final = "application/x-www-form-urlencoded"
_DESTINATION: Final = "Sec-Fetch-Dest"
_SITE: Final = "Sec-Fetch-Site"
_MODE: Final = "Sec-Fetch-Mode"

VERSION_HEADER: Final = "HCA-Agent-Version"
"""Which version answers, for programs of this computer: no page of another site can read it (Fetch, CORS)."""

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


def only(request: web.BaseRequest, name: str) -> str | None:
    """Return a header; several of one name are joined, which is no valid origin or host."""
    values = request.headers.getall(name, ())
    return ", ".join(values) if values else None


def is_part_of_another_page(request: web.BaseRequest) -> bool:
    """Whether a browser loads this as an image, a frame or the like of another site's page (Fetch Metadata).

    A page that is opened in a window of its own is none, nor is what an old browser asks for without saying.
    """
    return only(request, _DESTINATION) not in (None, "document") and only(request, _SITE) != "same-origin"


def is_seen(request: web.BaseRequest) -> bool:
    """Whether a browser shows the answer to the person as a page, in a window or a frame (Fetch Metadata)."""
    return only(request, _MODE) == "navigate"


def empty(status: int) -> web.Response:
    """No words, and the connection ends, so that nobody goes on sending."""
    response = web.Response(status=status, headers=SECURITY_HEADERS)
    response.force_close()
    return response


def preflight() -> web.Response:
    """Return the answer to a CORS preflight, and to the older Private Network Access one."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Allow-Private-Network": "true",
        },
    )


def allow_origin(response: web.StreamResponse, origin: str) -> None:
    """Let pages of `origin` read the answer; "*" for what anybody may read."""
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    if origin != "*":
        response.headers[hdrs.VARY] = "Origin"


def for_anybody(body: bytes) -> web.Response:
    """JSON that pages of any origin may read."""
    response = web.Response(body=body, content_type="application/json")
    response.headers[VERSION_HEADER] = __version__
    allow_origin(response, "*")
    return response


@contextmanager
def room(
    request: web.BaseRequest, load: Places, origin: str | None, most: int = BODY_BYTES_MAX
) -> Iterator[None]:
    """Run the body while there is room for what `request` brings; one that does not say brings the most.

    Raises:
        web.HTTPException: 429, there is none.
    """
    size = request.content_length
    try:
        place = load.take(origin, most if size is None else min(size, most))
    except AgentError:
        raise web.HTTPTooManyRequests from None
    try:
        yield
    finally:
        load.give_back(place)


async def form(request: web.BaseRequest, most: int = BODY_BYTES_MAX) -> bytes:
    """Read the body of a form of at most so many bytes, within a limit of time.

    Raises:
        web.HTTPException: 415 for another content type or an encoded body, 413, 408.
    """
    if request.content_type != FORM or hdrs.CONTENT_ENCODING in request.headers:
        raise web.HTTPUnsupportedMediaType
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most)
    if (only(request, hdrs.EXPECT) or "").lower() == "100-continue" and request.version == HttpVersion11:
        # Some programs, .NET's among them, send no body before they are told to (RFC 9110 §10.1.1).
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # or a later error would find its answer begun
    content, body = request.content, bytearray()
    # What came together with the head needs no clock.
    waits = nullcontext() if content.is_eof() else asyncio.timeout(BODY_SECONDS_MAX)
    try:
        async with waits:
            while not content.at_eof():
                body += await content.readany()
                if len(body) > most:
                    raise web.HTTPRequestEntityTooLarge(most)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return bytes(body)
