"""Batches on a card that takes 150 ms for a signature: is it ever idle, and what does the journal cost?"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final
from unittest import mock

from click.testing import CliRunner

from agent.batch.files import FileBatch
from agent.batch.listing import entries_of_folder
from agent.cli import composition
from agent.cli.program import program
from agent.interaction.terminal import TerminalInteraction
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from tests.bench.tables import Table, milliseconds, ratio, timed
from tests.bench.timed_card import SIGNATURE_SECONDS, TimedCard
from tests.support.agent import running_agent
from tests.support.batches import PLAIN, documents
from tests.support.cards import simulated, simulator_ca, simulator_folder

BUSY_BOUND: Final = 0.97
TWO_CARDS_BOUND: Final = 1.9
MEMORY_BOUND: Final = 1.10
JOURNAL_BOUND: Final = 0.10
"""Of a signature's time; it passes beside the next signature."""

_PIN: Final = "123456"
_MEASURED: Final = """
import os, subprocess, sys
running = subprocess.Popen(sys.argv[1:])
print(os.wait4(running.pid, 0)[2].ru_maxrss, file=sys.stderr)
"""


def batches(rounds: int) -> Table:
    """Measure the command line, the native API and two cards, with so many documents for each card."""
    table = Table(
        f"Batches of {rounds} documents, {SIGNATURE_SECONDS * 1000:.0f} ms for a signature",
        ("way", "card busy", "records/s", "of the card's limit"),
    )
    [line] = _command_line(rounds, 1)
    pair = _command_line(2 * rounds, 2)
    api = asyncio.run(_native(rounds))
    for name, cards in (("hca-agent batch", [line]), ("sign.batch", [api]), ("two cards", pair)):
        rate, limit = sum(card.rate for card in cards), sum(card.limit for card in cards)
        busy = min(card.busy for card in cards)
        table.rows.append((name, f"{busy:.1%}", f"{rate:.2f}", f"{rate / limit:.1%}"))
        if busy < BUSY_BOUND:
            table.broken.append(f"{name}: the card is busy for {busy:.1%} of the time")
    together = _rate(pair) / line.rate
    table.notes.append(f"Two cards side by side: {ratio(together)} times one.")
    if together < TWO_CARDS_BOUND:
        table.broken.append(f"two cards are {together:.2f} times one")
    return table


def memory(_rounds: int) -> Table:
    """Measure `hca-agent batch` with a thousand documents and ten thousand, on a card without a delay."""
    sizes = (1_000, 10_000)
    peaks = [_peak(size) for size in sizes]
    table = Table("Memory of hca-agent batch", ("documents", "peak", "ratio"))
    for size, peak in zip(sizes, peaks, strict=True):
        table.rows.append((f"{size:,}", f"{peak / 1e6:.1f} MB", ratio(peak / peaks[0])))
    if peaks[1] > MEMORY_BOUND * peaks[0]:
        table.broken.append(f"ten times the documents need {peaks[1] / peaks[0]:.2f} times the memory")
    return table


def journal(rounds: int) -> Table:
    """Measure what a result costs that a journal knows of, beside one that is only written."""
    content = os.urandom(4096)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents(folder / "ward", rounds)
        with FileBatch(folder / "ward", folder / "signed", "ward") as batch:
            entries = entries_of_folder(folder / "ward", PLAIN, folder / "signed")
            listing = timed(lambda: batch.declare(entries, rounds)) / rounds
            items = list(batch.waiting())
            plain, ours = [], []
            for number, item in enumerate(items):
                plain.append(timed(lambda number=number: _only_write(folder / f"{number}", content)))
                ours.append(timed(lambda item=item: batch._store(item, content)))
    table = Table(
        f"What the journal costs, each document (median of {rounds})",
        ("what", "time", "ratio"),
        [
            ("listed: read, hashed, in the journal", milliseconds(listing), ""),
            ("written, flushed, named, and no more", milliseconds(median(plain)), ratio(1)),
            ("the same with its journal", milliseconds(median(ours)), ratio(median(ours) / median(plain))),
        ],
    )
    share = (median(ours) - median(plain)) / SIGNATURE_SECONDS
    table.notes.append(f"The journal adds {share:.1%} of a signature's time, beside the next signature.")
    if share > JOURNAL_BOUND:
        table.broken.append(f"the journal adds {share:.1%} of a signature's time")
    return table


def _rate(cards: list[TimedCard]) -> float:
    """Return the signatures a second of cards side by side."""
    spans = [card.spans[index] for card in cards for index in card.signatures]
    return len(spans) / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def _command_line(count: int, cards: int) -> list[TimedCard]:
    timed_cards = [TimedCard(simulated("hpc")) for _ in range(cards)]
    winscard = VirtualWinscard()
    for number, card in enumerate(timed_cards):
        winscard.add_reader(f"Bench {number}").insert(card)
    readers = [word for number in range(cards) for word in ("--reader", f"Bench {number}")]
    with tempfile.TemporaryDirectory() as name, _at_home(Path(name)):
        documents(Path(name) / "ward", count)
        with (
            mock.patch.object(composition, "open_service", lambda *_args, **_more: Service(winscard)),
            mock.patch.object(TerminalInteraction, "open", classmethod(lambda _cls: None)),
        ):
            words = ["batch", str(Path(name) / "ward"), "--pin-stdin", "--json", *readers]
            done = CliRunner().invoke(program, words, input=f"{_PIN}\n" * cards)
    if done.exit_code or json.loads(done.stdout)["done"] != count:
        raise AssertionError(done.output)
    return timed_cards


async def _native(count: int) -> TimedCard:
    card = TimedCard(simulated("hpc"))
    items = [
        {"name": f"{number}", "format": "cades", "document": base64.b64encode(b"record %d" % number).decode()}
        for number in range(count)
    ]
    with tempfile.TemporaryDirectory() as name:
        async with running_agent(Path(name), [""]) as agent, agent.page() as page:
            agent.readers[0].insert(card)
            request = await page.send("sign.batch", batch="bench", items=items)
            while (told := await page.socket.receive_json()).get("id") != request:
                pass
    if told["result"]["done"] != count:
        raise AssertionError(told)
    return card


@contextmanager
def _at_home(folder: Path) -> Iterator[Path]:
    home = folder / "home"
    home.mkdir(mode=0o700)
    simulator_ca()
    (home / "simulator").symlink_to(simulator_folder())
    with mock.patch.dict(os.environ, {"HCA_AGENT_HOME": str(home)}):
        yield home


def _peak(count: int) -> int:
    with tempfile.TemporaryDirectory() as name, _at_home(Path(name)):
        documents(Path(name) / "ward", count)
        options = ("--simulate", "hpc", "--pin-stdin", "--json")
        command = [sys.executable, "-m", "agent", "batch", str(Path(name) / "ward"), *options]
        # By way of a small process: what a parent once held counts as its child's memory (getrusage(2)).
        run = [sys.executable, "-c", _MEASURED, *command]
        found = subprocess.run(run, input=f"{_PIN}\n", capture_output=True, text=True, check=True)
    done = json.loads(found.stdout)["done"]
    if done != count:
        raise AssertionError(f"{done} of {count} were signed")
    return int(found.stderr.split()[-1]) * 1024


def _only_write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
