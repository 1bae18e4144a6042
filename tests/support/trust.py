"""Machines for trust stores: with fake programs that record their words, or this one with another home."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from agent import tls
from agent.trust import Authority, FoundAuthority, Machine, OwnAuthorities, SystemPrompt, own_authorities
from agent.trust.machine import Outcome, _run

Answer = Callable[[Sequence[str]], Outcome | None]


@dataclass
class Programs:
    """Programs that do nothing but record; `answer` may say more than success."""

    answer: Answer = lambda _: None
    missing: tuple[str, ...] = ()
    calls: list[list[str]] = field(default_factory=list)

    def find(self, name: str) -> str | None:
        return None if name in self.missing else f"/bin/{name}"

    def run(self, command: Sequence[str], given: bytes, seconds: float) -> Outcome:
        assert seconds > 0
        self.calls.append(list(command))
        return self.answer(command) or Outcome(0, b"", b"")


def machine(
    home: Path,
    programs: Programs | None = None,
    *,
    platform: str = "linux",
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    windows_roots: Callable[[], Sequence[bytes]] = tuple,
    root: Path | None = None,
) -> Machine:
    """A machine of fakes; nothing of the real one is touched."""
    programs = programs or Programs()
    owner = home.stat().st_uid if user is None else user
    return Machine(
        platform,
        home,
        environment or {},
        None if platform == "win32" else owner,
        programs.find,
        programs.run,
        windows_roots,
        root or home / "no-system",
    )


def real_machine(home: Path, *, without: Sequence[str] = ()) -> Machine:
    """This machine's own programs on another home and with no system store."""
    if shutil.which("certutil") is None:
        pytest.skip("needs certutil (libnss3-tools)")
    wanted = {"certutil"} - set(without)

    def find(name: str) -> str | None:
        return shutil.which(name) if name in wanted else None

    return Machine("linux", home, {}, home.stat().st_uid, find, _run, tuple, home / "no-system")


@dataclass
class Shelf:
    """A store in memory; `fails` is raised by every change."""

    name: str = "shelf"
    location: str = "memory"
    programs: tuple[str, ...] = ("Browser",)
    browsers: bool = True
    shared: bool = False
    held: list[FoundAuthority] = field(default_factory=list)
    asks: bool = False
    fails: Exception | None = None
    blind: Exception | None = None
    trusting: bool = True
    changes: list[str] = field(default_factory=list)

    def find(self) -> tuple[FoundAuthority, ...]:
        if self.blind is not None:
            raise self.blind
        return tuple(self.held)

    def add(self, authority: Authority, file: Path) -> None:
        self.changes.append(f"add {authority.name}")
        if self.fails is not None:
            raise self.fails
        self.held = [each for each in self.held if each.authority != authority]
        self.held.append(FoundAuthority(authority, self.trusting))

    def remove(self, found: FoundAuthority) -> None:
        self.changes.append(f"remove {found.authority.name}")
        if self.fails is not None:
            raise self.fails
        self.held.remove(found)

    def prompt(self, *, adding: bool) -> SystemPrompt | None:
        return (
            SystemPrompt("會問", "will ask to add" if adding else "will ask to remove") if self.asks else None
        )


def made(folder: Path) -> OwnAuthorities:
    """A CA of ours in `folder`."""
    tls.ensure(folder)
    return own_authorities(folder)


def current(of: OwnAuthorities) -> Authority:
    assert of.current is not None
    return of.current


@cache
def can_have_mounts() -> bool:
    """Whether mounts of one's own can be made here, over which nobody else stumbles."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False, timeout=120)
    return tried.returncode == 0


_OWN_SYSTEM_STORE = """
set -e
for each in /etc/ssl /usr/local/share/ca-certificates; do
    test -d "$each" || continue
    mkdir -p "$0$each"
    cp -a "$each/." "$0$each/"
    mount --bind "$0$each" "$each"
done
hooks=/etc/ca-certificates/update.d # of packages that keep stores elsewhere: Java's has dpkg at work
if test -d "$hooks"; then
    mkdir -p "$0$hooks"
    mount --bind "$0$hooks" "$hooks"
fi
exec "$@"
"""


def with_own_system_store(folder: Path, *command: str) -> list[str]:
    """The command that runs `command` where changes of the system's store end with it; copies in `folder`."""
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", _OWN_SYSTEM_STORE, str(folder), *command]


async def type_trust(order: str, home: Path, agent_home: Path) -> subprocess.CompletedProcess[str]:
    """Type `hca-agent trust …`, where the machine's own store is a copy.

    Args:
        order: install, status, remove.
        home: of the person, with browsers.
        agent_home: the agent's folder.
    """
    command = [sys.executable, "-m", "agent", "trust", order]
    if can_have_mounts():
        command = with_own_system_store(home / "system", *command)
    environment = {
        "HOME": str(home),
        "HCA_AGENT_HOME": str(agent_home),
        "PATH": os.environ["PATH"],
        "COLUMNS": "200",
    }
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
