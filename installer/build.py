#!/usr/bin/env python3
"""Builds what is handed to people: `make package`.

    build.py [STEP...]     frozen, sbom, packages, sums; all of them, in this order, when none is named

    frozen      dist/hca-agent/           the program with its interpreter (PyInstaller)
    sbom        dist/hca-agent.cdx.json   what it was put together from (CycloneDX)
    packages    dist/*.deb, dist/*.rpm    on Linux
    sums        dist/SHA256SUMS

It runs in the project's environment with the group `package`:  uv sync --group package

Builds of the same commit differ in as little as can be: files carry the time of the commit
(SOURCE_DATE_EPOCH overrides it).
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from agent import __version__  # noqa: E402

DIST: Final = ROOT / "dist"
WORK: Final = ROOT / "build" / "pyinstaller"
FROZEN: Final = DIST / "hca-agent"
SBOM: Final = DIST / "hca-agent.cdx.json"
SUMS: Final = DIST / "SHA256SUMS"
MOST_BYTES: Final = 110 * 1024 * 1024
HANDED_OUT: Final = (".deb", ".rpm", ".msi", ".exe", ".pkg", ".json")


def epoch() -> int:
    """Return the time that everything built carries: SOURCE_DATE_EPOCH, else the commit's, else now."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    try:
        git_log = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return int(git_log.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return int(datetime.now(UTC).timestamp())


def frozen() -> None:
    """Make the program in one folder, no larger than promised."""
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN"]
    command += [f"--distpath={DIST}", f"--workpath={WORK}", str(ROOT / "installer" / "hca-agent.spec")]
    # The order of sets decides the order in which modules are packed.
    environment = os.environ | {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(epoch())}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    if sys.platform == "linux":
        _forget_this_machine()
    for path in (FROZEN, *FROZEN.rglob("*")):
        os.utime(path, (epoch(), epoch()), follow_symlinks=os.utime not in os.supports_follow_symlinks)
    size = sum(path.stat().st_size for path in FROZEN.rglob("*") if path.is_file())
    print(f"{FROZEN}: {size / 1024 / 1024:.1f} MB")
    if size > MOST_BYTES:
        raise SystemExit(f"the frozen program is larger than {MOST_BYTES // 1024 // 1024} MB")


def _forget_this_machine() -> None:
    """Take out search paths that lead to where this machine's Python lies.

    On another machine that folder may be anybody's, who could put a library there that root then loads.
    """
    for file in FROZEN.rglob("*"):
        if file.is_symlink() or not file.is_file() or file.read_bytes()[:4] != b"\x7fELF":
            continue
        patchelf = subprocess.run(
            ["patchelf", "--print-rpath", str(file)], capture_output=True, text=True, check=False
        )
        searched = patchelf.stdout.strip().split(":")
        kept = ":".join(each for each in searched if each.startswith("$ORIGIN"))
        if kept != patchelf.stdout.strip():
            change = ["--set-rpath", kept] if kept else ["--remove-rpath"]
            subprocess.run(["patchelf", *change, str(file)], check=True)


def sbom() -> None:
    """Return the components that were frozen, not everything that is installed here."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "-o", "-", sys.executable]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch())}
    cyclonedx = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    bill: dict[str, Any] = json.loads(cyclonedx.stdout)
    wanted = {_normal(name) for name in distributions()}
    bill["components"] = [each for each in bill["components"] if _normal(each["name"]) in wanted]
    bill["components"] += list(_beside_python_packages())
    root = bill["metadata"]["component"]
    root["version"] = __version__
    kept = {root["bom-ref"], *(each["bom-ref"] for each in bill["components"])}
    bill["dependencies"] = [
        {**each, **({"dependsOn": needed} if (needed := _kept(each, kept)) else {})}
        for each in bill["dependencies"]
        if each["ref"] in kept
    ]
    SBOM.write_text(json.dumps(bill, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{SBOM}: {len(bill['components'])} components")


def distributions() -> list[str]:
    """Return the Python packages of which something was frozen."""
    owners = metadata.packages_distributions()
    names: set[str] = set()
    for toc in sorted((WORK / "hca-agent").glob("*-00.toc")):
        for entry in _entries(ast.literal_eval(toc.read_text(encoding="utf-8"))):
            top = entry.replace("\\", "/").split("/")[0].split(".")[0]
            names.update(owners.get(top, ()))
    return sorted(names - {"hca-agent"})


def sums() -> None:
    """One line for each file that is handed out, as `sha256sum --check` reads it."""
    files = sorted(file for file in DIST.iterdir() if file.suffix in HANDED_OUT)
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    SUMS.write_text("".join(lines), encoding="utf-8")
    print("".join(lines), end="")


def packages() -> None:
    """Those of this system."""
    if sys.platform != "linux":
        raise SystemExit("packages of this system have a script of their own: see installer/README.md")
    sys.path.insert(0, str(ROOT / "installer" / "linux"))
    import packages as linux

    linux.build(FROZEN, DIST, SBOM, version=__version__, epoch=epoch(), distributions=distributions())


def _entries(toc: object) -> Iterator[str]:
    """Return the names in one of PyInstaller's tables of contents: (name, path, kind), at any depth."""
    if isinstance(toc, tuple) and len(toc) == 3 and all(isinstance(each, str) for each in toc):
        yield toc[0]
    elif isinstance(toc, (tuple, list)):
        for each in toc:
            yield from _entries(each)


def _beside_python_packages() -> Iterator[dict[str, Any]]:
    import tkinter

    from PyInstaller import __version__ as pyinstaller

    tcl = tkinter.Tcl().eval("info patchlevel")
    for name, number, licence in (
        ("Python", ".".join(map(str, sys.version_info[:3])), "Python-2.0"),
        ("Tcl/Tk", tcl, "TCL"),
        ("PyInstaller bootloader", pyinstaller, "Apache-2.0"),
    ):
        yield {
            "bom-ref": f"{name}=={number}",
            "licenses": [{"license": {"id": licence}}],
            "name": name,
            "type": "library",
            "version": number,
        }


def _kept(dependency: dict[str, Any], kept: set[str]) -> list[str]:
    return [ref for ref in dependency.get("dependsOn", ()) if ref in kept]


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


STEPS: Final[dict[str, Callable[[], None]]] = {
    "frozen": frozen,
    "sbom": sbom,
    "packages": packages,
    "sums": sums,
}


def main() -> None:
    """Do the steps that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    chosen = parser.parse_args().steps or list(STEPS)
    if unknown := set(chosen) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    DIST.mkdir(exist_ok=True)
    for name in chosen:
        STEPS[name]()


if __name__ == "__main__":
    main()
