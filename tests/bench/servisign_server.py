"""The servers that are compared, in one process: the agent with a simulated card, and a bare aiohttp echo.

    python -m tests.bench.servisign_server FOLDER

prints one line of JSON with the ports, and serves until its standard input ends. Both have the agent's TLS
identity. `GET /card` of the echo answers two numbers of nanoseconds: how long PC/SC worked so far, and how
long the card was held.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from agent.config import Config, HipkiSettings, LimitSettings, OriginSettings, PortSettings, ServiSignSettings
from agent.daemon import Daemon
from agent.interaction.scripted import Headless
from agent.paths import Paths
from hca_card.simulator.faults import Wrapper
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from pcsc.winscard import VirtualCard
from tests.support.cards import simulated

ORIGIN: Final = "https://portal.example.tw"
_SIGN: Final = bytes.fromhex("002A")  # PERFORM SECURITY OPERATION, ISO 7816-8


class QuickCard(Wrapper):
    """A card that makes each signature once: the simulator's arithmetic would heat the processor for nothing.

    A card of plastic computes elsewhere. Every other command is the simulator's own, the PIN's included.
    """

    def __init__(self, card: VirtualCard) -> None:
        super().__init__(card)
        self._made: dict[bytes, bytes] = {}

    def transmit(self, command: bytes) -> bytes:
        if not command.startswith(_SIGN):
            return self._card.transmit(command)
        if command not in self._made:
            self._made[command] = self._card.transmit(command)
        return self._made[command]


class TimedWinscard:
    """PC/SC that knows how long it has taken.

    Attributes:
        working: nanoseconds in functions of winscard.h so far; waiting for a change is not work.
        held: nanoseconds in which a card was held, from SCardConnect to SCardDisconnect, and in the functions
            that need no card.
    """

    def __init__(self, winscard: VirtualWinscard) -> None:
        self._winscard = winscard
        self._since: dict[int, int] = {}
        self.working = 0
        self.held = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._winscard, name)

        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter_ns()
            try:
                return function(*arguments)
            finally:
                end = time.perf_counter_ns()
                self._took(name, begin, end)
                # Keeping the books is no work of the agent's.
                self.working += time.perf_counter_ns() - end

        def timed_unless_waiting(context: Any, milliseconds: int, *arguments: Any) -> Any:
            return (function if milliseconds else timed)(context, milliseconds, *arguments)

        wrapper = timed_unless_waiting if name == "SCardGetStatusChange" else timed
        setattr(self, name, wrapper)
        return wrapper

    def _took(self, name: str, begin: int, end: int) -> None:
        self.working += end - begin
        thread = threading.get_ident()
        if name == "SCardConnect":
            self._since[thread] = begin
        elif name == "SCardDisconnect":
            self.held += end - self._since.pop(thread, begin)
        elif thread not in self._since:
            self.held += end - begin


async def _serve(folder: Path) -> None:
    virtual = VirtualWinscard()
    virtual.add_reader("Virtual Reader 0").insert(QuickCard(simulated("hpc")))
    winscard = TimedWinscard(virtual)
    config = Config(
        origins=OriginSettings(allow=frozenset((ORIGIN,))),
        ports=PortSettings(native=0),
        hipki=HipkiSettings(port=0),
        servisign=ServiSignSettings(ports=(0,)),
        limits=LimitSettings(requests=10_000, burst=10_000),
    )

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    async def worked(_request: web.Request) -> web.Response:
        return web.Response(text=f"{winscard.working} {winscard.held}")

    application = web.Application()
    application.add_routes([web.post("/", echo), web.get("/card", worked)])
    runner = web.AppRunner(application, access_log=None)
    async with Daemon(config, Service(winscard), Headless(), Paths(folder, folder), simulated=True) as daemon:
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener, ssl_context=daemon.identity.context()).start()
        ports = {"agent": daemon.tls_port, "echo": listener.getsockname()[1], "ca": str(daemon.identity.ca)}
        print(json.dumps(ports), flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
