"""What an agent takes that nobody uses: no page, one card in the reader of a real pcscd."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Final

from tests.bench.cards import card_in
from tests.bench.starts import write_ports
from tests.bench.tables import Table
from tests.support.pcscd import PrivatePcscd, private_pcscd, why_not
from tests.support.waiting import until

MEGABYTES_MAX: Final = 50.0
PROCESSOR_SECONDS_MAX: Final = 0.005
WAKEUPS_MAX: Final = 12
_SETTLED_SECONDS: Final = 5.0
_START_SECONDS: Final = 60.0


def minute(seconds: int) -> Table:
    """Watch it for so many seconds; the bounds are of a minute."""
    table = Table(
        f"An agent that nobody uses, one card in the reader, for {seconds} s",
        ("resident", "proportional", "processor", "wake-ups a minute"),
    )
    if reason := why_not():
        table.notes.append(f"Left out: {reason}.")
        return table
    with tempfile.TemporaryDirectory(prefix="hca-agent-bench-") as folder, private_pcscd() as pcscd:
        home = Path(folder)
        write_ports(home)
        with card_in(pcscd):
            with _agent(pcscd, home):
                pass  # the first start makes keys and certificates, and stays larger for it
            with _agent(pcscd, home) as process:
                time.sleep(_SETTLED_SECONDS)
                before, processor = _wakeups(process), _processor(process)
                time.sleep(seconds)
                wakeups = (_wakeups(process) - before) * 60 / seconds
                processor = _processor(process) - processor
                resident, proportional = _memory(process)
    table.rows.append(
        (f"{resident:.1f} MB", f"{proportional:.1f} MB", f"{processor:.2f} s", f"{wakeups:.0f}")
    )
    if resident > MEGABYTES_MAX:
        table.broken.append(f"{resident:.1f} MB are more than {MEGABYTES_MAX:.0f}")
    if processor > PROCESSOR_SECONDS_MAX:
        table.broken.append(f"it worked for {processor:.2f} s")
    if wakeups > WAKEUPS_MAX:
        table.broken.append(f"it woke {wakeups:.0f} times, more than {WAKEUPS_MAX}")
    return table


@contextmanager
def _agent(pcscd: PrivatePcscd, home: Path) -> Iterator[Path]:
    """Run an agent beside the service; the folder of its process in /proc."""
    command = [sys.executable, "-m", "agent", "run", "--headless"]
    environment = os.environ | {"HCA_AGENT_HOME": str(home)}
    inventory = home / "inventory.json"
    inventory.unlink(missing_ok=True)
    running: Popen[bytes] = pcscd.popen(
        command, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        until(inventory.exists, "the agent did not start", _START_SECONDS)
        yield Path("/proc", str(running.pid))
    finally:
        running.terminate()
        running.wait(_START_SECONDS)


def _memory(process: Path) -> tuple[float, float]:
    """What of it is in memory, and its share where others use the same, in MB of 1024 × 1024 bytes."""
    told = (process / "smaps_rollup").read_text()
    resident, proportional = (
        int(found[1]) / 1024
        for name in ("Rss", "Pss")
        if (found := re.search(rf"^{name}:\s+(\d+) kB$", told, re.MULTILINE))
    )
    return resident, proportional


def _processor(process: Path) -> float:
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _wakeups(process: Path) -> int:
    """How often one of its threads has waited and gone on."""
    told = "".join((task / "status").read_text() for task in (process / "task").iterdir())
    return sum(int(count) for count in re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", told, re.MULTILINE))
