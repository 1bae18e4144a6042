"""A page of the demo portal without a browser: the same requests, the same Origin header, the same trust.

It stands in for login.js and apply.js in the demo's steps, and does what the browser would do for a page:
sends `Origin`, keeps cookies, refuses a server that it has no reason to trust.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final, Self

import aiohttp

SECONDS: Final = 30.0


class RefusedError(Exception):
    """The agent or the portal refused, in sentences for the person.

    Attributes:
        id: the stable id of the error.
        zh: what happened and what to do next, Traditional Chinese.
        en: the same in English.
        tries_left: PIN errors, where the card said so.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.id = str(error["id"])
        self.zh = " ".join(filter(None, (error["zh"], error.get("nextZh"))))
        self.en = " ".join(filter(None, (error["en"], error.get("nextEn"))))
        self.tries_left: int | None = error.get("triesLeft")
        super().__init__(f"{self.id}: {self.en}")


class OriginRefusedError(Exception):
    """The agent did not let this origin in: HTTP status 403 in place of a WebSocket."""


class PageClient:
    """One open page; an async context manager.

    Args:
        portal: the origin of the portal.
        agent: the origin of the agent.
        trusted: PEM certificates of the agent's and the portal's authorities.
        origin: what the browser would send as Origin; the portal's unless it is a stranger's page.

    Attributes:
        http: sends requests as the browser does.
    """

    http: aiohttp.ClientSession

    def __init__(self, portal: str, agent: str, trusted: str, *, origin: str = "") -> None:
        self.origin = origin or portal
        self._portal = portal
        self._agent = agent
        self._tls = ssl.create_default_context(cadata=trusted)
        self._next_id = 0
        self._csrf = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            headers={"Origin": self.origin},
        )
        return self

    async def __aexit__(self, *details: object) -> None:
        if self._socket is not None:
            await self._socket.close()
        await self.http.close()

    async def agent_status(self) -> int:
        """Return the HTTP status of `GET /status`, by which a page tells *refused* from *not running*."""
        async with self.http.get(f"{self._agent}/status") as answer:
            return answer.status

    async def connect(self) -> Mapping[str, Any]:
        """Open the WebSocket and return the agent's answer to hello.

        Raises:
            OriginRefusedError: if the agent refused this origin.
        """
        try:
            self._socket = await self.http.ws_connect(f"{self._agent}/v1")
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 403:
                raise OriginRefusedError from None
            raise
        return await self.call("agent.hello")

    async def call(self, method: str, **params: object) -> Mapping[str, Any]:
        """Return the result of one request of the native API (JSON-RPC 2.0).

        Raises:
            RefusedError: if the agent answered with an error.
        """
        if self._socket is None:
            raise RuntimeError("connect first")
        self._next_id += 1
        request = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        await self._socket.send_json(request)
        answer: dict[str, Any] = {}
        while answer.get("id") != self._next_id:
            answer = await self._socket.receive_json(timeout=SECONDS)
        if "error" in answer:
            raise RefusedError(answer["error"]["data"])
        result: Mapping[str, Any] = answer["result"]
        return result

    async def open(self) -> None:
        """Load the portal's first page: its cookie, and the secret that comes with it."""
        self._csrf = (await self._answer("GET", "/api/session"))["csrf"]

    async def post(self, path: str, **body: object) -> Mapping[str, Any]:
        """Send something to the portal's server and return its answer.

        Raises:
            RefusedError: if the server refused.
        """
        return await self._answer("POST", path, body)

    async def token(self, reader: str) -> Mapping[str, Any]:
        """Return a login token from the card in `reader`, over a fresh nonce of the portal."""
        nonce = (await self.post("/api/nonce"))["nonce"]
        return await self.call("authenticate", nonce=nonce, reader=reader)

    async def log_in(self, role: str, token: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a token to the portal and return who logged in, as its server verified it."""
        return await self.enter("/api/login", role=role, token=token)

    async def enter(self, path: str, **body: object) -> Mapping[str, Any]:
        """Send a proof to the portal and return who logged in, as its server verified it."""
        answer = await self.post(path, **body)
        self._csrf = answer["csrf"]
        signed_in: Mapping[str, Any] = answer["signedIn"]
        return signed_in

    async def sign(self, document: str, reader: str) -> str:
        """Return the card's signature of a text, base64."""
        encoded = base64.b64encode(document.encode()).decode("ascii")
        signed = await self.call(
            "sign", document=encoded, hash="SHA-256", format="pkcs1", key="signature", reader=reader
        )
        return str(signed["signature"])

    async def _answer(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        headers = {"X-CSRF-Token": self._csrf, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        async with self.http.request(method, self._portal + path, data=data, headers=headers) as response:
            answer: Mapping[str, Any] = await response.json()
            if response.status != 200:
                raise RefusedError(answer["error"])
            return answer
