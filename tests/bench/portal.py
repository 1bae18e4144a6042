"""A portal's signature through a real pcscd, beside a bare aiohttp server that sends the same commands.

The bare server is the least that a program between a page and a card can be: one POST over the same TLS, one
thread, pyscard's functions of PC/SC. What it sends was recorded from our own ServiSign signature: connect,
transaction, select, verify the PIN, sign, drop the PIN, end. The card takes ten milliseconds for a signature,
a fifteenth of what cards of plastic take: with none, two Python programs would be compared and no service.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

import aiohttp
from aiohttp import web

from agent.config import LimitSettings, OriginSettings
from agent.daemon import Daemon
from agent.interaction.scripted import ScriptedInteraction
from agent.paths import Paths
from pcsc import binding
from pcsc.service import Service
from tests.bench.cards import card_in
from tests.bench.servisign import HEADERS, PIN, SHA256_RSA
from tests.bench.servisign_server import ORIGIN
from tests.bench.tables import Table, milliseconds, ratio
from tests.bench.timed_card import SIGNATURE_SECONDS
from tests.support.agent import ANY_PORT
from tests.support.agent import Page as NativePage
from tests.support.pcscd import private_pcscd, why_not
from tests.support.servisign_page import Page, Text, body_of, reply_of

BOUNDS: Final = {"ServiSign Echo": 1.25, "ServiSign signature": 1.25, "native signature": 1.6}
_FUNCTIONS: Final = (
    "SCardConnect",
    "SCardBeginTransaction",
    "SCardTransmit",
    "SCardEndTransaction",
    "SCardDisconnect",
)
_SIGN: Final = bytes.fromhex("002A9E9A")  # PSO: COMPUTE DIGITAL SIGNATURE, ISO 7816-8
_WARM_UP: Final = 3
_CARD_SECONDS: Final = SIGNATURE_SECONDS / 15
_DOCUMENT: Final = base64.b64encode(b"a document").decode()

Steps = list[tuple[str, tuple[Any, ...]]]


def signatures(rounds: int) -> Table:
    """Measure them, in turn."""
    table = Table(
        f"A portal's calls through pcscd, beside a bare aiohttp + scard server (median of {rounds}, in turn)",
        ("call", "ours", "bare", "more", "ratio", "bound"),
    )
    if reason := why_not():
        return table.left_out(reason)
    with (
        TemporaryDirectory(prefix="hca-agent-bench-") as folder,
        private_pcscd() as pcscd,
        card_in(pcscd, _CARD_SECONDS),
    ):
        command = [sys.executable, "-m", "tests.bench.portal", folder, str(rounds)]
        done = pcscd.run(command, capture_output=True, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    for name, (ours, bare) in json.loads(done.stdout).items():
        bound = BOUNDS[name]
        cells = milliseconds(ours), milliseconds(bare), milliseconds(ours - bare)
        table.rows.append((name, *cells, ratio(ours / bare), ratio(bound)))
        if ours > bound * bare:
            table.broken.append(
                f"{name} takes {ratio(ours / bare)} times the bare server's; the bound is {bound}"
            )
    table.notes.append(
        "The native signature looks at the card before it asks for the PIN: two visits; bare: one."
    )
    return table


class Recorder:
    """The system's PC/SC, which notes what is asked of a card while `steps` is a list."""

    def __init__(self) -> None:
        self._scard = binding.system()
        self.steps: Steps | None = None

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._scard, name)
        if name not in _FUNCTIONS:
            return function

        def noted(*arguments: Any) -> Any:
            if self.steps is not None:
                self.steps.append((name, arguments[1:]))
            return function(*arguments)

        return noted


