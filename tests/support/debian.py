"""A Debian with nothing but what is named, in mounts of its own, for the tests marked `packages`.

debootstrap makes it once, in the user's cache folder; each machine of a test is a layer above that, gone with
the test. Its services are not started, as there is no init. What is started inside has a network of its own
where it, or the whole machine, is asked for one.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

MIRROR: Final = "http://deb.debian.org/debian"
_TOOLS: Final = ("debootstrap", "unshare", "nsenter", "setpriv", "chroot", "ip", "strace")
_ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Reading standard input keeps the mounts alive exactly as long as this process: its end closes the pipe.
_HOLD: Final = """
set -e
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$LAYER/upper,workdir=$LAYER/work" "$LAYER/root"
mount -t proc proc "$LAYER/root/proc"
mount --rbind /dev "$LAYER/root/dev"
mount -t tmpfs tmpfs "$LAYER/root/run"
mount -t tmpfs tmpfs "$LAYER/root/tmp"
mount --bind "$CACHE" "$LAYER/root/var/cache/apt/archives"
mkdir "$LAYER/root/handed"
mount --bind "$HANDED" "$LAYER/root/handed"
ip link set lo up
for place in "$@"; do
    mkdir -p "$LAYER/root$place"
    mount --bind "$place" "$LAYER/root$place"
done
echo ready
exec cat
"""


_INSTALL: Final = """
set -e
mount -t proc proc "$ROOT/proc"
mount --bind "$CACHE" "$ROOT/var/cache/apt/archives"
chroot "$ROOT" apt-get -q -y --no-install-recommends install "$@"
"""
_CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True)
class Base:
    """What a machine starts from.

    Attributes:
        suite: Debian's name for it.
        packages: what is installed beside the least there is.
    """

    suite: str
    packages: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where it is kept: one with other packages is another."""
        more = hashlib.sha256(" ".join(self.packages).encode()).hexdigest()[:8]
        return f"{self.suite}-{more}" if self.packages else self.suite


BOOKWORM: Final = Base("bookworm")


def why_not() -> str | None:
    """Why there can be no machine here; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0 or platform.machine() != "x86_64":
        return "a Debian of one's own needs root on Linux (x86-64)"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"a Debian of one's own needs {', '.join(missing)}" if missing else None


class Debian:
    """One machine; made by `debian`.

    Attributes:
        pid: a process in its namespaces, for as long as it lasts.
        root: its root folder, as this process reaches it.
    """

    def __init__(
        self, base: Path, cache: Path, layer: Path, handed: Path, same: Sequence[Path], alone: bool
    ) -> None:
        for name in ("upper", "work", "root"):
            (layer / name).mkdir()
        places = {"BASE": base, "LAYER": layer, "CACHE": cache, "HANDED": handed}
        self._layer = layer
        apart = ["--mount", *(["--net"] if alone else [])]
        self._holder = subprocess.Popen(
            ["unshare", *apart, "--propagation", "private", "sh", "-c", _HOLD, "sh", *map(str, same)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {name: str(place) for name, place in places.items()},
        )
        self.pid: Final = self._holder.pid
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            pytest.skip("this machine does not let root make overlay mounts")
        self.root: Final = Path(f"/proc/{self.pid}/root{layer}/root")

    def enter(self, user: str = "root", before: Sequence[str] = ()) -> list[str]:
        """The words that start a command inside, in its root folder.

        Args:
            user: of that machine.
            before: what starts the command, outside of the root folder: `unshare --net`, `strace`.
        """
        changed = ["chroot", f"--userspec={user}", "--groups=", str(self._layer / "root")]
        return ["nsenter", "-t", str(self.pid), "--mount", "--net", "--wd=/", *before, *changed]

    def inside(self, *command: str, user: str = "root", before: Sequence[str] = ()) -> list[str]:
        """The command that runs `command` inside, with an environment of that machine's; see `enter`."""
        home = "/root" if user == "root" else f"/home/{user}"
        variables = [f"{name}={value}" for name, value in (_ENVIRONMENT | {"HOME": home}).items()]
        return [*self.enter(user, before), "env", "-i", *variables, *command]

    @contextmanager
    def network(self) -> Iterator[None]:
        """This thread, and what it starts, in the machine's network: its ports are 127.0.0.1's here."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            _set_network(there)
            yield
        finally:
            _set_network(here)
            os.close(there)
            os.close(here)

    def run(self, *command: str, user: str = "root", check: bool = True, **more: Any) -> str:
        """What a command inside prints, errors included."""
        done = subprocess.run(
            self.inside(*command, user=user, **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def apt(self, *words: str) -> str:
        """`apt-get`, without questions; what is recommended stays away."""
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", *words)

    def files(self) -> set[str]:
        """Every file, link and folder that is on the disk, but for what apt and dpkg remember."""
        forgotten = "( -path /var/cache -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/apt )"
        listed = self.run("find", "/", "-xdev", *forgotten.split(), "-prune", "-o", "-print")
        return set(listed.splitlines())

    def close(self) -> None:
        """Let the mounts go, and with them the machine."""
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.kill()
        self._holder.wait()


@contextmanager
def debian(base: Base, handed: Path, same: Sequence[Path] = (), *, alone: bool = False) -> Iterator[Debian]:
    """A fresh machine; skips the test where it cannot be had.

    Args:
        base: what it starts from.
        handed: a folder that is `/handed` inside.
        same: folders that have the same path inside as here.
        alone: whether it has a network of its own, with nothing but itself in it.
    """
    if reason := why_not():
        pytest.skip(reason)
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hca-agent-tests")
    cache = kept / "packages"
    (cache / "partial").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-") as folder:
        machine = Debian(_made(base, kept, cache), cache, Path(folder), handed, same, alone)
        try:
            yield machine
        finally:
            machine.close()


def _made(base: Base, kept: Path, cache: Path) -> Path:
    """The folder of a base, made now if it is not there."""
    folder = kept / base.folder
    if folder.exists():
        return folder
    making = kept / f"{base.folder}.{os.getpid()}"
    command = ["debootstrap", "--variant=minbase", f"--cache-dir={cache}", base.suite, str(making), MIRROR]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=1800)
    policy = making / "usr/sbin/policy-rc.d"  # what starts services asks it; there is no init
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (making / "etc/hosts").write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")  # Debian's installer's
    if base.packages:  # not by debootstrap, which takes the first of several that would do
        install = ["sh", "-c", _INSTALL, "sh", *base.packages]
        environment = os.environ | _ENVIRONMENT | {"ROOT": str(making), "CACHE": str(cache)}
        command = ["unshare", "--mount", "--propagation", "private", *install]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, timeout=1800)
    return making.rename(folder)


def _set_network(descriptor: int) -> None:
    """Move this thread into the network of a descriptor of /proc/*/ns/net (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
