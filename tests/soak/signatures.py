"""Signatures without end on a card in this process, one by one and in sessions.

The card has a P-256 key: what is looked at is all that stands around the key, and an RSA key of this process
would take most of the time.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from agent.config import Config
from agent.operations import open_operations
from agent.paths import Paths
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from signing.hashes import Hash
from tests.bench.tables import Table
from tests.soak.course import course, table
from tests.soak.person import Patient
from tests.support.cards import simulated
from tests.support.operations import OWN

KIND: Final = "pkcs15-p256"
_OF_A_SESSION: Final = 50
_RECORD: Final = b"a record of a patient"


def signatures(times: int) -> Table:
    """Sign so many records: a fifth one by one with a PIN each, the rest in sessions of fifty."""
    return asyncio.run(_signatures(times))


async def _signatures(times: int) -> Table:
    into = table("Signatures, in-process, P-256")
    winscard, person = VirtualWinscard(), Patient()
    card = simulated(KIND)
    winscard.add_reader("ACS ACR39U 00 00").insert(card)
    with tempfile.TemporaryDirectory() as name:
        paths = Paths(Path(name), Path(name))
        async with open_operations(Service(winscard), person, Config(), paths) as operations:

            async def one(_number: int) -> None:
                await operations.sign(OWN, Hash.SHA_256, document=_RECORD)

            session = None

            async def of_a_session(number: int) -> None:
                nonlocal session
                if number % _OF_A_SESSION == 0:
                    session = await operations.open_session(OWN, most=_OF_A_SESSION)
                assert session is not None
                await session.sign_value(_RECORD)

            await course(into, "one by one, a PIN each", times // 5, one)
            await course(into, f"in sessions of {_OF_A_SESSION}", times - times // 5, of_a_session)
            into.notes.append(f"{person.pins:,} PINs typed; {card.pin_tries} tries left")
            if card.pin_tries != 3:
                into.broken.append(f"{card.pin_tries} tries are left")
    return into
