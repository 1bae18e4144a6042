"""Refusals that a person sees in a window of the browser: a sentence and what to do next, no blank page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Final

from aiohttp import hdrs, web

from agent.errors import ErrorId, table

_STYLE: Final = (
    ":root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "font:1rem/1.5 system-ui,'Noto Sans TC','PingFang TC','Microsoft JhengHei',sans-serif}"
    "main{max-width:34rem;padding:1rem}h1{font-size:1.2rem}p{overflow-wrap:anywhere}small{font-size:.9rem}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# What cannot be told to a person in a window from the status alone is a faulty request.
_OF_STATUS: Final[Mapping[int, ErrorId]] = MappingProxyType(
    {
        403: ErrorId.ORIGIN_REFUSED,
        404: ErrorId.REQUEST_UNKNOWN_METHOD,
        413: ErrorId.REQUEST_TOO_LARGE,
        429: ErrorId.REQUEST_RATE,
    }
)


def page(what: tuple[str, str], step: tuple[str, str], *, status: int = 200) -> web.Response:
    """Return a page that says one thing.

    Args:
        what: what it is about, in Chinese and English.
        step: what to do next, likewise.
        status: of HTTP.
    """
    (zh, en), (next_zh, next_en) = (tuple(map(escape, each)) for each in (what, step))
    body = (
        '<!doctype html><html lang="zh-Hant"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>HCA Card Agent</title><style>{_STYLE}</style>"
        f"<main><p>HCA Card Agent</p><h1>{zh}</h1><p>{next_zh}</p>"
        f'<small lang="en">{en} {next_en}</small></main></html>'
    )
    headers = {
        hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
        hdrs.CONTENT_SECURITY_POLICY: _POLICY,
    }
    return web.Response(text=body, status=status, headers=headers)


def of_refusal(status: int) -> web.Response:
    """Return the page about a request that was refused with that HTTP status; the connection ends."""
    row = table()[_OF_STATUS.get(status, ErrorId.REQUEST_MALFORMED)]
    response = page((row.zh, row.en), (row.next_zh, row.next_en), status=status)
    response.force_close()
    return response
