"""A whole agent in a thread of its own, and a page that talks to it over one TLS connection."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.config import Config, HipkiSettings, LimitSettings, OriginSettings, PortSettings, ServiSignSettings
from agent.interaction.scripted import ScriptedInteraction
from hca_card.simulator import SimulatedCard
from pcsc.virtual import VirtualReader
from tests.support.agent import RunningAgent, running_agent
from tests.support.cards import simulated
from tests.support.outside_world import AllowedHosts
from tests.support.servisign_page import NHI_PATH_ID, PCSC_PATH_ID, Text, body_of, marked, reply_of

ORIGIN = "https://e-service.mohw.gov.tw"
PIN, PUK = "123456", "12345678"
DEADLINE = 30
_IDLE_SECONDS = 5
"""Less than a new connection is given for its first word, and an old one between two requests."""


class Wire:
    """One TLS connection, used for request after request; opened again only as a browser would.

    That is after a while in which nothing was asked, and after a request that failed.
    """

    def __init__(self, port: int, authority: str) -> None:
        context = ssl.create_default_context(cafile=authority)
        self._connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=DEADLINE)
        self._connection.auto_open = False
        self._open()

    def _open(self) -> None:
        self._connection.close()
        self._connection.connect()
        self._used = time.monotonic()
        self._failed = False

    def post(self, origin: str, body: bytes) -> bytes:
        """The answer's body."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": origin,
            "Referer": origin + "/",
            "Accept": "*/*",
        }
        if self._failed or time.monotonic() - self._used > _IDLE_SECONDS:
            self._open()
        self._failed = True
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        self._failed, self._used = False, time.monotonic()
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == origin
        return answer

    def close(self) -> None:
        self._connection.close()


@dataclass
class Adapter:
    """One adapter object of a page: `tests.support.servisign_page.Page` without an event loop."""

    wire: Wire
    nhi: bool = False
    generation: int = 2020
    origin: str = ORIGIN
    session_id: str = ""

    def echo(self) -> Adapter:
        reply = self._send("Echo" if self.generation == 2020 else "ServiSignEcho", {})
        assert reply["result"] == "0"
        self.session_id = reply["SessionID"]
        return self

    def call(self, function: str, **arguments: Any) -> str:
        """The result's text. Texts are marked as the adapter marks them."""
        return self._send(function, arguments)["result"]

    def error(self) -> str:
        return self.call("GetErrorCode" if self.nhi else "ATL_GetErrorCode")

    def good(self, function: str, **arguments: Any) -> str:
        result = self.call(function, **arguments)
        code = self.error()
        assert code == "0", (function, result, code)
        return result

    def failing(self, function: str, **arguments: Any) -> tuple[str, str]:
        return self.call(function, **arguments), self.error()

    def _send(self, function: str, arguments: dict[str, Any]) -> dict[str, str]:
        request: dict[str, Any] = {"functionname": function}
        for name, value in arguments.items():
            if isinstance(value, Text) or self.generation == 2022:
                request[name + "_ServiSignBase64Flag"] = True
                request[name] = marked(str(value))
            else:
                request[name] = value
        request |= {
            "sessionid": self.session_id,
            "ServiSignTabMode": 0,
            "ServiSignBrowser": "Chrome",
            "PathID": NHI_PATH_ID if self.nhi else PCSC_PATH_ID,
        }
        return reply_of(self.wire.post(self.origin, body_of(request)))


@dataclass
class Place:
    """An agent that runs, with one card in its one reader.

    Attributes:
        person: whom it asks; `answers` is what that person types next.
    """

    agent: RunningAgent
    reader: VirtualReader
    card: SimulatedCard
    outside: AllowedHosts
    wire: Wire
    person: ScriptedInteraction
    answers: list[str | None] = field(default_factory=list)
    pairs: list[tuple[str, str] | None] = field(default_factory=list)

    def page(self, **options: Any) -> Adapter:
        """A new adapter object that has found the program."""
        return Adapter(self.wire, **options).echo()

    def put(self, kind: str) -> SimulatedCard:
        """Put another card into the reader."""
        self.reader.remove()
        self.card = simulated(kind)
        self.reader.insert(self.card)
        return self.card


@contextmanager
def served(folder: Path, outside: AllowedHosts, kind: str = "hpc", **settings: Any) -> Iterator[Place]:
    """An agent that may reach the outside world of the tests, and sign bare digests for `ORIGIN`."""
    answers: list[str | None] = []
    pairs: list[tuple[str, str] | None] = []
    person = ScriptedInteraction(pins=_taken(answers), pairs=_taken(pairs))
    config = Config(
        origins=OriginSettings(digest=frozenset((ORIGIN,))),
        ports=PortSettings(native=0),
        hipki=HipkiSettings(port=0),
        # These tests call faster, and cancel more windows in a minute, than any page may.
        limits=LimitSettings(requests=10_000, burst=10_000, questions=1000),
        servisign=ServiSignSettings(
            ports=(0,),
            **{
                "hosts": frozenset((outside.http, outside.ldap)),
                "timestamp_host": outside.http,
                "ldap_host": outside.ldap,
            }
            | settings,
        ),
    )
    started: dict[str, Any] = {}
    ready = threading.Event()

    async def run() -> None:
        ending = asyncio.Event()
        started["loop"], started["ending"] = asyncio.get_running_loop(), ending
        async with running_agent(folder, (kind,), interaction=person, config=config) as agent:
            started["agent"] = agent
            ready.set()
            await ending.wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            started["error"] = error
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    assert "error" not in started, started["error"]
    agent: RunningAgent = started["agent"]
    wire = Wire(agent.daemon.tls_port, str(agent.daemon.identity.ca))
    reader = agent.readers[0]
    try:
        card = simulated(kind)
        reader.remove()
        reader.insert(card)
        yield Place(agent, reader, card, outside, wire, person, answers, pairs)
    finally:
        wire.close()
        started["loop"].call_soon_threadsafe(started["ending"].set)
        thread.join(DEADLINE)


def _taken(queue: list[Any]) -> Iterator[Any]:
    while True:
        yield queue.pop(0) if queue else None
