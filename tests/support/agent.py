"""A whole agent in this process: real sockets, real operations, simulated cards, a scripted person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from agent.config import Config, HipkiSettings, OriginSettings, PortSettings, ServiSignSettings
from agent.daemon import Daemon
from agent.interaction.scripted import ScriptedInteraction
from agent.paths import Paths
from agent.server import token
from pcsc.service import Service
from pcsc.virtual import VirtualReader, VirtualWinscard
from tests.support.cards import simulated
from tests.support.waiting import until_async

PORTAL = "https://portal.example.tw"
DENIED = "https://denied.example.tw"
_ANSWER_SECONDS = 60.0
"""A machine that runs all tests at once is slow."""
ORIGINS = OriginSettings(allow=frozenset((PORTAL,)), deny=frozenset((DENIED,)))
ANY_PORT = Config(
    origins=ORIGINS,
    ports=PortSettings(native=0),
    servisign=ServiSignSettings(ports=(0,)),
    hipki=HipkiSettings(port=0),
)


@dataclass
class RunningAgent:
    """What a test holds of an agent.

    Attributes:
        daemon: the agent.
        readers: its virtual readers, in the order of the cards given.
        interaction: its person.
        http: a client that trusts its CA.
    """

    daemon: Daemon
    readers: list[VirtualReader]
    interaction: ScriptedInteraction
    paths: Paths
    http: aiohttp.ClientSession

    async def notices_shown(self) -> None:
        """Wait until the person has seen every notice that is due."""
        while notices := self.daemon._notices:
            await asyncio.wait(notices)

    @property
    def clear(self) -> str:
        """Base address in the clear."""
        return f"http://127.0.0.1:{self.daemon.native_port}"

    @property
    def tls(self) -> str:
        """Base address with TLS."""
        return f"https://localhost:{self.daemon.tls_port}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a local program."""
        return {"Authorization": f"Bearer {token.read(self.paths.token)}"}

    @asynccontextmanager
    async def page(self, origin: str | None = PORTAL, base: str | None = None) -> AsyncIterator[Page]:
        """A WebSocket as a page of `origin` opens it; None is a local program with the token."""
        headers = self.bearer if origin is None else {"Origin": origin}
        async with self.http.ws_connect(
            f"{base or self.clear}/v1", headers=headers, max_msg_size=0, autoping=True
        ) as socket:
            yield Page(socket)


@dataclass
class Page:
    """One native connection.

    Attributes:
        notifications: what was told unasked while an answer was awaited.
    """

    socket: aiohttp.ClientWebSocketResponse
    notifications: list[dict[str, Any]] = field(default_factory=list)
    _last: int = 0
    _answers: dict[Any, dict[str, Any]] = field(default_factory=dict)

    async def send(self, method: str, **params: Any) -> int:
        """Send a request; its id."""
        self._last += 1
        await self.socket.send_json({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        return self._last

    async def answer(self, request_id: int | None) -> dict[str, Any]:
        """The whole response to a request."""
        while request_id not in self._answers:
            message = json.loads(await self.socket.receive_str(timeout=_ANSWER_SECONDS))
            if "method" in message:
                self.notifications.append(message)
            else:
                self._answers[message["id"]] = message
        return self._answers.pop(request_id)

    async def notification(self) -> dict[str, Any]:
        """The next notification."""
        while not self.notifications:
            message = json.loads(await self.socket.receive_str(timeout=_ANSWER_SECONDS))
            assert "method" in message, message
            self.notifications.append(message)
        return self.notifications.pop(0)

    async def call(self, method: str, **params: Any) -> Any:
        """The result of a request that must succeed."""
        message = await self.answer(await self.send(method, **params))
        assert "result" in message, message
        return message["result"]

    async def failing(self, method: str, **params: Any) -> dict[str, Any]:
        """The error of a request that must fail."""
        message = await self.answer(await self.send(method, **params))
        assert "error" in message, message
        return dict(message["error"])

    async def end(self) -> int:
        """Wait until the agent closes the connection, whatever it says before; its code (RFC 6455 §7.4).

        The socket's own `close_code` is another one where the connection is gone before this side can answer.
        """
        while (message := await self.socket.receive(timeout=_ANSWER_SECONDS)).type is not WSMsgType.CLOSE:
            assert message.type is WSMsgType.TEXT, message
        return int(message.data)


@asynccontextmanager
async def running_agent(
    folder: Path,
    kinds: Iterable[str] = ("hpc",),
    *,
    interaction: ScriptedInteraction | None = None,
    config: Config = ANY_PORT,
    delay_ms: int = 0,
    names: Sequence[str] = (),
) -> AsyncIterator[RunningAgent]:
    """An agent with one virtual reader, called as in `names`, for each kind of card; an empty one for "".

    It knows of the readers.
    """
    winscard = VirtualWinscard()
    readers = []
    for number, kind in enumerate(kinds):
        reader = winscard.add_reader(names[number] if names else f"Virtual Reader {number}")
        if kind:
            reader.insert(simulated(kind, delay_ms=delay_ms))
        readers.append(reader)
    person = interaction or ScriptedInteraction(pins=["123456"] * 8)
    paths = Paths(folder, folder)
    async with (
        Daemon(config, Service(winscard), person, paths, simulated=True) as daemon,
        _client(daemon) as http,
    ):
        watched = daemon.operations._workflow.readers
        # A page that is there earlier is told that readers came, in between whatever it does.
        await until_async(lambda: watched._last is not None, "the agent knows no readers")
        yield RunningAgent(daemon, readers, person, paths, http)


def _client(daemon: Daemon) -> aiohttp.ClientSession:
    """A client that trusts the agent's CA."""
    import ssl

    context = ssl.create_default_context(cafile=str(daemon.identity.ca))
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context), timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    )
