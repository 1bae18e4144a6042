"""The programs that run on this machine, and which of them holds a port or a connection (by psutil)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.environment import Child, environment_of

Address = tuple[str, int]
"""Host and port."""

_ADMINISTRATORS_PATH: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_TOLD_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class RunningProgram:
    """A running program."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


def find(name: str) -> str | None:
    """Return the full path of a program, None when it is not installed; looks on administrators' path too."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMINISTRATORS_PATH))
    return shutil.which(name, path=path)


def output_of(program: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a program of the system prints; nothing where it is not installed or fails."""
    path = find(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  (words of ours)
            [path, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TOLD_SECONDS,
            env=environment_of(Child.WINDOW, environment),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def running() -> tuple[RunningProgram, ...]:
    """Return the programs that run now, as far as this user may know."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it ended
            found.append(RunningProgram(process.pid, process.name()))
    return tuple(found)


def holder_of(port: int, pid: int | None = None) -> str:
    """Return who listens on TCP `port`, as `name (pid)`, on Linux as `user name` where it is another user's.

    Empty where this system does not tell this user.

    Args:
        port: of this computer.
        pid: what `pid_at` says, where that is known: finding it goes through what every process has open.
    """
    import psutil

    pid = pid_at(port) if pid is None else pid
    with suppress(psutil.Error, OSError):
        if pid:
            return str(RunningProgram(pid, psutil.Process(pid).name()))
    return _user_listening_on(port) if sys.platform == "linux" else ""


def pid_at(port: int) -> int:
    """Return the number of the process that listens on TCP `port`; 0 where this system does not tell it."""
    import psutil

    with suppress(psutil.Error, OSError):
        for pid, each in _connections():
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and pid:
                return pid
    return 0


def connected(local: Address, remote: Address) -> int:
    """Return the number of the process whose socket is bound to `local` and connected to `remote`.

    Raises:
        OSError: if there is none, or this system does not tell this user.
    """
    import psutil

    with suppress(psutil.Error):
        for pid, each in _connections():
            if (each.laddr, each.raddr) == (local, remote) and pid:
                return pid
    raise OSError("no such connection")


def user_of(pid: int) -> int:
    """Return the user of process `pid`, by number; not on Windows.

    Raises:
        OSError: if it ended, or this system does not tell this user.
    """
    import psutil

    try:
        return int(psutil.Process(pid).uids().effective)
    except psutil.Error as error:
        raise OSError(str(error)) from error


def _connections(platform: str = sys.platform) -> Iterator[tuple[int | None, Any]]:
    import psutil

    if platform != "darwin":
        yield from ((each.pid, each) for each in psutil.net_connections("tcp"))
        return
    for process in psutil.process_iter():  # macOS shows all of them at once to root alone
        with suppress(psutil.Error):
            yield from ((process.pid, each) for each in process.net_connections("tcp"))


def _user_listening_on(port: int) -> str:
    """Look into the tables of sockets, which psutil gives without their users (proc(5), /proc/net/tcp)."""
    import pwd

    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for fields in map(str.split, Path("/proc/net", table).read_text().splitlines()[1:]):
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # TCP_LISTEN
                    with suppress(KeyError):
                        return f"user {pwd.getpwuid(int(fields[7])).pw_name}"
                    return f"user {fields[7]}"
    return ""
