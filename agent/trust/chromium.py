"""Where the Chromium family on Linux keeps its NSS databases: native, in a snap, in a Flatpak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.trust.machine import Machine
from agent.trust.nss import NssDatabase

DATABASE: Final = (".pki", "nssdb")
"""In a browser's home: used where it is there, by every version."""

DATA: Final = ("pki", "nssdb")
"""In its folder for data (`$XDG_DATA_HOME`): used by Chromium 146 and later where the other is not."""


@dataclass(frozen=True, slots=True)
class _Browser:
    """A browser that keeps its trust in the one database of the home folder.

    Attributes:
        executables: its programs, apart by blanks.
        configuration: its folder in `.config`, once it has run.
        snap: its snap, where there is one.
        flatpak: its Flatpak application id, where there is one.
    """

    name: str
    executables: str
    configuration: str
    snap: str = ""
    flatpak: str = ""


BROWSERS: Final = (
    _Browser("Chromium", "chromium chromium-browser", "chromium", "chromium", "org.chromium.Chromium"),
    _Browser(
        "Chrome",
        "google-chrome google-chrome-stable google-chrome-beta",
        "google-chrome",
        flatpak="com.google.Chrome",
    ),
    _Browser("Edge", "microsoft-edge microsoft-edge-stable", "microsoft-edge", flatpak="com.microsoft.Edge"),
    _Browser("Brave", "brave brave-browser", "BraveSoftware/Brave-Browser", "brave", "com.brave.Browser"),
    _Browser("Vivaldi", "vivaldi vivaldi-stable", "vivaldi", "vivaldi", "com.vivaldi.Vivaldi"),
    _Browser("Opera", "opera", "opera", "opera", "com.opera.Opera"),
)


def databases(machine: Machine, *, unused: bool = False) -> Iterator[NssDatabase]:
    """Return the databases that browsers look into, and those that a browser of this user still lacks.

    Args:
        machine: whose user.
        unused: those too that no browser looks into any more, as another is there.
    """
    native = tuple(browser.name for browser in BROWSERS if _is_here(machine, browser))
    data = Path(machine.environment.get("XDG_DATA_HOME") or machine.home / ".local/share")
    for folder in _places(machine.home, data, unused=unused):
        if native or folder.is_dir():
            yield NssDatabase(machine, folder, "、".join(native) or "NSS", native or ("NSS",), goes=True)
    snaps = {browser.snap: browser.name for browser in BROWSERS if browser.snap}
    flatpaks = {browser.flatpak: browser.name for browser in BROWSERS if browser.flatpak}
    for kind, homes, names, its_data in (
        ("snap", machine.home.glob("snap/*/current"), snaps, ".local/share"),
        ("Flatpak", machine.home.glob(".var/app/*"), flatpaks, "data"),
    ):
        for home in sorted(homes):
            sandbox = home.parent.name if kind == "snap" else home.name
            for folder in _places(home, home / its_data, unused=unused):
                if sandbox in names or folder.is_dir():
                    name = names.get(sandbox, sandbox)
                    yield NssDatabase(machine, folder, f"{name} ({kind})", (name,), goes=True)


def _places(home: Path, data: Path, *, unused: bool) -> Iterator[Path]:
    """Return where a browser at `home` looks: an old database hides the new one."""
    old, new = home.joinpath(*DATABASE), data.joinpath(*DATA)
    yield old if old.is_dir() else new
    if unused and old.is_dir() and new.is_dir():
        yield new


def _is_here(machine: Machine, browser: _Browser) -> bool:
    return (machine.home / ".config" / browser.configuration).is_dir() or any(
        machine.find(executable) is not None for executable in browser.executables.split()
    )
