"""A Debian Bookworm with nothing but apt, in mounts of its own, for the tests marked `packages`.

debootstrap makes it once, in the user's cache folder; each machine of a test is a layer above that, gone with
the test. Its services are not started, as there is no init; what is started inside has a network of its own
where it is asked for one.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
echo ready
exec cat
"""


def why_not() -> str | None:
    """Why there can be no Bookworm here; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0 or platform.machine() != "x86_64":
        return "a Bookworm of one's own needs root on Linux (x86-64)"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"a Bookworm of one's own needs {', '.join(missing)}" if missing else None


class Bookworm:
    """One machine; made by `bookworm`.

    Attributes:
        root: its root folder, as this process reaches it.
    """

    def __init__(self, base: Path, cache: Path, layer: Path, handed: Path) -> None:
        for name in ("upper", "work", "root"):
            (layer / name).mkdir()
        places = {"BASE": base, "LAYER": layer, "CACHE": cache, "HANDED": handed}
        self._layer = layer
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {name: str(place) for name, place in places.items()},
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            pytest.skip("this machine does not let root make overlay mounts")
        self.root = Path(f"/proc/{self._holder.pid}/root{layer}/root")

    def inside(self, *command: str, user: str = "root", before: Sequence[str] = ()) -> list[str]:
        """The command that runs `command` inside.

        Args:
            command: a program of that machine and its words.
            user: of that machine.
            before: what starts the command, outside of the root folder: `unshare --net`, `strace`.
        """
        home = "/root" if user == "root" else f"/home/{user}"
        variables = [f"{name}={value}" for name, value in (_ENVIRONMENT | {"HOME": home}).items()]
        changed = ["chroot", f"--userspec={user}", "--groups=", str(self._layer / "root")]
        return [
            *("nsenter", "-t", str(self._holder.pid), "--mount", "--wd=/", *before),
            *(*changed, "env", "-i", *variables, *command),
        ]

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
def bookworm(handed: Path) -> Iterator[Bookworm]:
    """A fresh machine; skips the test where it cannot be had.

    Args:
        handed: a folder that is `/handed` inside.
    """
    if reason := why_not():
        pytest.skip(reason)
    base, cache = _base()
    with tempfile.TemporaryDirectory(prefix="bookworm-") as folder:
        machine = Bookworm(base, cache, Path(folder), handed)
        try:
            yield machine
        finally:
            machine.close()


def _base() -> tuple[Path, Path]:
    """The machine below all others, and the packages that were downloaded."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hca-agent-tests")
    base, cache = kept / "bookworm", kept / "packages"
    (cache / "partial").mkdir(parents=True, exist_ok=True)
    if not base.exists():
        making = kept / f"bookworm.{os.getpid()}"
        command = ["debootstrap", "--variant=minbase", "bookworm", str(making), MIRROR]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        policy = making / "usr/sbin/policy-rc.d"  # what starts services asks it; there is no init
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        (making / "etc/hosts").write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")  # Debian's installer's
        making.rename(base)
    return base, cache
