"""The self-test page in real browsers: on good and broken cards, by keyboard, audited, downloaded."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from playwright.async_api import BrowserContext
from playwright.async_api import Page as Window

from agent.interaction import ConsentQuestion, ErrandQuestion, PinQuestion, Question, UnblockQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.selftest.schema import ReportPart
from agent.vocabulary import Verb
from tests.browser.conftest import CHROMIUM, Authorities
from tests.support import axe, firefox
from tests.support.agent import RunningAgent, running_agent
from tests.support.chromium import make_home
from tests.support.desk import SetDesk
from tests.support.waiting import LIMIT

SECRETS: Final = ("測試人員卡", "TEST CARD", "0650101", "000000335361")

RUN = """async () => {
    document.getElementById("start").click();
    const until = performance.now() + 100_000;
    const shown = (id) => !document.getElementById(id).hidden;
    while (!shown("verdict") && !shown("message")) {
        if (performance.now() > until) throw new Error("no end");
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const rows = [...document.querySelectorAll(".row")].map((row) => [row.id.slice(4), {
        status: row.dataset.status,
        detail: row.querySelector(".detail").textContent,
        error: row.querySelector(".trouble code")?.textContent ?? null,
        next: row.querySelector(".trouble .next")?.textContent ?? "",
    }]);
    return {
        rows: Object.fromEntries(rows),
        state: document.getElementById("verdict").dataset.state,
        title: document.getElementById("verdict-title").textContent,
        todo: document.getElementById("to-do").textContent,
        message: document.getElementById("message").textContent,
        simulated: shown("simulated"),
        heard: document.getElementById("said").textContent,
    };
}"""
"""What a person does and then sees; a function for any browser."""

NARROW: Final = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"

Evaluate = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def agent_with(
    authorities: Authorities, folder: Path, kind: str, person: ScriptedInteraction | None = None
) -> AsyncIterator[RunningAgent]:
    shutil.copytree(authorities.agent, folder / "tls")
    async with running_agent(folder, [kind] if kind else [], interaction=person) as agent:
        yield agent


@asynccontextmanager
async def window_of(
    authorities: Authorities, folder: Path, *, trusting: bool = True, **options: object
) -> AsyncIterator[BrowserContext]:
    trusted = authorities.trusted(agent=trusting)
    async with CHROMIUM.window(folder / "browser", trusted, **options) as context:
        yield context


def statuses(seen: dict[str, Any], group: str) -> list[str]:
    return [row["status"] for name, row in seen["rows"].items() if name.startswith(f"{group}.")]


BROKEN: Final[dict[str, tuple[str, str, str]]] = {
    # kind of card: (row, error, what the person reads)
    "hpc-locked": ("hca.session", "pin.locked", "0800-364-422"),
    "hpc-terminated": ("hca.info", "card.terminated", "0800-364-422"),
    "hpc-not-activated": ("hca.info", "card.not_activated", "hca.nat.gov.tw"),
    "hpc-expired": ("certificate.signature", "certificate.expired", "醫事憑證到期線上插卡換發"),
    "hpc-mute": ("hca.init", "card.mute", "卡片"),
    "": ("hca.init", "reader.none", "讀卡機"),
}


async def judge_broken(
    authorities: Authorities, folder: Path, visit: Callable[[str], Awaitable[Evaluate]]
) -> None:
    """Every broken kind in turn, on pages that `visit` opens."""
    for kind, (name, error, words) in BROKEN.items():
        async with agent_with(authorities, folder / f"agent {kind}", kind) as agent:
            seen = await (await visit(agent.clear))(RUN)
        row = seen["rows"][name]
        assert (row["status"], row["error"]) == ("fail", error), (kind, row)
        assert words in row["next"] + seen["todo"], (kind, row)
        assert seen["state"] != "good", kind
        assert statuses(seen, "browser").count("fail") == 0, kind
        assert "waiting" not in {each["status"] for each in seen["rows"].values()}, kind


async def test_on_a_good_card_every_row_passes_and_is_told(authorities: Authorities, tmp_path: Path) -> None:
    faults: list[str] = []
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc") as agent,
        window_of(authorities, tmp_path) as w,
    ):
        page = w.pages[0]
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        for base in (agent.clear, agent.tls):
            await page.goto(base)
            seen = await page.evaluate(RUN)
            assert statuses(seen, "hca") == ["pass"] * 14
            assert "14 列全部通過" in seen["title"]
            assert seen["simulated"]
            assert set(statuses(seen, "browser")) <= {"pass", "skip"}
            for way in ("http", "https", "ws", "wss", "certificate"):
                assert seen["rows"][f"browser.{way}"]["status"] == "pass", (base, way)
            assert seen["rows"]["browser.mixed"]["status"] == ("pass" if base == agent.tls else "skip")
            assert "簽章：通過" in seen["heard"] and "瀏覽器版本：通過" in seen["heard"]
            text = await page.inner_text("body")
            assert not any(secret in text for secret in SECRETS)
    assert faults == []


async def test_on_broken_cards_the_row_says_what_to_do(authorities: Authorities, tmp_path: Path) -> None:
    async with window_of(authorities, tmp_path) as context:
        page = context.pages[0]

        async def visit(address: str) -> Evaluate:
            await page.goto(address)
            return page.evaluate

        await judge_broken(authorities, tmp_path, visit)


@pytest.mark.slow
@pytest.mark.timeout(4 * firefox.SCRIPT_SECONDS)
@pytest.mark.skipif(firefox.why_not() is not None, reason=str(firefox.why_not()))
async def test_firefox_shows_the_same_on_a_good_and_a_broken_card(
    authorities: Authorities, tmp_path: Path
) -> None:
    home = make_home(tmp_path / "home")
    profile = firefox.make_profile(home, "selftest.default")

    def settle(browser: Any, script: str) -> Any:
        return browser.execute_async_script(
            f"const done = arguments[arguments.length - 1]; ({script})().then(done, (e) => done(String(e)));"
        )

    def audit(browser: Any) -> Any:
        browser.execute_script(axe.source())
        return axe.serious(settle(browser, axe.AUDIT))

    with firefox.firefox(home, profile) as browser:

        async def visit(address: str) -> Evaluate:
            await asyncio.to_thread(browser.get, address)

            async def evaluate(script: str) -> Any:
                return await asyncio.to_thread(settle, browser, script)

            return evaluate

        async with agent_with(authorities, tmp_path / "agent", "hpc") as agent:
            seen = await (await visit(agent.clear))(RUN)
            assert statuses(seen, "hca") == ["pass"] * 14
            assert "Firefox" in seen["rows"]["browser.version"]["detail"]
            assert {seen["rows"][f"browser.{way}"]["status"] for way in ("http", "ws")} == {"pass"}
            untrusted = seen["rows"]["browser.certificate"]
            assert untrusted["error"] == "browser.certificate_untrusted"
            assert "讓瀏覽器接受本程式" in untrusted["next"] and "hca-agent" not in untrusted["next"]
            assert seen["rows"]["browser.wss"]["status"] == "skip"
        name, error, _ = BROKEN["hpc-locked"]
        async with agent_with(authorities, tmp_path / "agent locked", "hpc-locked") as agent:
            seen = await (await visit(agent.clear))(RUN)
            assert seen["rows"][name]["error"] == error
            assert await asyncio.to_thread(audit, browser) == []


async def test_a_person_without_a_terminal_has_errands_done_by_the_buttons_of_the_page(
    authorities: Authorities, tmp_path: Path
) -> None:
    person = ScriptedInteraction(pairs=[("12345678", "654321")], errands=())
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc-locked", person) as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        await page.evaluate(RUN)
        await page.locator('.trouble .door[data-errand="unblock-pin"]').first.click()
        await page.wait_for_selector("#message.calm:has-text('已解鎖')")
        await page.click('#door-buttons .door[data-errand="trust"]')
        await page.wait_for_selector('#message[data-error="errand.refused"]')
    asked = [type(question) for question in person.questions]
    assert asked[-2:] == [UnblockQuestion, ErrandQuestion]


@pytest.mark.parametrize("kind", ["hpc", "hpc-locked"])
async def test_the_page_has_no_serious_accessibility_finding(
    authorities: Authorities, tmp_path: Path, kind: str
) -> None:
    async with (
        agent_with(authorities, tmp_path / "agent", kind) as agent,
        window_of(authorities, tmp_path, reduced_motion="reduce") as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        await page.evaluate(axe.source())

        async def audit() -> None:
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                assert axe.serious(await page.evaluate(axe.AUDIT)) == [], scheme

        await audit()
        await page.evaluate(RUN)
        await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        await audit()


async def test_it_fits_from_a_phone_to_a_wide_screen(authorities: Authorities, tmp_path: Path) -> None:
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc-locked") as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        for width in (320, 390, 800, 2560):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate(NARROW), width
        await page.evaluate(RUN)
        for width in (320, 390, 800, 2560):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate(NARROW), width


async def test_it_works_with_the_keyboard_alone(authorities: Authorities, tmp_path: Path) -> None:
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc") as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        for _ in range(8):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.name === 'pin'"):
                await page.keyboard.press("Space")
            if await page.evaluate("document.activeElement.id === 'start'"):
                break
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#verdict:not([hidden])")
        assert await page.evaluate("document.activeElement.id") == "verdict-title"
        assert await page.get_attribute("#row-hca\\.session", "data-status") == "skip"
        assert agent.interaction.questions == []
        assert await page.inner_text("#row-hca\\.holder .mark") == "✓"


async def saved(page: Window, button: str) -> str:
    async with page.expect_download() as download:
        await page.click(button)
    file = Path(await (await download.value).path())
    return await asyncio.to_thread(file.read_text, "utf-8")


async def test_the_report_is_masked_unless_the_person_says_so_in_the_agents_window(
    authorities: Authorities, tmp_path: Path
) -> None:
    person = ScriptedInteraction(pins=["123456"])
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc", person) as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        await page.evaluate(RUN)
        for button in ("#save-json", "#save-html"):
            text = await saved(page, button)
            assert not any(secret in text for secret in SECRETS)
            assert "browser.version" in text and "hca.sign" in text
        report = msgspec.json.decode(await saved(page, "#save-json"), type=ReportPart)
        assert report.ok and report.masked
        assert not any(isinstance(each, ConsentQuestion) for each in person.questions)

        await page.check("#unmasked")
        await page.wait_for_function("document.body.textContent.includes('測試人員卡')")
        for button in ("#save-json", "#save-html"):
            text = await saved(page, button)
            assert all(secret in text for secret in SECRETS) and "123456" not in text
        assert len([each for each in person.questions if isinstance(each, ConsentQuestion)]) == 1

        await page.uncheck("#unmasked")
        await page.wait_for_function("!document.body.textContent.includes('測試人員卡')")


async def test_a_person_who_says_no_keeps_the_report_masked(authorities: Authorities, tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["123456"], consents=dict.fromkeys(Verb, False))
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc", person) as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        await page.evaluate(RUN)
        await page.click("#unmasked")
        await page.wait_for_selector('#message[data-error="consent.refused"]')
        assert not await page.is_checked("#unmasked")
        text = await saved(page, "#save-html")
        assert not any(secret in text for secret in SECRETS)


async def test_an_untrusted_certificate_is_told_with_the_door_that_helps(
    authorities: Authorities, tmp_path: Path
) -> None:
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc") as agent,
        window_of(authorities, tmp_path, trusting=False) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        seen = await page.evaluate(RUN)
        assert seen["rows"]["browser.certificate"]["error"] == "browser.certificate_untrusted"
        assert seen["rows"]["browser.http"]["status"] == seen["rows"]["browser.ws"]["status"] == "pass"
        assert "讓瀏覽器接受本程式" in seen["todo"] and "hca-agent" not in seen["todo"]
        assert statuses(seen, "hca") == ["pass"] * 14
        assert seen["state"] == "part"


async def test_an_agent_that_ended_is_told_and_one_that_came_back_is_found(
    authorities: Authorities, tmp_path: Path
) -> None:
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc") as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        await page.evaluate(RUN)
        await agent.daemon.stop()
        await page.wait_for_selector('#agent-state[data-state="trouble"]')
        seen = await page.evaluate(RUN)
        assert "請啟動 HCA Card Agent" in seen["message"]


async def test_a_run_can_be_stopped_and_begun_again(authorities: Authorities, tmp_path: Path) -> None:
    asked = asyncio.Event()

    class Hesitant(ScriptedInteraction):
        async def ask(self, question: Question[Any]) -> Any:
            if not isinstance(question, PinQuestion):
                return await super().ask(question)
            if not asked.is_set():
                asked.set()
                await asyncio.Event().wait()
            return await super().ask(question)

    person = Hesitant(pins=["123456"])
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc", person) as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        await page.goto(agent.clear)
        await page.click("#start")
        await asyncio.wait_for(asked.wait(), LIMIT)
        await page.wait_for_selector('#row-hca\\.session[data-status="running"]')
        assert "視窗或終端機" in await page.inner_text("#now")
        await page.click("#stop")
        await page.wait_for_selector("#message.calm")
        seen = await page.evaluate(RUN)
        assert statuses(seen, "hca") == ["pass"] * 14


PORTAL_RUN = """async (port) => {
    const { HcaAgent } = await import("/static/agent.js");
    const told = [];
    const agent = new HcaAgent({ tlsPorts: [port.tls], plainPort: port.plain });
    const { report, browser } = await agent.selftest({ onRow: (row) => told.push(row.id) });
    const files = await agent.selftestReport({ browser });
    return { report, browser, told, html: files.html };
}"""


async def test_a_portal_runs_the_same_rows_and_sees_them_masked(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.open()
        ports = {"tls": desk.stage.daemon.tls_port, "plain": desk.stage.daemon.native_port}
        seen = await desk.page.evaluate(PORTAL_RUN, ports)
    assert seen["report"]["ok"]
    assert seen["told"] == [row["id"] for row in (*seen["browser"], *seen["report"]["rows"])]
    browser = {row["id"]: row["status"] for row in seen["browser"]}
    assert browser["browser.permission"] == browser["browser.wss"] == browser["browser.certificate"] == "pass"
    assert not any(secret in json.dumps(seen, ensure_ascii=False) for secret in SECRETS)
    assert all(row["detail"] == "" for row in seen["report"]["rows"] if row["id"].startswith("host."))


async def test_agent_js_needs_no_other_file(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await desk.page.route("**/browser-check.js", lambda route: route.fulfill(status=404))
        await desk.open()
        ports = {"tls": desk.stage.daemon.tls_port, "plain": desk.stage.daemon.native_port}
        seen = await desk.page.evaluate(PORTAL_RUN, ports)
    assert seen["browser"] == []
    assert seen["told"] == [row["id"] for row in seen["report"]["rows"]] != []
