"""A real nats-server with JetStream in a folder of its own, which a test can kill and start again."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.config import BrokerSettings
from tests.support.portal_tls import PortalTls
from tests.support.ports import free_port
from tests.support.waiting import until

PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"


class NatsServer:
    """One server; its port stays the same however often it is started."""

    def __init__(
        self, folder: Path, *, tls: bool = False, extra: Mapping[str, Any] | None = None, text: str = ""
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = free_port()
        self.authority: Path | None = None
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "jetstream": {"store_dir": str(folder / "store"), "max_file_store": 8 << 30},
            **(extra or {}),
        }
        if tls:
            made = PortalTls(folder / "tls", "localhost")
            self.authority = made.authority
            settings["tls"] = {"cert_file": str(made.chain), "key_file": str(made.chain)}
        # What is JSON is configuration too, line by line.
        lines = [f"{name}: {json.dumps(value)}" for name, value in settings.items()]
        (folder / "nats.conf").write_text("\n".join([*lines, text]))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> BrokerSettings:
        """What reaches it."""
        if self.authority is None:
            return BrokerSettings(servers=(f"nats://127.0.0.1:{self.port}",))
        return BrokerSettings(servers=(f"tls://localhost:{self.port}",), ca=str(self.authority))

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-c", str(self.folder / "nats.conf")],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        until(self._listens, (self.folder / "log").read_text)

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def nats_server(
    folder: Path, *, tls: bool = False, extra: Mapping[str, Any] | None = None, text: str = ""
) -> Iterator[NatsServer]:
    """A server that runs, and its end."""
    server = NatsServer(folder, tls=tls, extra=extra, text=text)
    try:
        server.start()
        yield server
    finally:
        server.kill()
