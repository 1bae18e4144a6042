"""Log-ins of the demo portal through components that do not answer, or will not: the page says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.config import OriginSettings
from agent.demo.scripted_person import PIN
from agent.demo.steps import ANY_PORT
from tests.support.chromium import site_ports
from tests.support.desk import Desk, SetDesk

pytestmark = pytest.mark.slow


async def log_in(desk: Desk, path: str, role: str = "") -> None:
    """Go through one of the pages with a card and PIN that are right."""
    await desk.open(path)
    if role:
        await desk.choose("role", role)
    if path == "/euservice/nhi":
        await desk.page.fill("#id-number", "A100000001")
    else:
        await desk.page.fill("#pin", PIN)
    await desk.submit()


async def test_components_that_are_not_running_are_told_with_what_to_start(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.stage.daemon.stop()
        for path, role in (("/euservice/servisign", ""), ("/vpn", "natural-person"), ("/euservice/nhi", "")):
            await log_in(desk, path, role)
            assert "未啟動" in await desk.message("agent.not_running")
        assert desk.person.asked == []


async def test_components_that_refuse_the_site_are_told_apart_from_those_not_running(
    set_desk: SetDesk,
) -> None:
    origin = f"https://portal.example.test:{site_ports()[0]}"
    config = replace(ANY_PORT, origins=OriginSettings(deny=frozenset({origin})))
    async with set_desk("hpc", config=config) as desk:
        await log_in(desk, "/euservice/servisign")
        assert "這個網站不可使用本程式" in await desk.message("component.61908")
        await log_in(desk, "/vpn", "natural-person")
        assert "不被允許使用本程式" in await desk.message("origin.refused")
        await log_in(desk, "/euservice/nhi")
        assert "拒絕了這個網站" in await desk.message("origin.refused")


async def test_a_site_that_the_person_does_not_allow_gets_nothing_through_any_component(
    set_desk: SetDesk,
) -> None:
    async with set_desk("hpc", "citizen", trusts_site=False) as desk:
        await log_in(desk, "/euservice/servisign")
        assert "沒有允許" in await desk.message("component.61906")
        await log_in(desk, "/vpn", "natural-person")
        assert "沒有允許" in await desk.message("origin.refused")
        assert desk.person.asked == []


async def test_a_browser_that_does_not_trust_the_component_is_told_how_it_can(set_desk: SetDesk) -> None:
    async with set_desk("hpc", trusts_agent=False) as desk:
        await log_in(desk, "/euservice/servisign")
        assert "hca-agent trust install" in await desk.message("component.unreachable")


async def test_where_only_the_agent_runs_it_reads_the_health_card_itself(set_desk: SetDesk) -> None:
    config = replace(
        ANY_PORT,
        hipki=replace(ANY_PORT.hipki, enabled=False),
        nhi_component=replace(ANY_PORT.nhi_component, enabled=False),
    )
    async with set_desk("nhi", config=config) as desk:
        await log_in(desk, "/euservice/nhi")
        await desk.page.wait_for_selector("#confirm:not([hidden])")
        assert "健保卡元件沒有執行" in await desk.page.inner_text("#note")
        await desk.page.fill("#password", "Nhi-2468")
        await desk.page.click("#confirm-submit")
        await desk.page.wait_for_selector("#done:not([hidden])")
        assert "測試民眾" in await desk.page.inner_text("#done")
        await desk.page.click("#logout")
        await desk.page.wait_for_url(desk.stage.origin + "/")
        await log_in(desk, "/vpn", "natural-person")
        assert "HiPKI元件" in await desk.message("component.unreachable")