class Bare:
    """Asks the card the same again, in a thread of its own."""

    def __init__(self, steps: Steps) -> None:
        from smartcard import scard

        self._scard = scard
        self._steps = steps
        self._thread = ThreadPoolExecutor(1)
        _, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)

    async def answer(self, request: web.Request) -> web.Response:
        """One visit to the card."""
        await request.read()
        value = await asyncio.get_running_loop().run_in_executor(self._thread, self._visit)
        return web.Response(body=json.dumps(base64.b64encode(value).decode()).encode())

    def _visit(self) -> bytes:
        handle, value = None, b""
        for name, arguments in self._steps:
            code, *told = _as_pair(
                getattr(self._scard, name)(self._context if name == "SCardConnect" else handle, *arguments)
            )
            if code:
                raise RuntimeError(f"{name}: {code}")
            if name == "SCardConnect":
                handle = told[0]
            elif name == "SCardTransmit" and bytes(arguments[-1]).startswith(_SIGN):
                value = bytes(told[0])
        return value[:-2]


def _as_pair(told: Any) -> list[Any]:
    return list(told) if isinstance(told, list | tuple) else [told]


async def _measure(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    recorder = Recorder()
    person = ScriptedInteraction(pins=[PIN] * (rounds * 2 + 10))
    config = replace(
        ANY_PORT,
        origins=OriginSettings(allow=frozenset((ORIGIN,))),
        limits=LimitSettings(requests=10_000, burst=10_000),
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        daemon = await enter(Daemon(config, Service(recorder), person, Paths(folder, folder)))  # type: ignore[arg-type]
        trusted = ssl.create_default_context(cafile=str(daemon.identity.ca))
        http = await enter(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)))

        async def post(port: int, path: str, body: bytes) -> bytes:
            async with http.post(f"https://localhost:{port}{path}", data=body, headers=HEADERS) as answer:
                told = await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"a request failed: {answer.status} {told!r}")
                return told

        page = Page(lambda _origin, body: post(daemon.tls_port, "/", body))
        signing, echoing = await _calls(page)
        address, headers = f"http://localhost:{daemon.native_port}/v1", {"Origin": ORIGIN}
        native = NativePage(await enter(http.ws_connect(address, headers=headers)))
        recorder.steps = []
        await post(daemon.tls_port, "/", signing)
        steps, recorder.steps = recorder.steps, None
        bare = Bare(steps)
        application = web.Application()
        application.add_routes([web.post("/echo", _echo), web.post("/sign", bare.answer)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener, ssl_context=daemon.identity.context()).start()
        port = listener.getsockname()[1]
        theirs = json.loads(await post(port, "/sign", signing))
        if theirs not in reply_of(await post(daemon.tls_port, "/", signing)).values():
            raise RuntimeError("the bare server's signature is another one")
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "echo": lambda: post(port, "/echo", echoing),
            "ServiSign Echo": lambda: post(daemon.tls_port, "/", echoing),
            "bare": lambda: post(port, "/sign", signing),
            "ServiSign signature": lambda: post(daemon.tls_port, "/", signing),
            "native signature": lambda: native.call("sign", document=_DOCUMENT),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for turn in range(rounds + _WARM_UP):
            for name, work in works.items():
                begin = perf_counter()
                await work()
                if turn >= _WARM_UP:
                    times[name].append(perf_counter() - begin)
        if await page.error() != "0":
            raise RuntimeError("a signature failed")
    middle = {name: median(each) for name, each in times.items()}
    return {name: (middle[name], middle["echo" if "Echo" in name else "bare"]) for name in BOUNDS}


async def _calls(page: Page) -> tuple[bytes, bytes]:
    """What a page sends that signs again and again, and that looks whether anybody is there."""
    if await page.echo() != "0":
        raise RuntimeError("the agent did not answer an Echo")
    load = {"moduleName": Text("HCAPKCS11.dll"), "initArgs": Text("")}
    opened = {"ulModuleHandle": await page.good("ATL_InitModule", **load)}
    opened["ulSessionHandle"] = await page.good("ATL_InitSession", **opened, iFlags=6, userPin=Text(PIN))
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    signing = {"ulAlgorithm": SHA256_RSA, "b64Data": Text(_DOCUMENT), "ulPvKeyObject": key}
    return (
        body_of(page.request("ATL_MakeSignature", **opened, **signing)),
        body_of(page.request("Echo")),
    )


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type="application/json")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(Path(sys.argv[1]), int(sys.argv[2])))))  # noqa: T201
