"""An update repository on loopback, made by the release managers' own tool, and what was asked of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agent.config import Config, UpdateSettings
from agent.paths import Paths
from agent.update.repository import ROOT
from installer import release

PACKAGE = b"a package of a later version"
KINDS = ("deb-x86_64", "rpm-x86_64", "msi-x86_64", "pkg", "deb-aarch64", "rpm-aarch64")


@dataclass
class UpdateSite:
    """A repository that is being served.

    Attributes:
        folder: what is served.
        keys: what signs it.
        asked: the paths that were asked for.
        moved: where every request is sent on to; empty for nowhere.
        lie: answers a request in the files' place; returns whether it did.
    """

    folder: Path
    keys: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    moved: str = ""
    lie: Callable[[BaseHTTPRequestHandler], bool] = lambda _request: False

    def publish(self, version: str, package: bytes = PACKAGE, **days: float) -> None:
        """Offer a release."""
        file = self.keys.parent / f"hca-agent-{version}.bin"
        file.write_bytes(package)
        release.publish(self.folder, self.keys, version, dict.fromkeys(KINDS, file), **days)

    def settings(self, **changed: Any) -> UpdateSettings:
        """The configuration's section for this repository."""
        return UpdateSettings(**{"enabled": True, "url": self.url, **changed})

    def paths(self, home: Path) -> Paths:
        """A user's folder, beside an administrator's with the root file."""
        machine = home.parent / "machine"
        machine.mkdir(exist_ok=True)
        (machine / ROOT).write_bytes((self.keys / "root.json").read_bytes())
        return Paths(home, machine).make()

    def config(self, **changed: Any) -> Config:
        """A configuration with this repository."""
        return Config(update=self.settings(**changed))

    def metadata(self, pattern: str) -> Path:
        """The newest file of the metadata like `pattern`."""
        return max((self.folder / "metadata").glob(pattern), key=lambda file: file.stat().st_mtime_ns)

    def target(self, name: str) -> Path:
        """A served target by its own name."""
        return next((self.folder / "targets").glob(f"*.{name}"))


@contextmanager
def update_site(folder: Path) -> Iterator[UpdateSite]:
    """A repository with new keys and nothing in it yet, on a free port of 127.0.0.1."""
    site = UpdateSite(folder / "repository", folder / "keys")
    release.make_keys(site.keys)
    site.folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            if site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved + self.path)
                self.end_headers()
                return
            if not site.lie(self):
                super().do_GET()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site.folder)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield site
    finally:
        site.lie = lambda _request: False
        server.shutdown()
        server.server_close()
        thread.join()
