"""A HiCOS card at the operations: read as far as it lets, and never sent a PIN."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.operations import Caller
from hca_card.errors import HicosModuleError
from hca_card.model import CardKind
from signing.hashes import Hash
from tests.support.operations import agent

OWN = Caller(None, "test")


@pytest.mark.parametrize("kind", ["hicos", "hicos-2"])
async def test_nothing_that_a_program_can_ask_sends_it_a_pin(tmp_path: Path, kind: str):
    async with agent(tmp_path, kind) as world:
        work = world.operations
        shown = await work.card(OWN)
        assert (shown.metadata.kind, shown.pin) == (CardKind.CITIZEN, None)
        assert [one.index for one in await work.certificates(OWN)] == [0, 1, 2]
        with pytest.raises(HicosModuleError):
            await work.sign(OWN, Hash.SHA_256, document=b"document")
        with pytest.raises(HicosModuleError):
            await work.authenticate(OWN, "A" * 44, origin="https://portal.example.tw")
        with pytest.raises(HicosModuleError):
            await work.decrypt(OWN, bytes(256))
        with pytest.raises(HicosModuleError):
            await work.pin_status(OWN)
        with pytest.raises(HicosModuleError):
            await work.keep_pin(OWN, None)
        assert not world.pins_asked()
        assert world.cards[0].pin_tries == 3


async def test_of_two_cards_the_one_that_can_sign_is_meant(tmp_path: Path):
    async with agent(tmp_path, "hicos", "hpc") as world:
        signed = await world.operations.sign(OWN, Hash.SHA_256, document=b"document")
        assert signed.certificate == (await world.operations.certificate(OWN, 1, world.readers[1].name)).der
        assert world.cards[0].pin_tries == 3
