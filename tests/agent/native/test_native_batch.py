"""`sign.batch`: one list, one PIN, each result as it is made; nobody else's, nothing but what was listed."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.audit import AuditLog
from agent.config import Config, OriginSettings, SessionSettings
from agent.interaction import PinQuestion
from agent.vocabulary import Verb
from hca_card.pin import Pin
from signing.hashes import Hash
from signing.verify import verify
from tests.support.agent import ANY_PORT, DENIED, PORTAL, Page, RunningAgent, running_agent
from tests.support.operations import OWN, until
from tests.support.pdfs import pdf

OTHER = "https://other.example.tw"
CONFIG = dataclasses.replace(
    ANY_PORT, origins=OriginSettings(allow=frozenset((PORTAL, OTHER)), deny=frozenset((DENIED,)))
)


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def records(count: int) -> list[dict[str, Any]]:
    return [{"name": f"病歷 {number}", "document": b64(b"record %d" % number)} for number in range(count)]


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path, config=CONFIG) as running:
        yield running


async def told(page: Page, method: str) -> dict[str, Any]:
    while (message := await page.notification())["method"] != method:
        pass
    params: dict[str, Any] = message["params"]
    return params


def items_told(page: Page) -> dict[int, dict[str, Any]]:
    told = [each["params"] for each in page.notifications if each["method"] == "batch.item"]
    assert len({each["index"] for each in told}) == len(told)
    return {each["index"]: each for each in told}


def pins_asked(agent: RunningAgent) -> list[PinQuestion]:
    return [each for each in agent.interaction.questions if isinstance(each, PinQuestion)]


async def test_a_page_has_many_documents_signed_with_one_pin_in_every_format(agent: RunningAgent) -> None:
    items = records(9)
    items[1] |= {"format": "cades"}
    items[2] |= {"document": b64(pdf()), "format": "pades", "name": "note.pdf"}
    async with agent.page() as page:
        done = await page.call("sign.batch", batch="morning", items=items)
        assert (done["done"], done["failed"], done["left"]) == (9, 0, 0) and "stopped" not in done
        found = items_told(page)
        assert sorted(found) == list(range(9)) and {each["batch"] for each in found.values()} == {"morning"}
        result = found[0]["result"]
        verify(
            base64.b64decode(result["certificate"]),
            b"record 0",
            base64.b64decode(result["signature"]),
            Hash.SHA_256,
        )
        assert base64.b64decode(found[2]["result"]["signature"]).startswith(b"%PDF-")
        assert (found[2]["result"]["format"], found[2]["result"]["level"]) == ("pades", "B-B")
        far = [each["params"] for each in page.notifications if each["method"] == "batch.progress"]
        assert (far[-1]["done"], far[-1]["of"]) == (9, 9)
    [question] = pins_asked(agent)
    assert question.terms is not None and question.origin == PORTAL
    assert [(each.name, each.size, each.kind) for each in question.terms.items][:3] == [
        ("病歷 0", 8, "pkcs1"),
        ("病歷 1", 8, "cades"),
        ("note.pdf", len(pdf()), "pades"),
    ]
    assert question.terms.items[0].digest == hashlib.sha256(b"record 0").digest()
    rows = AuditLog(agent.paths.audit, Config().audit).read(100)
    assert [row.verb for row in rows].count(Verb.SIGN) == 9 and len({row.session for row in rows}) == 1


async def test_an_item_that_cannot_be_signed_is_an_error_of_its_own(agent: RunningAgent) -> None:
    items = records(4)
    items[2]["document"] = b64(
        bytes(range(96)) + bytes(32)
    )  # a log-in in disguise: 128 bytes that are no text
    items[3] |= {"format": "pades"}
    async with agent.page() as page:
        done = await page.call("sign.batch", batch="1", items=items)
        assert (done["done"], done["failed"]) == (2, 2)
        found = items_told(page)
        assert found[2]["error"]["id"] == "document.refused" and "result" not in found[2]
        assert found[3]["error"]["id"] == "document.unusable"


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([], "request.parameters"),
        ([{"name": "no document"}], "request.parameters"),
        ([{"document": "AA==", "digest": "AA=="}], "request.unknown_member"),
        ([{"document": "AA==", "session": "x"}], "request.unknown_member"),
        ([{"document": "AA==", "key": "encryption"}], "request.unknown_member"),
        ([{"document": "AA==", "format": "pkcs1", "page": 3}], "request.parameters"),
        ([{"document": "AA==", "format": "cades", "level": "B-LTA"}], "request.parameters"),
        ([{"document": "AA==", "format": "../../etc"}], "request.parameters"),
        ([{"document": "AA==", "name": "x" * 300}], "request.parameters"),
    ],
)
async def test_what_is_wrong_with_the_list_is_said_before_anybody_is_asked(
    agent: RunningAgent, items: list[dict[str, Any]], error: str
) -> None:
    async with agent.page() as page:
        failure = await page.failing("sign.batch", batch="1", items=[*records(1 if items else 0), *items])
    assert failure["data"]["id"] == error
    assert not agent.interaction.questions


async def test_more_than_the_administrator_allows_are_refused_unasked(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, sessions=SessionSettings(items=10))
    async with running_agent(tmp_path, config=config) as agent, agent.page() as page:
        failure = await page.failing("sign.batch", batch="1", items=records(11))
        assert failure["data"]["id"] == "signing_session.limit"
        off = dataclasses.replace(config.sessions, enabled=False)
        agent.daemon.operations.sessions.apply(off)
        assert (await page.failing("sign.batch", batch="1", items=records(2)))["data"]["id"] == (
            "signing_session.disabled"
        )
        assert not pins_asked(agent)


async def test_a_name_cannot_steer_the_window(agent: RunningAgent) -> None:
    items = [{"name": "fdp.\u202egnp\x1b[2J", "document": b64(b"x")}, {"document": b64(b"y")}]
    async with agent.page() as page:
        await page.call("sign.batch", batch="1", items=items)
    [question] = pins_asked(agent)
    assert question.terms is not None
    assert [each.name for each in question.terms.items] == ["fdp.\ufffdgnp\ufffd[2J", "#2"]


class Slow:
    """A person who thinks until told otherwise, and a card whose signatures wait to be let through."""

    def __init__(self, agent: RunningAgent) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        ask = agent.interaction.ask

        async def thinking(question: Any) -> Any:
            if isinstance(question, PinQuestion):
                self.asked.set()
                await self.answer.wait()
            return await ask(question)

        agent.interaction.ask = thinking  # type: ignore[method-assign]


async def test_cancelled_while_the_person_is_asked_nothing_is_signed(agent: RunningAgent) -> None:
    slow = Slow(agent)
    async with agent.page() as page:
        request = await page.send("sign.batch", batch="1", items=records(3))
        await slow.asked.wait()
        assert await page.call("batch.cancel", batch="1") == {}
        assert (await page.answer(request))["error"]["data"]["id"] == "batch.cancelled"
        assert not agent.daemon.operations.sessions.open
        assert await page.call("batch.cancel", batch="1") == {}  # it is over, and stays so


async def test_cancelled_in_the_middle_what_was_signed_was_told(agent: RunningAgent) -> None:
    async with agent.page() as page:
        request = await page.send("sign.batch", batch="1", items=records(60))
        first = await told(page, "batch.item")
        assert "result" in first
        await page.call("batch.cancel", batch="1")
        done = (await page.answer(request))["result"]
        assert done["stopped"]["id"] == "batch.cancelled"
        assert 1 <= done["done"] < 60 and done["left"] == 60 - done["done"]
        assert len(items_told(page)) + 1 == done["done"]
        assert not agent.daemon.operations.sessions.open


async def test_another_connection_cannot_cancel_it_and_a_name_is_used_once(agent: RunningAgent) -> None:
    slow = Slow(agent)
    async with agent.page() as page, agent.page(OTHER) as other, agent.page() as same:
        request = await page.send("sign.batch", batch="1", items=records(2))
        await slow.asked.wait()
        for stranger in (other, same):
            assert await stranger.call("batch.cancel", batch="1") == {}
        assert (await page.failing("sign.batch", batch="1", items=records(1)))["data"]["id"] == (
            "request.parameters"
        )
        slow.answer.set()
        assert (await page.answer(request))["result"]["done"] == 2
        assert not other.notifications and not same.notifications


async def test_the_end_of_the_connection_ends_it_and_its_session(agent: RunningAgent) -> None:
    async with agent.page() as page:
        await page.send("sign.batch", batch="1", items=records(200))
        await told(page, "batch.item")
    sessions = agent.daemon.operations.sessions
    await until(lambda: not sessions.open)
    rows = AuditLog(agent.paths.audit, Config().audit).read(1000)
    assert sum(row.verb is Verb.SIGN for row in rows) < 200


async def test_the_card_pulled_in_the_middle_is_said_in_words(agent: RunningAgent) -> None:
    async with agent.page() as page:
        request = await page.send("sign.batch", batch="1", items=records(200))
        await told(page, "batch.item")
        agent.readers[0].remove()
        done = (await page.answer(request))["result"]
        assert done["stopped"]["id"] in ("card.removed", "signing_session.ended", "card.none")
        assert done["done"] + done["left"] == 200 and done["left"]


async def test_a_pin_changed_elsewhere_costs_one_try_and_ends_it(agent: RunningAgent) -> None:
    card = agent.readers[0].card
    tries = card.pin_tries  # type: ignore[union-attr]
    async with agent.page() as page:
        request = await page.send("sign.batch", batch="1", items=records(200))
        await told(page, "batch.item")
        with Pin("123456") as old, Pin("654321") as new:
            await agent.daemon.operations.change_pin(OWN, old=old, new=new)
        done = (await page.answer(request))["result"]
    assert done["left"] and card.pin_tries >= tries - 1  # type: ignore[union-attr]
