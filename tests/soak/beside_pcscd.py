"""An agent beside a real pcscd, which holds a card into its first reader and tells what it sees.

    python -m tests.soak.beside_pcscd HOME PORT KIND

It reads orders, a line each: `insert`, `remove`, `sign`, `fail` (sign, and tell the error), `mark`, `quit`;
and writes a line of JSON for each order that is done, {"done": ORDER, …}, and for each change of the first
reader: {"event": "card" | "empty" | "none" | …}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.errors import error_id
from agent.operations import Operations, ReaderView, open_operations
from agent.paths import Paths
from pcsc.service import Service
from pcsc.vpcd import VpcdClient
from signing.hashes import Hash
from tests.soak.course import Mark, fill_pool
from tests.soak.person import Patient
from tests.support.cards import simulated
from tests.support.operations import OWN


def tell(**what: object) -> None:
    """Write one line."""
    print(json.dumps(what), flush=True)  # noqa: T201


class _Events:
    """The changes of the first reader, each told once."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, views: Sequence[ReaderView]) -> None:
        now = str(views[0].condition.value) if views else "none"
        if now != self._last:
            self._last = now
            tell(event=now)


async def _done(order: str, operations: Operations, client: VpcdClient) -> dict[str, Any]:
    match order:
        case "insert":
            client.insert()
        case "remove":
            client.remove()
        case "mark":
            return {"mark": asdict(Mark.now())}
        case "sign":
            await operations.sign(OWN, Hash.SHA_256, document=b"a document")
        case "fail":
            try:
                await operations.sign(OWN, Hash.SHA_256, document=b"a document")
            except Exception as error:
                return {"error": str(error_id(error))}
            return {"error": None}
    return {}


async def _serve(home: Path, client: VpcdClient) -> None:
    await fill_pool()
    paths = Paths(home, home)
    async with open_operations(Service.system(), Patient(), Config(), paths) as operations:
        operations.on_change(_Events())
        while (order := (await asyncio.to_thread(sys.stdin.readline)).strip()) not in {"", "quit"}:
            try:
                tell(done=order, **await _done(order, operations, client))
            except Exception as error:
                tell(done=order, failed=repr(error))


def main() -> None:
    """Serve until told to quit."""
    home, port, kind = sys.argv[1:]
    client = VpcdClient(simulated(kind), port=int(port))
    serving = threading.Thread(target=client.run)
    serving.start()
    try:
        asyncio.run(_serve(Path(home), client))
    finally:
        client.stop()
        serving.join()


if __name__ == "__main__":
    main()
