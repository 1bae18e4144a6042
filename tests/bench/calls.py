"""How many functions of ours a request goes through, and how often it changes the file it is in.

A warm native log-in and a warm ServiSign signature with a kept PIN, in one process with the agent, counted
with `sys.setprofile` in every thread: calls of functions in the product's folders, the simulated card and its
reader left out. A call in another file than the one before it in its thread is a switch.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Final

from agent.interaction.scripted import ScriptedInteraction
from tests.bench.tables import Table
from tests.support.agent import PORTAL, RunningAgent, running_agent
from tests.support.servisign_page import Page, Text

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = tuple(f"{ROOT / room}{os.sep}" for room in ("agent", "pcsc", "hca_card", "signing"))
LEFT_OUT: Final = (f"{ROOT / 'hca_card' / 'simulator'}", f"{ROOT / 'pcsc' / 'virtual'}")
WATCHER: Final = "reader-watcher"
"""The thread that is told of every transaction's end, whenever it gets round to it: not the request's."""
WARM_UP: Final = 3
BOUNDS: Final = {"native log-in": (623, 285), "ServiSign signature": (441, 210)}
"""Calls and switches of each before the rooms were put in order: never more than that again.

A signature with a kept PIN sends one command more since, by which a certificate renewed in its reader is
noticed: nine switches. Two more see that nothing behind a refused request is believed, one that a PIN is kept
only while locks of the screen are heard.
"""


class Counter:
    """Calls of the product's functions, counted while `on`."""

    def __init__(self) -> None:
        self.on = False
        self.calls = 0
        self.switches = 0
        self._ours: dict[str, bool] = {}
        self._last: dict[str, str] = {}

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        if not self.on or event != "call":
            return
        file = frame.f_code.co_filename
        ours = self._ours.get(file)
        if ours is None:
            ours = self._ours[file] = file.startswith(PRODUCT) and not file.startswith(LEFT_OUT)
        thread = threading.current_thread().name
        if ours and thread != WATCHER:
            self.calls += 1
            self.switches += self._last.get(thread) != file
            self._last[thread] = file

    async def count(self, work: Callable[[], Awaitable[object]]) -> tuple[int, int]:
        """Return the calls and switches of `work`."""
        self.calls = self.switches = 0
        self._last.clear()
        self.on = True
        await work()
        # What is left to do when the answer is on its way belongs to the request too.
        await asyncio.sleep(0.05)  # whatever comes during this time is counted
        self.on = False
        return self.calls, self.switches


def calls(rounds: int) -> Table:
    """Return the table; it is broken where a request takes more calls or switches than it once did."""
    counter = Counter()
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        counted = asyncio.run(_counted(counter, rounds))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    table = Table(
        f"Calls of our own functions in one warm request (median of {rounds})",
        ("request", "calls", "file switches", "bounds"),
    )
    for name, found in counted.items():
        middle = tuple(round(median(column)) for column in zip(*found, strict=True))
        table.rows.append((name, *map(str, middle), " / ".join(map(str, BOUNDS[name]))))
        if any(value > bound for value, bound in zip(middle, BOUNDS[name], strict=True)):
            table.broken.append(f"{name}: {middle} is more than {BOUNDS[name]}")
    return table


async def _counted(counter: Counter, rounds: int) -> dict[str, list[tuple[int, int]]]:
    with tempfile.TemporaryDirectory(prefix="hca-agent-bench-") as folder:
        person = ScriptedInteraction(pins=["123456"] * (rounds + WARM_UP))
        async with running_agent(Path(folder), interaction=person) as agent:
            return {
                "native log-in": await _native(counter, agent, rounds),
                "ServiSign signature": await _servisign(counter, agent, rounds),
            }


async def _native(counter: Counter, agent: RunningAgent, rounds: int) -> list[tuple[int, int]]:
    async with agent.page(PORTAL) as page:
        await page.call("agent.hello")

        async def log_in() -> object:
            return await page.call("authenticate", nonce=base64.b64encode(secrets.token_bytes(32)).decode())

        return await _repeated(counter, log_in, rounds)


async def _servisign(counter: Counter, agent: RunningAgent, rounds: int) -> list[tuple[int, int]]:
    async def handle(origin: str, body: bytes) -> bytes:
        headers = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        async with agent.http.post(agent.tls, data=body, headers=headers) as response:
            return await response.read()

    page = Page(handle, PORTAL)
    await page.echo()
    opened = {
        "ulModuleHandle": await page.good(
            "ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text("")
        )
    }
    opened["ulSessionHandle"] = await page.good("ATL_InitSession", **opened, iFlags=6, userPin=Text("123456"))
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    document = Text(base64.b64encode(b"a document").decode())

    async def sign() -> object:
        return await page.call(
            "ATL_MakeSignature", **opened, ulAlgorithm=0x40, b64Data=document, ulPvKeyObject=key
        )

    found = await _repeated(counter, sign, rounds)
    assert await page.error() == "0"
    return found


async def _repeated(
    counter: Counter, work: Callable[[], Awaitable[object]], rounds: int
) -> list[tuple[int, int]]:
    for _ in range(WARM_UP):
        await work()
    return [await counter.count(work) for _ in range(rounds)]
