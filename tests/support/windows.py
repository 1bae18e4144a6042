"""A Windows with the program installed, and what a portal's page gets from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.support.debian import Debian
from tests.support.screen import private_screen
from tests.support.servisign_page import Text
from tests.support.servisign_wire import Adapter, Wire
from tests.support.waiting import until
from tests.support.windows_relay import by_relay
from tests.support.wine import Wine, make_prefix, windows_path

PORTAL = "https://portal.example.tw"
PORTS = (57445, 57545)
NATIVE = 56440
HIPKI = 61161
DESKTOP = "shell"
GREEN, DARK = "#009678", "#37474F"
"""A card, and a reader; see tray/drawing.py."""
SECONDS = 600.0

_FONTS = r"HKCU\Software\Wine\Fonts\Replacements"
"""Menus are written with Tahoma, which is not there; this one has Chinese."""

T = TypeVar("T")
TOLD = (f"PORTS={PORTS[0]} {PORTS[1]}", f"ALLOWED_ORIGINS={PORTAL}", "BROWSER_POLICIES=1")


class Windows:
    """What a test does with that Windows."""

    def __init__(self, wine: Wine) -> None:
        self.wine = wine
        self.home = next(each for each in (wine.drive / "users").iterdir() if each.name != "Public")
        self.data = self.home / "AppData" / "Local" / "hca-agent"
        self.machine = wine.drive / "ProgramData" / "hca-agent"
        wine.end()
        self._registry = self.registry()

    def registry(self) -> set[str]:
        """Every line of the registry that has to do with us."""
        self.wine.end()
        lines: set[str] = set()
        for name in ("system.reg", "user.reg"):
            key = ""
            for line in (self.wine.prefix / name).read_text("utf-8", "replace").splitlines():
                if line.startswith("["):
                    key = line.partition("]")[0]
                if any(word in f"{key} {line}".casefold() for word in ("hca", "mohw.gov.tw", "loopbacknet")):
                    lines.add(f"{key}] {line}")
        return lines

    def left(self) -> list[str]:
        """What of us is on the disk and in the registry and was not before."""
        registry = sorted(self.registry() - self._registry)
        files = [str(path) for path in self.wine.drive.rglob("*") if "hca" in path.name.casefold()]
        return registry + files

    def install(self, package: Path, *words: str) -> None:
        """Install a package, by the line that an administrator types."""
        place = windows_path(package)
        typed = [word.replace("=", '="', 1) + '"' * ("=" in word) for word in words]
        if package.suffix == ".msi":
            self._type(" ".join(("msiexec", "/i", place, "/qn", *typed)))
        else:
            self._type(" ".join((place, "/S", *(f"/{word}" for word in typed))))

    def _type(self, line: str) -> None:
        """Run a line, quotes and all, which no list of words could say."""
        self.wine.run_python("-c", f"import subprocess, sys; sys.exit(subprocess.call({line!r}))")

    @contextmanager
    def running(self, program: Path, *words: str) -> Iterator[None]:
        """The installed agent, in a desktop with a bar for icons."""
        desktop = ("explorer", f"/desktop={DESKTOP},1024x768")
        process = self.wine.start(*desktop, self.drive_path(program), "run", *words)
        ports = map(str, (NATIVE, HIPKI, *PORTS))
        relay = self.wine.start(
            windows_path(self.wine.python / "python.exe"), "-m", "tests.support.windows_relay", *ports
        )
        try:
            within(
                lambda: status(NATIVE) or process.poll() is not None, complaint="the agent does not answer"
            )
            assert status(NATIVE) == {"agent": "hca-agent", "api": 1}
            yield
        finally:
            for each in (process, relay):
                with suppress(ProcessLookupError):
                    os.killpg(each.pid, signal.SIGKILL)
            self.wine.end()
            for each in (process, relay):
                each.communicate()

    def drive_path(self, file: Path) -> str:
        """How Windows calls a file of its drive C:."""
        return "C:\\" + str(file.relative_to(self.wine.drive)).replace("/", "\\")

    def shoot(self, picture: Path) -> None:
        """A picture of the whole screen."""
        environment = {**os.environ, "DISPLAY": self.wine.display}
        subprocess.run(["import", "-window", "root", picture], env=environment, check=True, timeout=30)

    def icon_pixels(self, picture: Path, colour: str = GREEN) -> int:
        """How many pixels at the lower right, where the icons are, have a colour of our drawings."""
        self.wine.run_python("-m", "tests.support.windows_bar", DESKTOP)
        self.shoot(picture)
        # All else black first: the bar itself is white.
        only = ["-fuzz", "12%", "-fill", "black", "+opaque", colour, "-fill", "white", "-opaque", colour]
        command = [
            "convert",
            picture,
            "-crop",
            "200x20+824+748",
            *only,
            "-format",
            "%[fx:mean*4000]",
            "info:",
        ]
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        return round(float(told.stdout))


@contextmanager
def fresh_windows(machine: Debian, python: Path, folder: Path) -> Iterator[Windows]:
    """A fresh Windows with a screen; this thread is in its network."""
    with private_screen() as screen, machine.network(), by_relay():
        wine = make_prefix(machine, folder / "prefix", python, screen.display)
        try:
            wine.run("reg", "add", _FONTS, "/v", "Tahoma", "/d", "WenQuanYi Zen Hei")
            yield Windows(wine)
        finally:
            wine.end()


def status(port: int) -> dict[str, object] | None:
    with suppress(OSError), urllib.request.urlopen(f"http://localhost:{port}/status", timeout=5) as answer:
        return json.load(answer)
    return None


def within(look: Callable[[], T], seconds: float = SECONDS, complaint: str = "it did not come") -> T:
    """What `look` finds, once it finds something."""
    return until(look, complaint, seconds, pause=0.2)


def log_in(port: int, authority: Path) -> str:
    """As a portal's page does; the holder's basic data."""
    wire = Wire(port, str(authority))
    try:
        page = Adapter(wire, origin=PORTAL).echo()
        module = {
            "ulModuleHandle": page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        }
        page.good("ATL_InitSession", **module, iFlags=6, userPin=Text("123456"))
        return page.good("ATL_GetHCABasicData", **module)
    finally:
        wire.close()
