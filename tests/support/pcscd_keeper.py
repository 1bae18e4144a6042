"""Keeps services of a machine for tests that run in a Windows there, which can neither start nor end them."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.debian import Debian
from tests.support.pcscd import TWO, Pcscd

NO_POLKIT = "--disable-polkit"
"""There is nobody to ask in such a machine, and pcscd then takes nobody in."""


def pcscd_of(
    machine: Debian, folder: Path, names: tuple[bytes, ...] = TWO, options: tuple[str, ...] = ()
) -> Pcscd:
    """A pcscd of a machine, not started yet.

    Args:
        machine: alone in its network.
        folder: of the same path there as here.
        names: of the readers.
        options: more words for its command line.
    """
    return Pcscd(
        folder,
        names,
        (NO_POLKIT, *options),
        enter=machine.inside(),
        namespaces=machine.pid,
        root=machine.root,
    )


@contextmanager
def keeper(machine: Debian, folder: Path) -> Iterator[int]:
    """Keep a service for each `tests.support.pcscd.KeptPcscd` that connects; the port, in that network."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                kept: list[Pcscd] = []
                try:
                    for line in self.rfile:
                        answer = json.dumps(_obey(machine, Path(own), kept, json.loads(line)))
                        self.wfile.write(answer.encode() + b"\n")
                finally:
                    for each in kept:
                        each.close()

    with machine.network():
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def _obey(machine: Debian, folder: Path, kept: list[Pcscd], order: dict[str, Any]) -> dict[str, object]:
    try:
        if order["order"] == "make":
            names = tuple(bytes.fromhex(name) for name in order["names"])
            kept.append(pcscd_of(machine, folder, names, tuple(order["options"])))
            return {"result": {"ports": kept[0].ports, "readers": kept[0].readers}}
        asked = getattr(kept[0], order["order"])
        return {"result": asked() if callable(asked) else asked}
    except Exception as trouble:
        return {"error": f"{type(trouble).__name__}: {trouble}"}
