"""Self-tests on virtual readers, and their rows told shortly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from agent.interaction import Interaction
from agent.interaction.scripted import ScriptedInteraction
from agent.selftest.context import Computer, ProbeContext
from agent.selftest.model import Probe, ResultRow, RowStatus
from agent.selftest.probes import card
from agent.selftest.runner import run
from tests.support.operations import OWN, World, agent

PERSONAL: Final = {
    "personnel": ("測試人員卡", "TEST CARD", "0650101", "BA00312361"),
    "institution": (
        "9900000001", "測試機構", "臺北市測試區模擬路１號", "臺北市測試區", "模擬路", "02-00000000",
        "測試負責人",
    ),
    "insured": ("測試民眾", "A100000001", "0800229"),
    "citizen": ("測試國民",),
}  # fmt: skip
"""What the simulated cards hold that must not leave the person's screen unmasked."""


def context_of(world: World, **computer: Any) -> ProbeContext:
    """A context on the virtual readers; `computer` replaces what this computer is like."""
    home = world.paths.home / "person"
    home.mkdir(parents=True, exist_ok=True)
    here = {"environment": {}, "home": home, "programs": tuple, "usb": lambda _known: (), **computer}
    config = here.pop("config", None)
    if config is None:
        from agent.config import Config

        config = Config()
    return ProbeContext(world.operations, OWN, Computer(world.service, config, world.paths, **here))


async def rows_of(context: ProbeContext, probes: Sequence[Probe] = card.HCA_ROWS) -> list[ResultRow]:
    """All rows, in order."""
    async with aclosing(run(probes, context)) as finished:
        return [row async for row in finished]


async def row_of(context: ProbeContext, probe_id: str, probes: Sequence[Probe]) -> ResultRow:
    """The row of one probe alone."""
    (probe,) = [each for each in probes if each.id == probe_id]
    return (await rows_of(context, [probe]))[0]


def short(row: ResultRow) -> str:
    """`pass`, `fail card.none`, or for a row not run `because 3`."""
    if row.status is RowStatus.SKIP and row.error is None and "未通過而未執行" in row.detail.zh:
        return "because " + "".join(each for each in row.detail.zh if each.isdigit())
    return f"{row.status} {row.error.id}" if row.error else row.status.value


def not_passed(rows: Sequence[ResultRow]) -> Mapping[int | str, str]:
    """What did not pass, by the row's number, else its id."""
    return {
        row.number if row.number is not None else row.id: short(row)
        for row in rows
        if row.status is not RowStatus.PASS
    }


@asynccontextmanager
async def selftest_world(
    folder: Path, *kinds: str, interaction: Interaction | None = None, **more: Any
) -> AsyncIterator[World]:
    """As `agent`, with a person who knows the PIN."""
    person = interaction or ScriptedInteraction(pins=["123456"])
    async with agent(folder, *kinds, interaction=person, **more) as world:
        yield world
