"""Where the Chromium family on Linux keeps its NSS databases: native, in a snap, in a Flatpak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.trust.machine import Machine
from agent.trust.nss import NssDatabase

DATABASE: Final = (".pki", "nssdb")


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


def databases(machine: Machine) -> Iterator[NssDatabase]:
    """Return the databases that are there, and those that a browser of this user still lacks."""
    native = tuple(browser.name for browser in BROWSERS if _is_here(machine, browser))
    shared = machine.home.joinpath(*DATABASE)
    if native or shared.is_dir():
        yield NssDatabase(machine, shared, "、".join(native) or "NSS", native or ("NSS",))
    snaps = {browser.snap: browser.name for browser in BROWSERS if browser.snap}
    flatpaks = {browser.flatpak: browser.name for browser in BROWSERS if browser.flatpak}
    for kind, homes, names in (
        ("snap", machine.home.glob("snap/*/current"), snaps),
        ("Flatpak", machine.home.glob(".var/app/*"), flatpaks),
    ):
        for home in sorted(homes):
            sandbox = home.parent.name if kind == "snap" else home.name
            folder = home.joinpath(*DATABASE)
            if sandbox in names or folder.is_dir():
                name = names.get(sandbox, sandbox)
                yield NssDatabase(machine, folder, f"{name} ({kind})", (name,))


def _is_here(machine: Machine, browser: _Browser) -> bool:
    return (machine.home / ".config" / browser.configuration).is_dir() or any(
        machine.find(executable) is not None for executable in browser.executables.split()
    )
