"""A clock that is set years ahead and years back, again and again, under a running agent."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench.tables import Table
from tests.soak.course import elsewhere, table


def jumps(times: int) -> Table:
    """Set the clock ahead, back and right so often."""
    if shutil.which("faketime") is None:
        return table("A clock that jumps").left_out("needs faketime")
    with tempfile.TemporaryDirectory() as name:
        clock = Path(name, "clock")
        clock.write_text("+0")
        # The program is asked for a date that stands in a file, and looks there each time; what only grows
        # goes on as it does (README of libfaketime, FAKETIME_TIMESTAMP_FILE).
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        return elsewhere(
            [sys.executable, "-m", "tests.soak.at_jumping_clock", name, str(clock), str(times)],
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_DONT_RESET="1",
            LD_PRELOAD=str(library),
        )
