"""An agent that many sites come to at once, some of them allowed."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agent.config import Config, LimitSettings, OriginSettings
from tests.soak.person import Patient
from tests.support.agent import PORTAL, RunningAgent, running_agent


def crowd(count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return so many sites that are to be allowed, and so many strangers."""
    return (
        tuple(f"https://ward{number}.hospital.example.tw" for number in range(count)),
        tuple(f"https://page{number}.strange{number}.example" for number in range(count)),
    )


@asynccontextmanager
async def crowded_agent(
    person: Patient, sites: tuple[str, ...], config: Config, *, requests: int
) -> AsyncIterator[RunningAgent]:
    """Run an agent that lets the portal and these sites in, and asks of none to be slower than so many."""
    open_to_many = replace(
        config,
        origins=OriginSettings(allow=frozenset((PORTAL, *sites))),
        limits=LimitSettings(requests=requests, burst=requests, questions=1000),
    )
    with tempfile.TemporaryDirectory() as name:
        async with running_agent(Path(name), interaction=person, config=open_to_many) as agent:
            yield agent
