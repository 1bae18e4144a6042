"""All of the benchmark: prints its tables, and ends with 1 where a bound is not kept."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Final
from unittest import mock

from tests.bench import (
    batch,
    broker,
    calls,
    cards,
    frozen,
    hostile,
    idle,
    opensc,
    portal,
    servisign,
    sessions,
    signatures,
    starts,
)
from tests.bench.tables import Table

PARTS: Final[Mapping[str, tuple[Callable[[int], Table], int]]] = {
    "servisign": (servisign.calls, 500),
    "calls": (calls.calls, 20),
    "cards": (cards.signing, 7),
    "sessions": (sessions.sessions, 100),
    "broker": (broker.broker, 60),
    "hostile": (hostile.log_ins, 15),
    "signatures": (signatures.verifying, 9),
    "large": (signatures.large_pdf, 1),
    "idle": (idle.minute, 60),
    "portal": (portal.signatures, 40),
    "opensc": (opensc.signatures, 15),
    "starts": (starts.starts, 9),
    "frozen": (frozen.start, 10),
    "batch": (batch.batches, 60),
    "batch-journal": (batch.journal, 200),
    "batch-memory": (batch.memory, 1),
}


OF_THE_DISK: Final = frozenset(("batch-journal",))
_MEMORY: Final = Path("/dev/shm")


@contextmanager
def _folders_in(place: Path) -> Iterator[None]:
    """Run the body with its folders in `place`, those of its processes too, if there is such a place."""
    before = tempfile.tempdir
    with mock.patch.dict(os.environ):
        if place.is_dir():
            tempfile.tempdir = os.environ["TMPDIR"] = str(place)
        try:
            yield
        finally:
            tempfile.tempdir = before


def main() -> int:
    """The exit code: 0, or 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument(
        "--rounds", type=int, help="how often each thing is done, instead of its usual number"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all tables are written as well")
    options = parser.parse_args()
    # Else every process that is measured compiles all of the program again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    tables: dict[str, Table] = {}
    for name in options.parts or PARTS:
        measure, rounds = PARTS[name]
        # What else writes to the disk would be measured too.
        with nullcontext() if name in OF_THE_DISK else _folders_in(_MEMORY):
            tables[name] = measure(options.rounds or rounds)
        print(tables[name], flush=True)  # noqa: T201
    if options.json:
        told = {name: asdict(table) for name, table in tables.items()}
        options.json.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 1 if any(table.broken for table in tables.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
