"""What this operating system tells about itself: programs that run, and the drivers of its readers."""

from __future__ import annotations

import csv
import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePath, PureWindowsPath
from typing import Final

from agent.port_holder import holder_of

_SECONDS: Final = 10.0
_ADMINISTRATORS_PATH: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_DRIVER_FOLDERS: Final = (
    "/usr/lib/pcsc/drivers",
    "/usr/lib64/pcsc/drivers",
    "/usr/libexec/SmartCardServices/drivers",
    "/usr/local/libexec/SmartCardServices/drivers",
)


@dataclass(frozen=True, slots=True)
class Program:
    """A running program."""

    pid: int
    name: str


def find(name: str) -> str | None:
    """The full path of a program, None when it is not installed; pcscd is on no ordinary user's path."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMINISTRATORS_PATH))
    return shutil.which(name, path=path)


def running(platform: str = sys.platform) -> tuple[Program, ...]:
    """The programs that run now, as far as this user may know.

    Args:
        platform: as `sys.platform`.

    Raises:
        OSError, subprocess.SubprocessError: the system's own list cannot be had.
    """
    if platform == "linux":
        return tuple(_of_proc())
    if platform == "win32":
        lines = _output(_of_windows("tasklist.exe"), "/fo", "csv", "/nh").splitlines()
        return tuple(Program(int(row[1]), row[0]) for row in csv.reader(lines) if len(row) > 1)
    split = (line.split(None, 1) for line in _output("ps", "-axco", "pid=,comm=").splitlines())
    return tuple(Program(int(parts[0]), parts[1]) for parts in split if len(parts) == 2)


def listening(port: int, platform: str = sys.platform) -> str:
    """Who listens on TCP `port`, as `name (pid)`; empty where the system does not tell this user."""
    if platform == "linux":
        return holder_of(port)
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        if platform == "win32":
            pid = listener_in_netstat(_output(_of_windows("netstat.exe"), "-ano", "-p", "tcp"), port)
            found = [each for each in running(platform) if each.pid == pid]
        else:
            found = listeners_in_lsof(_output("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"))
        if found:
            return f"{found[0].name} ({found[0].pid})"
    return ""


def listener_in_netstat(text: str, port: int) -> int | None:
    """The process that Windows' `netstat -ano` says is listening."""
    for line in text.splitlines():
        fields = line.split()
        # The word for the state is translated on localised systems; only a listener has port 0 as its peer.
        if len(fields) == 5 and fields[1].rpartition(":")[2] == str(port) and fields[2].endswith(":0"):
            return int(fields[4])
    return None


def listeners_in_lsof(text: str) -> list[Program]:
    """The processes in the field output of lsof: a line `p<pid>`, then a line `c<name>`."""
    pairs = pairwise(text.splitlines())
    return [Program(int(pid[1:]), name[1:]) for pid, name in pairs if pid[:1] == "p" and name[:1] == "c"]


def _of_proc() -> Iterator[Program]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone in between
            # The kernel cuts `comm` at 15 characters, and a script is known by what it runs.
            words = (process / "cmdline").read_bytes().split(b"\0")
            name = PurePath(words[0].decode("utf-8", "replace")).name
            yield Program(int(process.name), name or (process / "comm").read_text().strip())


def _of_windows(program: str) -> str:
    """Its whole path: Windows looks for a bare name in the current folder first."""
    return str(PureWindowsPath(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", program))


def _output(*command: str) -> str:
    done = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        check=True,
        timeout=_SECONDS,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    return done.stdout.decode("utf-8", "replace")


def driver_of(reader: str) -> str:
    """The driver that serves a reader, by the names that drivers give (PC/SC Lite and macOS bundles)."""
    matches = [(name, driver) for name, driver in _drivers() if reader.startswith(name)]
    return max(matches, key=lambda match: len(match[0]))[1] if matches else ""


@cache
def _drivers() -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for folder in _DRIVER_FOLDERS:
        for bundle in sorted(Path(folder).glob("*.bundle")):
            with suppress(OSError, ValueError, plistlib.InvalidFileException):
                told = plistlib.loads((bundle / "Contents" / "Info.plist").read_bytes())
                names = told.get("ifdFriendlyName", ())
                version = told.get("CFBundleShortVersionString", "")
                for name in names if isinstance(names, list) else [names]:
                    found.append((str(name), f"{bundle.stem} {version}".strip()))
    return tuple(found)
