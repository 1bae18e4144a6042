"""The dialect over real operations on a simulated card: everything but the browser and the plastic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config
from agent.dialects.servisign import ServiSignDialect
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Operations, open_operations
from agent.paths import Paths
from hca_card.simulator import SimulatedCard
from pcsc.service import Service
from pcsc.virtual import VirtualReader, VirtualWinscard
from tests.support.cards import simulated


@dataclass
class Workplace:
    """A reader with a card, a person, and this program."""

    dialect: ServiSignDialect
    operations: Operations
    person: ScriptedInteraction
    reader: VirtualReader
    card: SimulatedCard
    winscard: VirtualWinscard
    audit: Path


@asynccontextmanager
async def workplace(
    folder: Path, kind: str, person: ScriptedInteraction | None = None, config: Config | None = None
) -> AsyncIterator[Workplace]:
    """A workplace with a card of that kind in its only reader."""
    person = person or ScriptedInteraction()
    settings = config or Config()
    winscard = VirtualWinscard()
    reader = winscard.add_reader("Virtual Reader 0")
    card = simulated(kind)
    reader.insert(card)
    paths = Paths(folder, folder)
    async with open_operations(Service(winscard), person, settings, paths) as operations:
        dialect = ServiSignDialect(operations, settings)
        try:
            yield Workplace(dialect, operations, person, reader, card, winscard, paths.audit)
        finally:
            dialect.close()
