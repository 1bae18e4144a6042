"""The main job in a real Chromium: the portal on its own https origin, the agent over wss."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from agent.config import OriginSettings
from agent.demo.steps import ANY_PORT
from agent.interaction import PinQuestion, Question
from tests.support.chromium import site_ports
from tests.support.desk import SetDesk, filled


async def test_a_person_logs_in_signs_the_form_and_sees_what_was_verified(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        failures: list[str] = []
        desk.page.on("pageerror", lambda error: failures.append(str(error)))
        await desk.open()
        await desk.page.wait_for_selector('#agent-state[data-state="ready"]')
        assert "模擬卡" in await desk.page.inner_text("#agent-state")
        await desk.submit()
        await desk.page.wait_for_url("**/apply")
        assert await filled(desk.page, "#who-name") == "測試人員卡"
        assert "000000335361" in await filled(desk.page, "#who-card")
        await desk.page.fill("#place", "示範區衛生所")
        await desk.page.click("#review-button")
        await desk.page.wait_for_selector("#review:not([hidden])")
        signed_text = await filled(desk.page, "#document")
        assert json.loads(signed_text)["支援地點"] == "示範區衛生所"
        await desk.page.click("#sign")
        await desk.page.wait_for_selector("#done:not([hidden])")
        assert await filled(desk.page, "#document") == signed_text
        assert await filled(desk.page, "#number") == json.loads(signed_text)["案號"]
        assert "測試人員卡" in await filled(desk.page, "#facts")
        assert [question.verb for question in desk.person.asked] == ["login", "sign"]
        assert {question.origin for question in desk.person.asked} == {desk.stage.origin}
        assert failures == []


async def test_a_wrong_pin_shows_how_many_tries_are_left_and_the_right_one_logs_in(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        desk.person.pins.extend(["000000", "111111"])
        await desk.open()
        for left in (2, 1):
            await desk.submit()
            await desk.page.wait_for_selector(f'.tries[data-tries="{left}"]')
            assert f"還可以再試 {left} 次" in await desk.message("pin.wrong")
        assert len(desk.person.asked) == 2
        await desk.submit()
        await desk.page.wait_for_url("**/apply")


async def test_a_card_that_the_last_wrong_pin_locked_is_told_with_where_to_unlock_it(
    set_desk: SetDesk,
) -> None:
    async with set_desk("hpc-last-try") as desk:
        desk.person.pins.append("000000")
        await desk.open()
        await desk.submit()
        await desk.page.wait_for_selector(".message[data-error]")
        assert len(desk.person.asked) == 1
        await desk.submit()
        assert "hca.nat.gov.tw" in await desk.message("pin.locked")
        assert len(desk.person.asked) == 1


async def test_a_pulled_card_is_told_and_works_again_when_it_is_put_back(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        desk.person.while_asked = desk.pull
        await desk.open()
        await desk.submit()
        await desk.page.wait_for_selector(".message[data-error]")
        assert "讀卡機" in await desk.page.inner_text("#message")
        desk.put_back()
        await desk.page.wait_for_selector(".message.calm")
        assert "已偵測到卡片" in await desk.page.inner_text("#message")
        await desk.submit()
        await desk.page.wait_for_url("**/apply")


async def test_without_a_card_the_page_asks_for_one(set_desk: SetDesk) -> None:
    async with set_desk("") as desk:
        await desk.open()
        await desk.submit()
        await desk.page.wait_for_selector(".message[data-error]")
        assert "請於讀卡機插入您的卡片" in await desk.page.inner_text("#message")
        assert desk.person.asked == []


async def test_an_institution_card_cannot_log_in_as_a_person(set_desk: SetDesk) -> None:
    async with set_desk("hop") as desk:
        await desk.open()
        await desk.submit()
        assert "這裡要用：醫事人員卡。" in await desk.message("card.wrong_kind")
        assert desk.person.asked == []


async def test_a_persons_card_cannot_log_in_as_an_institution(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.open()
        await desk.choose("role", "institution")
        assert "醫事機構憑證" in await desk.page.inner_text("#insert")
        await desk.submit()
        assert "這裡要用：醫事機構卡" in await desk.message("card.wrong_kind")
        assert desk.person.asked == []


async def test_an_institution_logs_in_with_its_own_card(set_desk: SetDesk) -> None:
    async with set_desk("hop") as desk:
        await desk.open()
        await desk.choose("role", "institution")
        await desk.submit()
        await desk.page.wait_for_url("**/apply")
        assert await filled(desk.page, "#who-name") == "測試機構"
        assert "9900000001" in await filled(desk.page, "#who-card")


async def test_of_two_cards_the_page_takes_the_one_of_the_chosen_kind(set_desk: SetDesk) -> None:
    async with set_desk("hpc", "hop") as desk:
        await desk.open()
        await desk.choose("role", "institution")
        await desk.submit()
        await desk.page.wait_for_url("**/apply")
        assert await filled(desk.page, "#who-name") == "測試機構"
        await desk.page.fill("#place", "示範區衛生所")
        await desk.page.click("#review-button")
        await desk.page.click("#sign")
        await desk.page.wait_for_selector("#done:not([hidden])")
        assert len(desk.person.asked) == 2


async def test_the_basic_data_of_a_health_card_are_shown_without_a_pin(set_desk: SetDesk) -> None:
    async with set_desk("nhi") as desk:
        await desk.open()
        await desk.choose("method", "nhi")
        assert await desk.page.is_hidden("#pin-hint")
        await desk.submit()
        await desk.page.wait_for_selector("#nhi:not([hidden])")
        shown = await filled(desk.page, "#nhi-facts")
        assert "測試民眾" in shown and "A100000001" in shown and "民國 80 年 02 月 29 日" in shown
        assert "模擬卡" in shown
        assert desk.person.asked == []


async def test_another_card_in_place_of_a_health_card_is_told(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.open()
        await desk.choose("method", "nhi")
        await desk.submit()
        assert "這裡要用：健保卡" in await desk.message("card.wrong_kind")


async def test_a_person_who_says_no_is_not_asked_again(set_desk: SetDesk) -> None:
    async with set_desk("hpc", trusts_site=False) as desk:
        await desk.open()
        await desk.submit()
        await desk.message("consent.refused")
        await desk.submit()
        await desk.message("consent.refused")
        assert desk.person.refused == [desk.stage.origin]
        assert desk.person.asked == []


async def test_an_agent_that_is_not_running_is_told_apart_from_one_that_refuses(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.stage.daemon.stop()
        await desk.open()
        assert "未啟動" in await desk.message("agent.not_running")
        assert await desk.page.get_attribute("#agent-state", "data-state") == "trouble"


async def test_an_agent_that_refuses_the_site_is_told_apart_from_one_that_is_not_running(
    set_desk: SetDesk,
) -> None:
    origin = f"https://portal.example.test:{site_ports()[0]}"
    config = replace(ANY_PORT, origins=OriginSettings(deny=frozenset({origin})))
    async with set_desk("hpc", config=config) as desk:
        await desk.open()
        assert "拒絕了這個網站" in await desk.message("origin.refused")
        assert desk.person.asked == []


async def test_a_browser_that_keeps_the_page_from_this_device_is_told_apart_from_both(
    set_desk: SetDesk,
) -> None:
    async with set_desk("hpc", allows_local=False) as desk:
        await desk.open()
        assert "瀏覽器不允許" in await desk.message("agent.blocked")


OPENS = """port => new Promise(resolve => {
    const socket = new WebSocket(`wss://localhost:${port}/v1`);
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
})"""


@pytest.mark.parametrize("trusted", [False, True])
async def test_the_agent_is_reached_over_tls_once_its_ca_is_trusted_and_not_before(
    set_desk: SetDesk, trusted: bool
) -> None:
    async with set_desk("hpc", trusts_agent=trusted) as desk:
        await desk.open()
        assert await desk.page.evaluate(OPENS, desk.stage.daemon.tls_port) is trusted


async def test_logging_out_ends_the_session(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.log_in()
        await desk.page.click("#logout")
        await desk.page.wait_for_url(desk.stage.origin + "/")
        await desk.open("/apply")
        assert desk.page.url == desk.stage.origin + "/"


async def test_whoever_connects_while_another_does_waits_for_the_agents_greeting(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.open()
        greeted = await desk.page.evaluate(
            """async () => {
                const { HcaAgent } = await import("/static/agent.js");
                const session = await (await fetch("/api/session")).json();
                const agent = new HcaAgent(session.agent);
                const send = WebSocket.prototype.send;
                let second = null;
                WebSocket.prototype.send = function (words) {
                    second ??= agent.connect().then(() => agent.hello !== null);
                    return send.call(this, words);
                };
                await agent.connect();
                return second;
            }"""
        )
        assert greeted is True


async def test_a_page_keeps_a_person_from_sending_twice(set_desk: SetDesk) -> None:
    async with set_desk("hpc-slow") as desk:
        await desk.open()
        await desk.page.dblclick("#submit")
        await desk.page.wait_for_url("**/apply")
        assert len(desk.person.asked) == 1


async def test_while_the_agent_asks_the_page_says_where_to_look(
    set_desk: SetDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with set_desk("hpc") as desk:
        answer, thought = desk.person.ask, asyncio.Event()

        async def think(question: Question[Any]) -> Any:
            if isinstance(question, PinQuestion):
                await thought.wait()
            return await answer(question)

        monkeypatch.setattr(desk.person, "ask", think)
        await desk.open()
        await desk.submit()
        await desk.page.wait_for_selector(".message.calm")
        assert "視窗或終端機" in await desk.page.inner_text("#message")
        thought.set()
        await desk.page.wait_for_url("**/apply")
