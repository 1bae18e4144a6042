"""A page's signatures beside python-pkcs11 with OpenSC's module: the same card, each in a pcscd of its own.

The card takes as long for a signature as real ones do.

Each time the peer logs in, signs and logs out; what it knows of the card it has read before. A page's
signature does more: a WebSocket, a person who is asked, a second visit to the card because of that.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import aiohttp

from agent.config import LimitSettings
from agent.daemon import Daemon
from agent.interaction.scripted import ScriptedInteraction
from agent.paths import Paths
from pcsc.service import Service
from tests.bench.cards import MODULES, PIN, card_in
from tests.bench.tables import Table, interleaved, milliseconds, ratio
from tests.bench.timed_card import SIGNATURE_SECONDS
from tests.support.agent import ANY_PORT, ORIGINS, PORTAL, Page
from tests.support.pcscd import private_pcscd, why_not

BOUND: Final = 1.15
_BATCH: Final = 5
_DOCUMENT: Final = base64.b64encode(b"a document").decode()
_MOST: Final = 10_000


def signatures(rounds: int) -> Table:
    """Measure a page's signature, a document of a page's batch, and the peer's signature, in turn."""
    table = Table(
        f"A page's signatures through pcscd, beside python-pkcs11 with OpenSC (median of {rounds}, in turn)",
        ("signature", "commands", "time", "without the card's", "ratio", "bound"),
    )
    module = next((module for module in MODULES if Path(module).exists()), None)
    if reason := why_not() or ("" if module else "it needs OpenSC"):
        return table.left_out(reason)
    with (
        TemporaryDirectory(prefix="hca-agent-bench-") as folder,
        _signing("tests.bench.opensc", folder) as (ours, ours_sent),
        _signing("tests.bench.opensc_peer", str(module)) as (theirs, theirs_sent),
    ):
        works = [lambda: ours("one"), lambda: ours("batch") / _BATCH, lambda: theirs("one")]
        one, batch, peer = interleaved(rounds, *works)
        commands = []
        for work, sent, count in zip(works, (ours_sent, ours_sent, theirs_sent), (1, _BATCH, 1), strict=True):
            sent()
            work()
            commands.append(sent() / count)
    for name, sent, took, bound in (
        ("a page's", commands[0], one, BOUND),
        (f"each of a batch of {_BATCH}", commands[1], batch, BOUND),
        ("python-pkcs11's", commands[2], peer, None),
    ):
        cells = (
            f"{sent:.0f}",
            milliseconds(took),
            milliseconds(took - SIGNATURE_SECONDS),
            ratio(took / peer),
        )
        table.rows.append((name, *cells, "" if bound is None else ratio(bound)))
        if bound is not None and took > bound * peer:
            table.broken.append(f"{name} takes {ratio(took / peer)} times the peer's; the bound is {bound}")
    table.notes.append(
        "The peer logs in, signs and logs out each time; it read the card once, before. A page's looks at the"
        " card before the person is asked for the PIN, and checks the signature."
    )
    return table


@contextmanager
def _signing(module: str, argument: str) -> Iterator[tuple[Callable[[str], float], Callable[[], float]]]:
    """Run a program beside a card; gives what has it sign, in seconds, and what counts commands."""
    command = [sys.executable, "-m", module, argument]
    with private_pcscd() as pcscd, card_in(pcscd, SIGNATURE_SECONDS) as report:
        running = pcscd.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def sign(what: str) -> float:
            running.stdin.write(f"{what}\n".encode())
            running.stdin.flush()
            return float(running.stdout.readline())

        try:
            yield sign, lambda: report()["commands"]
        finally:
            running.kill()
            running.communicate()


async def _serve(folder: Path) -> None:
    """Be an agent and its page, which signs for each line on standard input and says how long that took."""
    person = ScriptedInteraction(pins=[PIN] * _MOST)
    config = replace(ANY_PORT, origins=ORIGINS, limits=LimitSettings(requests=_MOST, burst=_MOST))
    items = [{"name": f"{number}", "format": "pkcs1", "document": _DOCUMENT} for number in range(_BATCH)]
    async with (
        Daemon(config, Service.system(), person, Paths(folder, folder)) as daemon,
        aiohttp.ClientSession() as http,
        http.ws_connect(
            f"http://localhost:{daemon.native_port}/v1", headers={"Origin": PORTAL}
        ) as connection,
    ):
        page = Page(connection)
        while line := await asyncio.to_thread(sys.stdin.readline):
            began = perf_counter()
            if line == "one\n":
                await page.call("sign", document=_DOCUMENT)
            elif (await page.call("sign.batch", batch="bench", items=items))["done"] != _BATCH:
                raise RuntimeError("a batch failed")
            print(perf_counter() - began, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
