#!/usr/bin/env python3
"""Makes the Windows packages from the frozen program: two MSI (wixl) and a setup program (NSIS).

    packages.py FROZEN OUT [--mark MARK]

    hca-agent-VERSION-machine.msi    for every user of the computer; needs an administrator
    hca-agent-VERSION-user.msi       for one user, without an administrator
    hca-agent-VERSION-setup.exe      asks for which of both; silent with /S

It needs wixl and makensis, which Debian packages as `wixl` and `nsis`, and a frozen program made on Windows.
`--mark wine-test` is for a program that was frozen under Wine: file names and the product's name carry it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import admx
import msi
import nsis
from icon import icon
from product import Product

from agent import __version__  # admx made it importable

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAMS: Final = ("hca-agent.exe", "hca-agentw.exe")


def build(frozen: Path, out: Path, mark: str = "") -> list[Path]:
    """All packages; their files.

    Args:
        frozen: the folder that PyInstaller made.
        out: where they are to be.
        mark: what tells them from a release; empty for one.
    """
    missing = [name for name in PROGRAMS if not (frozen / name).is_file()]
    if missing:
        raise SystemExit(f"{frozen} has no {missing[0]}: it was not frozen on Windows")
    out.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    out = out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        product = Product(__version__, mark, frozen.resolve(), work / "hca-agent.ico")
        product.icon.write_bytes(icon())
        templates = admx.write(work / "PolicyDefinitions")
        for machine in (True, False):
            source = work / "product.wxs"
            source.write_text(msi.source(product, templates, work, machine=machine), encoding="utf-8")
            made.append(out / f"{product.file_name}-{'machine' if machine else 'user'}.msi")
            subprocess.run(["wixl", "--arch", "x64", "-o", made[-1], source.name], check=True, cwd=work)
            table = work / "codepage.idt"
            table.write_text(msi.CODE_PAGE, encoding="ascii", newline="")
            subprocess.run(["msibuild", made[-1], "-i", table], check=True)
            subprocess.run(["msibuild", made[-1], *_queries(msi.corrections())], check=True)
        made.append(out / f"{product.file_name}-setup.exe")
        script = work / "setup.nsi"
        # NSIS reads UTF-8 where a mark says so.
        script.write_text(nsis.source(product, templates, made[-1]), encoding="utf-8-sig")
        subprocess.run(["makensis", "-V2", "-NOCD", str(script)], check=True)
    return made


def _queries(statements: list[str]) -> list[str]:
    return [word for statement in statements for word in ("-q", statement)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frozen", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mark", default="")
    given = parser.parse_args()
    for file in build(given.frozen, given.out, given.mark):
        print(f"{file}: {file.stat().st_size / 1024 / 1024:.1f} MB")
