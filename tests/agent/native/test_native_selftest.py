"""The self-test over the native API: rows as they finish, what a site may see of them, and the report."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.interaction import ConsentQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.vocabulary import Verb
from tests.support.agent import PORTAL, Page, RunningAgent, running_agent
from tests.support.waiting import LIMIT, until_async

STRANGER = "https://stranger.example.tw"
SECRETS = ("測試人員卡", "TEST CARD", "0650101", "000000335361", "123456")
ROW = {
    "id": "browser.version",
    "zh": "瀏覽器版本",
    "en": "Browser",
    "status": "pass",
    "detailZh": "Firefox 153",
    "detailEn": "",
    "ms": 1,
}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path) as running:
        yield running


@asynccontextmanager
async def own_page(agent: RunningAgent) -> AsyncIterator[Page]:
    async with agent.http.get(f"{agent.clear}/") as response:
        found = re.search(r'name="page-token" content="([^"]+)"', await response.text())
    assert found is not None
    address = f"{agent.clear}/v1?page={found[1]}"
    async with agent.http.ws_connect(address, headers={"Origin": agent.clear}) as socket:
        yield Page(socket)


async def run(page: Page, **params: Any) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """The rows as they were told, the plan, and the report at the end."""
    done = await page.call("selftest.run", **params)
    plan, *told = page.notifications
    page.notifications.clear()
    assert plan["method"] == "selftest.begun"
    assert {each["method"] for each in told} == {"selftest.row"}
    return [each["params"]["row"] for each in told], plan["params"], done["report"]


async def test_rows_come_as_planned_and_then_all_together(agent: RunningAgent) -> None:
    async with own_page(agent) as page:
        rows, plan, report = await run(page)
    assert [row["id"] for row in rows] == [row["id"] for row in plan["rows"]]
    assert report["rows"] == rows
    assert report["ok"] is True and report["masked"] is True and report["simulated"] is True
    results = [row for row in rows if row["id"].startswith("hca.")]
    assert [row["status"] for row in results] == ["pass"] * 14
    assert [row["number"] for row in plan["rows"] if row["group"] == "hca"] == list(range(1, 15))
    assert {row["group"] for row in plan["rows"]} <= set(plan["groups"])
    assert not any(secret in json.dumps(report, ensure_ascii=False) for secret in SECRETS)


@pytest.mark.slow
async def test_the_other_variant_has_its_thirteen_rows(agent: RunningAgent) -> None:
    async with own_page(agent) as page:
        rows, _, report = await run(page, variant="nhi-reader")
    assert len([row for row in rows if row["id"].startswith("nhi.")]) == 13
    assert report["ok"] is True


@pytest.mark.slow
async def test_without_a_pin_nobody_is_asked_and_the_other_rows_run(tmp_path: Path) -> None:
    async with running_agent(tmp_path, interaction=ScriptedInteraction()) as agent, own_page(agent) as page:
        rows, _, report = await run(page, pin=False)
        status = {row["id"]: row["status"] for row in rows}
        assert agent.interaction.questions == []
    assert report["ok"] is False
    assert status["hca.holder"] == status["hca.encrypt"] == "pass"
    assert status["hca.session"] == status["hca.sign"] == status["hca.decrypt"] == "skip"


@pytest.mark.slow
async def test_our_page_gets_personal_data_only_after_the_persons_own_yes(tmp_path: Path) -> None:
    for answer in (False, True):
        person = ScriptedInteraction(pins=["123456"], consents=dict.fromkeys(Verb, answer))
        async with (
            running_agent(tmp_path / str(answer), interaction=person) as agent,
            own_page(agent) as page,
        ):
            await run(page)
            assert not any(isinstance(each, ConsentQuestion) for each in person.questions)
            if answer:
                files = await page.call("selftest.report", unmasked=True)
                assert files["report"]["masked"] is False
                assert "測試人員卡" in files["html"]
                assert "測試人員卡" in json.dumps(files["report"], ensure_ascii=False)
                assert "123456" not in files["html"] + json.dumps(files)
            else:
                error = await page.failing("selftest.report", unmasked=True)
                assert error["data"]["id"] == "consent.refused"


@pytest.mark.slow
async def test_the_report_holds_the_rows_of_the_browser_and_no_personal_data(agent: RunningAgent) -> None:
    evil = "<script>alert(1)</script>\u202e"
    refused = {"id": "browser.x", "zh": evil, "en": evil, "nextZh": evil, "nextEn": evil}
    rows = [ROW, {**ROW, "id": "browser.cookie", "status": "fail", "detailZh": evil, "error": refused}]
    async with own_page(agent) as page:
        await run(page)
        files = await page.call("selftest.report", browser=rows)
    assert [row["id"] for row in files["report"]["rows"][-2:]] == ["browser.version", "browser.cookie"]
    assert "Firefox 153" in files["html"]
    assert "<script" not in files["html"] and "\u202e" not in files["html"]
    assert not any(secret in files["html"] for secret in SECRETS)


@pytest.mark.parametrize(
    "change",
    [{"id": "hca.sign"}, {"status": "great"}, {"zh": "x" * 101}, {"ms": -1}, {"more": 1}],
)
async def test_a_page_cannot_make_up_rows_of_the_agent(agent: RunningAgent, change: dict[str, Any]) -> None:
    async with own_page(agent) as page:
        error = await page.failing("selftest.report", browser=[ROW | change])
    assert error["data"]["id"] in ("request.parameters", "request.unknown_member")


async def test_a_report_needs_a_self_test_first(agent: RunningAgent) -> None:
    async with own_page(agent) as page:
        assert (await page.failing("selftest.report"))["data"]["id"] == "selftest.none"


@pytest.mark.slow
async def test_a_site_sees_masked_rows_and_nothing_of_the_computer(agent: RunningAgent) -> None:
    async with agent.page(PORTAL) as page:
        rows, _, report = await run(page)
        assert report["ok"] is True
        assert report["rows"] == rows
        assert all(row["detail"] == "" for row in rows if row["id"].startswith("host."))
        assert not any(secret in json.dumps(report, ensure_ascii=False) for secret in SECRETS)
        files = await page.call("selftest.report", browser=[ROW])
        assert not any(secret in files["html"] for secret in SECRETS)
        assert agent.readers[0].name not in files["html"]
        assert (await page.failing("selftest.report", unmasked=True))["data"]["id"] == "origin.refused"


@pytest.mark.slow
async def test_a_site_that_was_not_allowed_is_asked_about_once_for_everything(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["123456"])
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(STRANGER) as page:
        _, _, report = await run(page)
    assert report["ok"] is True
    [question] = [each for each in person.questions if isinstance(each, ConsentQuestion)]
    assert set(question.verbs) == {Verb.READ, Verb.SIGN, Verb.DECRYPT}


async def test_a_site_that_is_not_allowed_gets_no_row_at_all(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["123456"], consents={})
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(STRANGER) as page:
        assert (await page.failing("selftest.run"))["data"]["id"] == "consent.refused"
        assert page.notifications == []


@pytest.mark.slow
async def test_two_at_once_would_ask_for_the_same_card(tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path, delay_ms=10) as agent,
        own_page(agent) as first,
        own_page(agent) as second,
    ):
        waiting = await first.send("selftest.run")
        assert (await first.notification())["method"] == "selftest.begun"
        assert (await second.failing("selftest.run"))["data"]["id"] == "busy"
        assert (await first.answer(waiting))["result"]["report"]["ok"] is True
        await second.call("selftest.run", pin=False)


@pytest.mark.slow
async def test_a_page_that_goes_away_ends_its_self_test(tmp_path: Path) -> None:
    async with running_agent(tmp_path, delay_ms=10) as agent:
        async with own_page(agent) as page:
            await page.send("selftest.run")
            await page.notification()
        async with own_page(agent) as page:

            async def runs_anew() -> bool:
                return "result" in await page.answer(await page.send("selftest.run", pin=False))

            await until_async(runs_anew, "the first one still runs", 2 * LIMIT)
