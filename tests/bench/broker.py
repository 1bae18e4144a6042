"""Batches through a real broker: `hca-agent submit` as a process, and cards of 150 ms a signature."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.bench.tables import Table, ratio
from tests.bench.timed_card import SIGNATURE_SECONDS, TimedCard
from tests.support.batches import documents
from tests.support.brokers import working
from tests.support.cards import simulated
from tests.support.nats_server import NatsServer, nats_server
from tests.support.operations import agent

BUSY_BOUND: Final = 0.97
TWO_CARDS_BOUND: Final = 1.9


def broker(rounds: int) -> Table:
    """Measure so many documents for each card, with one card and with two."""
    table = Table(
        f"Batches of {rounds} documents through NATS, {SIGNATURE_SECONDS * 1000:.0f} ms for a signature",
        ("cards", "card busy", "records/s", "of the cards' limit"),
    )
    rates = []
    for kinds in (["hpc"], ["hpc", "hop"]):
        cards = asyncio.run(_through(kinds, rounds * len(kinds)))
        busy, rate = min(card.busy for card in cards), _rate(cards)
        table.rows.append(
            (
                str(len(cards)),
                f"{busy:.1%}",
                f"{rate:.2f}",
                f"{rate / sum(card.limit for card in cards):.1%}",
            )
        )
        rates.append(rate)
        if busy < BUSY_BOUND:
            table.broken.append(f"{len(cards)} cards: one is busy for {busy:.1%} of the time")
    table.notes.append(f"Two cards are {ratio(rates[1] / rates[0])} times one.")
    if rates[1] < TWO_CARDS_BOUND * rates[0]:
        table.broken.append(f"two cards are {rates[1] / rates[0]:.2f} times one")
    return table


def _rate(cards: list[TimedCard]) -> float:
    spans = [card.spans[index] for card in cards for index in card.signatures]
    return len(spans) / (max(end for _, end in spans) - min(begin for begin, _ in spans))


async def _through(kinds: list[str], count: int) -> list[TimedCard]:
    cards = [TimedCard(simulated(kind)) for kind in kinds]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(nats_server(folder / "nats"))
        keys = []
        for number, card in enumerate(cards):
            world = await stack.enter_async_context(agent(folder / str(number), ""))
            world.reader.insert(card)
            at_work = await stack.enter_async_context(working(world, server.settings))
            await at_work.says("takes jobs")
            keys += ["--card", at_work.card]
        documents(folder / "ward", count)
        await _submit(folder, server, keys, count)
    return cards


async def _submit(folder: Path, server: NatsServer, keys: list[str], count: int) -> None:
    words = ["submit", str(folder / "ward"), *keys, "--json", "--server", *server.settings.servers]
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", *words),
        env=os.environ | {"HCA_AGENT_HOME": str(folder / "home")},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await running.communicate()
    if running.returncode or json.loads(said)["done"] != count:
        raise AssertionError(said.decode())
