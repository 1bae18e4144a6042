"""How soon something is there: the command line's help, and an agent that answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.bench.tables import Table, interleaved, milliseconds, ratio, timed
from tests.support.ports import free_port, free_ports
from tests.support.waiting import until

ANSWER_BOUND: Final = 1.4
_START_SECONDS: Final = 60.0
_PEER: Final = """
import sys
from aiohttp import web
async def status(request):
    return web.Response(text="{}")
application = web.Application()
application.router.add_get("/status", status)
web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


def starts(rounds: int) -> Table:
    """The help beside importing click, and an agent beside a bare aiohttp server."""
    table = Table(
        f"From nothing to the first answer, a new process each time (median of {rounds}, interleaved)",
        ("what", "ours", "peer", "ratio", "peer is"),
    )
    python = sys.executable
    ours, peer = interleaved(
        rounds,
        lambda: timed(lambda: _finished([python, "-m", "agent", "--help"])),
        lambda: timed(lambda: _finished([python, "-c", "import click"])),
    )
    table.rows.append(
        ("hca-agent --help", milliseconds(ours), milliseconds(peer), ratio(ours / peer), "import click")
    )
    with tempfile.TemporaryDirectory(prefix="hca-agent-bench-") as home:
        native, other = write_ports(Path(home)), free_port()
        agent = [python, "-m", "agent", "run", "--headless"]
        environment = os.environ | {"HCA_AGENT_HOME": home}
        answering(agent, native, environment)  # the first start makes keys and certificates
        ours, peer = interleaved(
            rounds,
            lambda: answering(agent, native, environment),
            lambda: answering([python, "-c", _PEER, str(other)], other, os.environ),
        )
    table.rows.append(
        ("hca-agent run", milliseconds(ours), milliseconds(peer), ratio(ours / peer), "a bare aiohttp server")
    )
    if ours > ANSWER_BOUND * peer:
        table.broken.append(f"it answers after {ratio(ours / peer)} times what a bare aiohttp server takes")
    return table


def write_ports(home: Path) -> int:
    """Have an agent at `home` take ports that are free; the port in the clear."""
    native, tls, hipki = free_ports(3)
    text = f"[ports]\nnative = {native}\n[servisign]\nports = [{tls}]\n[hipki]\nport = {hipki}\n"
    (home / "config.toml").write_text(text)
    return native


def _finished(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def answering(command: Sequence[str], port: int, environment: Mapping[str, str]) -> float:
    """The seconds until a server answers at `port`; it is ended then."""
    begin = time.perf_counter()
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:

            def up() -> bool:
                if _answers(port):
                    return True
                if server.poll() is not None:
                    raise RuntimeError(f"{command} did not start")
                return False

            until(up, f"{command} did not start", _START_SECONDS, pause=0.005)
            return time.perf_counter() - begin
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET /status HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        return connection.recv(12) == b"HTTP/1.1 200"
    return False
