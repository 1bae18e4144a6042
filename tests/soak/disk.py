"""A disk that is full, or read-only, again and again, while an agent is at work on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Final

from tests.bench.tables import Table
from tests.soak.course import elsewhere, table

_MEGABYTES: Final = 4
_MOUNT: Final = 'mount -t tmpfs -o size="$2" tmpfs "$1" && shift 2 && exec "$@"'


def why_not() -> str | None:
    """Say why no disk of one's own can be had here; None where it can."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return "a disk of one's own needs Linux, root and unshare"
    return None


def disk(times: int) -> Table:
    """Fill the disk and make it read-only so often, and see after each that everything works again."""
    if reason := why_not():
        return table("A full and a read-only disk").left_out(reason)
    with tempfile.TemporaryDirectory() as home:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNT, "sh"]
        command += [home, f"{_MEGABYTES}m", sys.executable, "-m", "tests.soak.on_disk", home, str(times)]
        return elsewhere(command)
