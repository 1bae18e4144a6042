"""Firefox: each profile keeps trust of its own on Linux, and follows the system's on Windows and macOS."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.errors import AgentError, ErrorId
from agent.trust.authority import Authority
from agent.trust.machine import Machine
from agent.trust.nss import NssDatabase
from agent.trust.store import FoundAuthority, TrustStore

PROGRAMS: Final = ("Firefox",)

# Where each way of installing it puts `profiles.ini`, under the home folder. Firefox 147 moved to ~/.config.
_LINUX: Final = (
    (".mozilla/firefox", ""),
    (".config/mozilla/firefox", ""),
    ("snap/firefox/common/.mozilla/firefox", " (snap)"),
    ("snap/firefox/common/.config/mozilla/firefox", " (snap)"),
    (".var/app/org.mozilla.firefox/.mozilla/firefox", " (Flatpak)"),
    (".var/app/org.mozilla.firefox/config/mozilla/firefox", " (Flatpak)"),
)
_MACOS: Final = "Library/Application Support/Firefox"
# On by default since Firefox 120; people and their administrators can switch it off.
_OFF: Final = re.compile(rb'^user_pref\("security\.enterprise_roots\.enabled",\s*false\);', re.MULTILINE)


def databases(machine: Machine) -> Iterator[NssDatabase]:
    """Return the databases of all profiles on Linux."""
    folders = [(machine.home / place, kind) for place, kind in _LINUX]
    if moved := machine.environment.get("XDG_CONFIG_HOME"):
        folders.append((Path(moved) / "mozilla" / "firefox", ""))
    seen: set[Path] = set()
    for folder, kind in folders:
        for profile in profiles(folder):
            if profile not in seen and not _is_forgotten(profile):
                seen.add(profile)
                yield NssDatabase(machine, profile, f"Firefox{kind}: {profile.name}", PROGRAMS)


def followers(machine: Machine, system: TrustStore) -> Iterator[FollowingProfile]:
    """Return the profiles on Windows and macOS, which take what `system` trusts."""
    if machine.platform == "win32":
        folder = Path(machine.environment.get("APPDATA", machine.home)) / "Mozilla" / "Firefox"
    else:
        folder = machine.home / _MACOS
    for profile in profiles(folder):
        yield FollowingProfile(profile, system)


def profiles(folder: Path) -> tuple[Path, ...]:
    """Return the profile folders that exist: those in `profiles.ini`, and those kept elsewhere."""
    listed = configparser.ConfigParser(interpolation=None, strict=False)
    with suppress(OSError, configparser.Error, UnicodeDecodeError):
        listed.read(folder / "profiles.ini", "utf-8")
    found: dict[Path, None] = {}
    for section in listed.values():
        path = section.get("Path", "")
        if section.name.startswith("Profile") and path:
            # An absolute path replaces the folder that it is joined to.
            found[(folder / path).resolve()] = None
    for pattern in ("*/cert9.db", "Profiles/*/cert9.db"):
        for database in sorted(folder.glob(pattern)):
            found[database.parent.resolve()] = None
    return tuple(profile for profile in found if profile.is_dir())


class FollowingProfile(TrustStore):
    """A profile that takes what the system trusts, unless its settings forbid it.

    Args:
        profile: its folder.
        system: the store it follows.
    """

    programs = PROGRAMS

    def __init__(self, profile: Path, system: TrustStore) -> None:
        self.name = f"Firefox: {profile.name}"
        self.location = str(profile)
        self._profile = profile
        self._system = system

    def find(self) -> tuple[FoundAuthority, ...]:
        """Return what the system's store has."""
        self._check_that_it_follows()
        return self._system.find()

    def add(self, authority: Authority, file: Path) -> None:
        """Nothing can be added here that the system's store lacks.

        Raises:
            AgentError: `trust.system_first`.
        """
        self._check_that_it_follows()
        raise AgentError(ErrorId.TRUST_SYSTEM_FIRST, detail=self._system.name)

    def remove(self, found: FoundAuthority) -> None:
        """Do nothing: it goes with the system's."""

    def _check_that_it_follows(self) -> None:
        for name in ("user.js", "prefs.js"):
            with suppress(FileNotFoundError):
                if _OFF.search((self._profile / name).read_bytes()):
                    raise AgentError(ErrorId.TRUST_FIREFOX_SETTING, detail=self.location)


def _is_forgotten(profile: Path) -> bool:
    """Return whether no Firefox since version 58 has opened it; the next one takes its old database over."""
    return (profile / "cert8.db").exists() and not (profile / "cert9.db").exists()
