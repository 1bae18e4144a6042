"""A portal page's adapter, both generations of it, as the bytes it sends; and an origin that uses it."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from agent.dialects.servisign import ServiSignDialect
from tests.support.operations import until

Handle = Callable[[str, bytes], Awaitable[bytes]]

PCSC_PATH_ID = "6BD4EA2493354E298DD0B09B72A5EA59"
NHI_PATH_ID = "18463EED6A6E496BB4381EA090DA5882"


class Text(str):
    """An argument that the adapter's template declares as a string: always marked and encoded."""


def marked(value: str) -> str:
    """How a string argument is written: percent-encoded base64, empty stays empty."""
    return quote(base64.b64encode(value.encode()).decode("ascii"), safe="") if value else ""


def body_of(request: dict[str, Any]) -> bytes:
    """The form body of a request."""
    text = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return b"Parameter=" + quote(base64.b64encode(text.encode()).decode("ascii"), safe="").encode("ascii")


def reply_of(body: bytes) -> dict[str, str]:
    """What the newer adapter makes of a reply: it must begin and end with braces."""
    assert body[:1] == b"{"
    assert body[-1:] == b"}"
    members = json.loads(body)
    return {name: base64.b64decode(value, validate=True).decode("utf-8") for name, value in members.items()}


class Page:
    """One adapter object of a page.

    Args:
        handle: the server.
        origin: the page's.
        generation: 2020 sends numbers raw (what it was given as strings as strings); 2022 marks everything.
        path_id: which library the page asked for.
        tab_mode: 1 shares one session among the browser's tabs.
    """

    def __init__(
        self,
        handle: Handle,
        origin: str = "https://e-service.mohw.gov.tw",
        *,
        generation: int = 2020,
        path_id: str = PCSC_PATH_ID,
        tab_mode: int = 0,
    ) -> None:
        self._handle = handle
        self.origin = origin
        self._generation = generation
        self._path_id = path_id
        self._tab_mode = tab_mode
        self.session_id = ""
        self.versions: dict[str, str] = {}

    async def echo(self) -> str:
        """Find the program; the result's text."""
        self.session_id = "Chrome" if self._tab_mode else ""
        name = "Echo" if self._generation == 2020 else "ServiSignEcho"
        reply = await self.send(self.request(name))
        self.session_id = reply.pop("SessionID", "")
        result = reply.pop("result")
        self.versions = reply
        return result

    async def call(self, function: str, **arguments: Any) -> str:
        """Call a function; the result's text."""
        return (await self.send(self.request(function, **arguments)))["result"]

    async def error(self) -> str:
        """What GetErrorCode of this page's library says."""
        return await self.call("ATL_GetErrorCode" if self._path_id == PCSC_PATH_ID else "GetErrorCode")

    async def good(self, function: str, **arguments: Any) -> str:
        """Call a function that must succeed."""
        result = await self.call(function, **arguments)
        assert await self.error() == "0", (function, result)
        return result

    async def failing(self, function: str, **arguments: Any) -> tuple[str, str]:
        """Call a function; its result and the error code."""
        result = await self.call(function, **arguments)
        return result, await self.error()

    async def send(self, request: dict[str, Any]) -> dict[str, str]:
        """Send a request as it is."""
        return reply_of(await self._handle(self.origin, body_of(request)))

    def request(self, function: str, **arguments: Any) -> dict[str, Any]:
        """The JSON of a request, keys in the adapter's order."""
        request: dict[str, Any] = {"functionname": function}
        for name, value in arguments.items():
            if isinstance(value, Text) or self._generation == 2022:
                request[name + "_ServiSignBase64Flag"] = True
                request[name] = marked(str(value))
            else:
                request[name] = value
        if arguments:
            request["ServiSignFunctionIndex"] = 0
        return request | {
            "comname": "",
            "libdir": "",
            "sessionid": self.session_id,
            "ServiSignTabMode": self._tab_mode,
            "ServiSignBrowser": "Chrome",
            "JSVersion": "1.0.18.1219" if self._generation == 2020 else "1.0.20.0423",
            "minlibversion": "0.0.0.0",
            "minserverversion": "0.0.0.0",
            "InstallerName": "HCAServiSignAdapterSetup",
            "PathID": self._path_id,
            "ServiSignJSGenTime": "2020-03-10 13:29:41",
            "AdapterJsonKeyCheck": True,
        }


def items(listed: str) -> list[str]:
    """What the adapter makes of a list: it drops the last piece, whatever it is."""
    return listed.split(";")[:-1]


async def until_waiting(dialect: ServiSignDialect, calls: int) -> None:
    """Wait until so many calls of all sessions are at work or wait for their turn."""
    await until(lambda: sum(each.waiting for each in dialect._sessions._sessions.values()) == calls)
