"""The same operations through a real pcscd and its vpcd driver: what no stand-in can vouch for."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.config import Config
from agent.errors import AgentError
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import open_operations
from agent.paths import Paths
from hca_card.errors import CardChangedError
from hca_card.pin import Pin
from pcsc.service import Service
from pcsc.vpcd import VpcdClient
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import NONCE, PIN, PORTAL, card_in
from tests.support.pcscd import READERS, PrivatePcscd, pcscd_fixture
from tests.support.waiting import LIMIT, until_async

pytestmark = pytest.mark.pcscd

pcscd = pcscd_fixture()

DOCUMENT = "同意書".encode()


def test_login_sign_and_a_kept_pin_work_through_a_real_service(pcscd: PrivatePcscd, tmp_path: Path) -> None:
    assert pcscd.call(_work, pcscd.ports[0], tmp_path) == 3


def _work(port: int, folder: Path) -> int | None:
    card = simulated("hpc")
    client = VpcdClient(card, port=port)
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    with ExitStack() as ending:
        ending.callback(thread.join, LIMIT)
        ending.callback(client.stop)
        asyncio.run(_operate(client, folder))
    return card.pin_tries


async def _operate(client: VpcdClient, folder: Path) -> None:
    paths = Paths(folder, folder)
    person = ScriptedInteraction(pins=[PIN] * 9)
    async with open_operations(Service.system(), person, Config(), paths) as operations:
        await card_in(operations, READERS[0])
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        assert await operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin))
        kept = await operations.keep_pin(PORTAL, Pin(PIN))
        for _ in range(2):
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
            # Long enough for the watcher to have told of our own visit, which must not end the session.
            await asyncio.sleep(0.7)  # nothing may end the session meanwhile
        assert not kept.wiped
        client.remove()
        await until_async(lambda: kept.wiped, "the PIN outlives its card")
        client.insert()
        await card_in(operations, READERS[0])
        with pytest.raises((AgentError, CardChangedError)):
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert kept.wiped
