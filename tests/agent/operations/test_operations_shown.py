"""What the person is shown of the work they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from agent.config import Config, OriginSettings
from agent.interaction import ConsentQuestion, DocumentShown, PinQuestion
from signing.hashes import Hash
from tests.support.operations import PORTAL, agent

DOCUMENT = "申請書".encode()


async def test_both_questions_name_the_document_that_is_signed(tmp_path: Path):
    async with agent(tmp_path, "hpc") as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        expected = DocumentShown(len(DOCUMENT), "SHA-256", hashlib.sha256(DOCUMENT).digest())
        consent, pin = world.person.questions if world.person else ()
        assert isinstance(consent, ConsentQuestion)
        assert isinstance(pin, PinQuestion)
        assert consent.document == pin.document == expected


async def test_of_a_bare_digest_the_size_is_not_known(tmp_path: Path):
    digest = hashlib.sha256(DOCUMENT).digest()
    assert PORTAL.origin is not None
    listed = frozenset((PORTAL.origin,))
    config = replace(Config(), origins=OriginSettings(allow=listed, digest=listed))
    async with agent(tmp_path, "hpc", config=config) as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, digest=digest)
        assert world.pins_asked()[0].document == DocumentShown(None, "SHA-256", digest)
