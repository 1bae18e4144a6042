"""The long soak: prints its tables, and ends with 1 where a bound is not kept or something was lost.

Each part runs in a process of its own, in its long form unless `--times` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.soak import clocks, disk, insertions, pages, signatures, windows
from tests.soak.course import Part

PARTS: Final[Mapping[str, tuple[Part, int]]] = {
    "insertions": (insertions.in_process, 10_000),
    "pcscd": (insertions.through_pcscd, 300),
    "restarts": (insertions.restarts, 200),
    "signatures": (signatures.signatures, 100_000),
    "pages": (pages.vanishing, 1_000),
    "slow": (pages.slow, 300),
    "windows": (windows.flood, 10_000),
    "disk": (disk.disk, 50),
    "clocks": (clocks.jumps, 5),
}


def main() -> int:
    """Return the exit code: 0, or 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--times", type=int, help="how often, instead of the long form's number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all tables are written as well")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    tables: dict[str, Any] = {}
    for name in options.parts or PARTS:
        part, usual = PARTS[name]
        times = options.times or usual
        tables[name] = _here(part, times) if len(options.parts) == 1 else _apart(name, times)
    if options.json:
        options.json.write_text(json.dumps(tables, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 1 if any(table is None or table["broken"] for table in tables.values()) else 0


def _here(part: Part, times: int) -> dict[str, Any]:
    table = part(times)
    print(table, flush=True)  # noqa: T201
    return asdict(table)


def _apart(name: str, times: int) -> dict[str, Any] | None:
    """Return what a part finds in a process of its own; None where it ended otherwise."""
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        command = [sys.executable, "-m", "tests.soak", name, "--times", str(times), "--json", told.name]
        subprocess.run(command, check=False)
        found: dict[str, Any] | None = json.loads(told.read() or b"{}").get(name)
        return found


if __name__ == "__main__":
    sys.exit(main())
