"""Four cards in four readers of a real pcscd: each request is served by the right card there too."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.daemon import Daemon
from agent.operations import Caller, ReaderCondition
from agent.paths import Paths
from pcsc.service import Service
from pcsc.vpcd import VpcdClient
from tests.agent.operations.test_operations_card_selection_many import BUSY_SITES
from tests.support.agent import RunningAgent, _client
from tests.support.cards import simulated
from tests.support.many_cards import KINDS, MINISTRY, OFFICE, Person, facts_of, work_through
from tests.support.pcscd import FOUR, private_pcscd
from tests.support.waiting import LIMIT, until_async

pytestmark = pytest.mark.pcscd


def test_40_mixed_requests_from_two_sites_through_a_real_service(tmp_path: Path) -> None:
    with private_pcscd(FOUR) as pcscd:
        different, asked = pcscd.call(_work, pcscd.ports, pcscd.readers, tmp_path)
    assert different > 12
    assert set(asked) <= {MINISTRY, OFFICE} and len(asked) <= 2


def _work(ports: tuple[int, ...], readers: tuple[str, ...], folder: Path) -> tuple[int, list[str | None]]:
    with ExitStack() as ending:
        for kind, port in zip(KINDS, ports, strict=True):
            client = VpcdClient(simulated(kind), port=port)
            thread = threading.Thread(target=client.run, daemon=True)
            thread.start()
            ending.callback(thread.join, LIMIT)
            ending.callback(client.stop)
        return asyncio.run(_serve(readers, folder))


async def _serve(readers: tuple[str, ...], folder: Path) -> tuple[int, list[str | None]]:
    person, paths = Person(), Paths(folder, folder)
    async with (
        Daemon(BUSY_SITES, Service.system(), person, paths, simulated=True) as daemon,
        _client(daemon) as http,
    ):

        async def all_in() -> bool:
            views = await daemon.operations.readers(Caller(None))
            return [view.condition for view in views] == [ReaderCondition.CARD] * len(readers)

        await until_async(all_in, "not all cards are in")
        running = RunningAgent(daemon, [], person, paths, http)
        cards = await facts_of(running, readers)
        return await work_through(running, cards, 40, seed=61), person.choices
