"""How soon the frozen agent listens, beside the same agent from source."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.bench.starts import answering, write_ports
from tests.bench.tables import Table, interleaved, milliseconds, ratio

PROGRAM: Final = Path(__file__).parents[2] / "dist" / "hca-agent" / "hca-agent"
MOST: Final = 1.2


def start(rounds: int) -> Table:
    """The frozen program of `make package`; an empty table where it was not built."""
    table = Table(
        f"From nothing to listening, frozen and from source (median of {rounds}, interleaved)",
        ("what", "frozen", "source", "ratio"),
    )
    if not PROGRAM.exists():
        table.notes.append("there is no frozen program yet: make package")
        return table
    with tempfile.TemporaryDirectory(prefix="hca-agent-bench-") as home:
        native = write_ports(Path(home))
        words = ["run", "--headless", "--simulate", "hpc"]
        environment = os.environ | {"HCA_AGENT_HOME": home}
        frozen, source = interleaved(
            rounds,
            lambda: answering([str(PROGRAM), *words], native, environment),
            lambda: answering([sys.executable, "-m", "agent", *words], native, environment),
        )
    table.rows.append(("hca-agent run", milliseconds(frozen), milliseconds(source), ratio(frozen / source)))
    if frozen > MOST * source:
        table.broken.append(f"the frozen agent takes {frozen / source:.2f} times as long as from source")
    return table
