"""The same thing done again and again, and what this process holds before and after."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.tables import Table

MEGABYTES_MAX: Final = 4.0
"""How much memory may grow, whatever was done; the system's allocator gives back what it likes to."""
_BLOCKS_OF_PYTHON: Final = 3000
"""How many objects more there may be after any course: tables of code that was used for the first time."""
_BLOCKS_OF_EACH: Final = 0.2
"""And for each thing done."""
_SETTLING_SECONDS: Final = 20.0

Step = Callable[[int], Awaitable[None]]
Part = Callable[[int], Table]


@dataclass(frozen=True)
class Mark:
    """What a process holds at a moment.

    Attributes:
        megabytes: of its memory that are resident.
        blocks: that Python has allocated (`sys.getallocatedblocks`).
    """

    megabytes: float
    blocks: int
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Mark:
        """Return what this process holds, once what nobody holds has been collected."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            megabytes=pages * os.sysconf("SC_PAGE_SIZE") / 1024**2,
            blocks=sys.getallocatedblocks(),
            descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            threads=len(os.listdir("/proc/self/task")),  # noqa: PTH208
        )


def table(title: str) -> Table:
    """Return an empty table of courses."""
    columns = (
        "what",
        "times",
        "seconds",
        "MB before",
        "after",
        "per 1,000",
        "objects",
        "descriptors",
        "threads",
    )
    return Table(title, columns)


async def course(
    into: Table,
    name: str,
    times: int,
    step: Step,
    mark: Callable[[], Mark] = Mark.now,
    *,
    ways: int = 1,
    kept: int = 0,
) -> None:
    """Do `step` so many times, after some that warm up, and write a line into the table.

    Args:
        into: where what grew is told as broken.
        name: of the line.
        times: how often.
        step: is given a number, from 0 on through warming up and the course itself.
        mark: what the agent's process holds; it is this one.
        ways: how many different things the first numbers do, all of which warm up.
        kept: objects that are rightly kept of each, up to some number.
    """
    await fill_pool()
    warming = max(ways, min(times // 5 + 1, 1000))
    for number in range(warming):
        await step(number)
    before = await _settled(mark)
    began = time.monotonic()
    for number in range(warming, warming + times):
        await step(number)
    seconds = time.monotonic() - began
    note(into, name, times, seconds, before, await _settled(mark, before), kept)


def elsewhere(command: Sequence[str], **environment: str) -> Table:
    """Return the table that another program writes as JSON."""
    path = os.pathsep.join(path for path in sys.path if path)
    given = os.environ | {"PYTHONPATH": path} | environment
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=given)
    assert done.returncode == 0, done.stderr
    return Table(**json.loads(done.stdout))


async def fill_pool() -> None:
    """Have all threads begin that the event loop keeps for `asyncio.to_thread`; they come one by one else."""
    count = min(32, (os.cpu_count() or 1) + 4)  # concurrent.futures.ThreadPoolExecutor
    together = threading.Barrier(count)
    await asyncio.gather(*(asyncio.to_thread(together.wait) for _ in range(count)))


def note(
    into: Table, name: str, times: int, seconds: float, before: Mark, after: Mark, kept: int = 0
) -> None:
    """Write down what a course found."""
    grown, blocks = after.megabytes - before.megabytes, after.blocks - before.blocks
    into.rows.append(
        (
            name,
            f"{times:,}",
            f"{seconds:.0f}",
            f"{before.megabytes:.1f}",
            f"{after.megabytes:.1f}",
            f"{grown / times * 1000:+.2f}",
            f"{blocks:+,}",
            f"{before.descriptors} → {after.descriptors}",
            f"{before.threads} → {after.threads}",
        )
    )
    if grown > MEGABYTES_MAX:
        into.broken.append(f"{name}: memory grew by {grown:.1f} MB")
    if blocks > _BLOCKS_OF_PYTHON + (_BLOCKS_OF_EACH + kept) * times:
        into.broken.append(f"{name}: {blocks:,} more objects after {times:,} times")
    if after.descriptors > before.descriptors:
        into.broken.append(f"{name}: {before.descriptors} descriptors became {after.descriptors}")
    if after.threads > before.threads:
        into.broken.append(f"{name}: {before.threads} threads became {after.threads}")


async def _settled(mark: Callable[[], Mark], before: Mark | None = None) -> Mark:
    """Return a mark, once what ends by itself has ended."""
    deadline = time.monotonic() + _SETTLING_SECONDS
    last = mark()
    while True:
        await asyncio.sleep(0.1)
        now = mark()
        quiet = (now.descriptors, now.threads) == (last.descriptors, last.threads)
        more = before is not None and (now.descriptors > before.descriptors or now.threads > before.threads)
        if (quiet and not more) or time.monotonic() > deadline:
            return now
        last = now
