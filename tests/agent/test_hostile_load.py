"""Pages that nobody has allowed, by as many names as they like, beside a portal that is allowed."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.interaction import ConsentQuestion, PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.native.limits import DOCUMENT_BYTES_MAX
from hca_card.pin import Pin
from tests.support.agent import PORTAL, Page, RunningAgent, running_agent
from tests.support.hostile import ORIGINS, Doors, Portal, hostile_process
from tests.support.nhi_component import TURNED_ON
from tests.support.operations import until

pytestmark = pytest.mark.slow


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


class Busy(ScriptedInteraction):
    """Types the PIN for the portal at once, and leaves every other window as it is.

    Attributes:
        left: the windows of others, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left: list[str | None] = []

    async def ask(self, question: Question[Any]) -> Any:
        if question.origin == PORTAL and isinstance(question, PinQuestion):
            return Pin("123456")
        assert isinstance(question, ConsentQuestion)
        self.left.append(question.origin)
        return await asyncio.Event().wait()


@pytest.fixture
def person() -> Busy:
    return Busy()


@pytest.fixture
async def agent(tmp_path: Path, person: Busy) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path, interaction=person, config=TURNED_ON) as running:
        yield running


async def pages(agent: RunningAgent, stack: AsyncExitStack, origins: Iterable[str]) -> list[Page]:
    return [await stack.enter_async_context(agent.page(origin)) for origin in origins]


async def log_in(page: Page) -> None:
    token = await page.call("authenticate", nonce=b64(secrets.token_bytes(32)))
    assert token["format"] == "web-eid:1.0"


async def test_nine_subdomains_that_ask_for_the_card_do_not_take_the_portals_question(
    agent: RunningAgent, person: Busy
) -> None:
    async with AsyncExitStack() as stack, agent.page() as portal:
        for page in await pages(agent, stack, ORIGINS[:9]):
            await page.send("card.read")
        await until(lambda: bool(person.left))
        for _ in range(3):
            await log_in(portal)
        assert len(person.left) == 1


async def test_three_sites_with_the_largest_documents_do_not_take_the_portals_room(
    agent: RunningAgent, person: Busy
) -> None:
    largest = b64(bytes(DOCUMENT_BYTES_MAX))
    async with AsyncExitStack() as stack, agent.page() as portal:
        strangers = await pages(agent, stack, ORIGINS[:3])
        sent = [(page, await page.send("sign", document=largest)) for page in strangers]
        await until(lambda: bool(person.left))
        refused = [await page.answer(number) for page, number in sent[1:]]
        assert [answer["error"]["data"]["id"] for answer in refused] == ["busy"] * 2
        assert "signature" in await portal.call("sign", document=b64(bytes(400_000)))


async def test_four_sites_with_sixteen_waiting_connections_each_do_not_keep_the_portal_out(
    agent: RunningAgent, person: Busy
) -> None:
    async with AsyncExitStack() as stack:
        for origin in ORIGINS[:4] * 16:
            [page] = await pages(agent, stack, [origin])
            with suppress(ConnectionError):  # turned away
                await page.send("card.read")
        await until(lambda: bool(person.left))
        for page in await pages(agent, stack, [PORTAL] * 16):
            await page.call("agent.hello")
        await log_in(page)


async def test_with_forty_sites_at_every_door_the_portal_is_never_refused_and_three_windows_are_seen(
    agent: RunningAgent, person: Busy
) -> None:
    portal, attack = Portal(agent), hostile_process(Doors.of(agent))
    await asyncio.to_thread(attack.__enter__)
    try:
        await until(lambda: bool(person.left))
        for _ in range(3):
            for log_in_there in portal.log_ins.values():
                await log_in_there()
    finally:
        await asyncio.to_thread(attack.__exit__, None, None, None)
    assert len(person.left) <= 3
