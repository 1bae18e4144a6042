"""What a portal's log-ins take while pages of forty other origins do what they can, against quiet ones.

The pages are in a process of their own; the portal's client and the agent share one, as the person's browser
and the agent share a machine.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

from agent.interaction import PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from hca_card.pin import Pin
from tests.bench.tables import Table, milliseconds, ratio
from tests.support.agent import PORTAL, running_agent
from tests.support.hostile import PIN, Doors, Portal, hostile_process
from tests.support.nhi_component import TURNED_ON

BOUND: Final = 1.5
CARD_MS: Final = 20
"""For each command; a real HCA card takes as long or longer."""

_PAUSE_SECONDS: Final = 0.25
"""Between two log-ins: what one site may ask for in a second is limited, and a quick computer meets that."""


class _Person(ScriptedInteraction):
    """Types the PIN for the portal at once, and leaves every other window as it is."""

    async def ask(self, question: Question[Any]) -> Any:
        if question.origin == PORTAL and isinstance(question, PinQuestion):
            return Pin(PIN)
        return await asyncio.Event().wait()


def log_ins(rounds: int) -> Table:
    """Measure each door's log-in, quiet and under attack."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_log_ins(rounds, Path(folder)))


async def _log_ins(rounds: int, folder: Path) -> Table:
    table = Table(
        f"A portal's log-in beside forty hostile origins (median of {rounds})",
        ("log-in", "quiet", "attacked", "ratio"),
    )
    async with running_agent(folder, interaction=_Person(), config=TURNED_ON, delay_ms=CARD_MS) as agent:
        portal = Portal(agent)
        quiet = await _medians(portal, rounds)
        attack = hostile_process(Doors.of(agent))
        await asyncio.to_thread(attack.__enter__)
        try:
            attacked = await _medians(portal, rounds)
        finally:
            await asyncio.to_thread(attack.__exit__, None, None, None)
    for name, seconds in quiet.items():
        found = attacked[name] / seconds
        table.rows.append((name, milliseconds(seconds), milliseconds(attacked[name]), ratio(found)))
        if found > BOUND:
            table.broken.append(f"{name}: {ratio(found)} times its quiet time is more than {BOUND}")
    return table


async def _medians(portal: Portal, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in portal.log_ins}
    for _ in range(rounds + 1):
        for name, log_in in portal.log_ins.items():
            begin = perf_counter()
            await log_in()
            times[name].append(perf_counter() - begin)
            await asyncio.sleep(_PAUSE_SECONDS)
    return {name: median(each[1:]) for name, each in times.items()}
