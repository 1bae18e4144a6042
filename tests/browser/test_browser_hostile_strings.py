"""Strings of a card, a certificate and a reader in the pages, in a real Chromium: text and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page

from agent.interaction.scripted import ScriptedInteraction
from agent.selftest.html_report import page as report
from agent.selftest.model import Bilingual, ResultRow, RowStatus, Trouble
from hca_card.model import Institution, Personnel
from hca_card.simulator.cards import HcaBlueprint
from tests.browser.conftest import Authorities
from tests.browser.test_browser_selftest import RUN, agent_with, saved, window_of
from tests.support.agent import running_agent
from tests.support.cards import simulator_ca
from tests.support.desk import SetDesk
from tests.support.hostile_strings import HOSTILE

IMAGE: Final = "<img src=x onerror=alert(1)>"
SCRIPT: Final = '"><script>alert(1)</script></style>{{token}}${1}<b>'
SHORT: Final = "<b>'\"&{{\\"

CARDS: Final = {
    "personnel": Personnel(IMAGE, SCRIPT, "M", "0650101", SHORT, "A", "<"),
    "institution": Institution("<b>'\"&{{", IMAGE, "'>", "<s>'\"&{{$", "<u>'\"&{{$", SCRIPT, "<i>'\"", IMAGE),
}


@asynccontextmanager
async def watched(page: Page) -> AsyncIterator[None]:
    """Nothing of what the strings try may happen while the body runs: dialogs, requests, errors of policy."""
    seen: list[str] = []
    page.on("dialog", lambda dialog: seen.append(f"dialog {dialog.message}"))
    page.on("pageerror", lambda error: seen.append(f"error {error}"))
    page.on(
        "console",
        lambda message: seen.append(message.text) if "Content Security Policy" in message.text else None,
    )
    page.on(
        "request",
        lambda request: seen.append(request.url) if request.url.endswith(("/x", ":9/x")) else None,
    )
    yield
    assert seen == []


async def elements_of_data(page: Page) -> Any:
    """Elements that our pages never make, and addresses that run something."""
    return await page.evaluate(
        """() => [...document.querySelectorAll("*")]
            .filter((each) => each.matches("b, i, s, u, iframe, object, embed, [onerror], [onload]")
                || /^\\s*(javascript|data):/i.test(each.getAttribute("href") ?? "")
                || (each.localName === "img" && each.getAttribute("src") === "x")
                || (each.localName === "script" && each.textContent.includes("alert")))
            .map((each) => each.outerHTML)"""
    )


@pytest.mark.parametrize("kind", CARDS)
async def test_the_self_test_page_and_its_report_show_a_hostile_card_and_reader_as_text(
    authorities: Authorities, tmp_path: Path, kind: str
) -> None:
    chip = HcaBlueprint("000000777001" if kind == "personnel" else "000000777002", CARDS[kind]).build(
        simulator_ca()
    )
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc", ScriptedInteraction(pins=["123456"] * 4)) as agent,
        window_of(authorities, tmp_path) as context,
    ):
        agent.readers[0].remove()
        agent.readers[0].insert(chip)
        page = context.pages[0]
        async with watched(page):
            await page.goto(agent.clear)
            await page.evaluate(RUN)
            await page.check("#unmasked")
            await page.get_by_text("onerror=alert(1)").first.wait_for(state="attached")
            assert await elements_of_data(page) == []
            text = await saved(page, "#save-html")
            assert "<img src=x" not in text and "&lt;img src=x" in text
            file = tmp_path / "report.html"
            file.write_text(text)
            await page.goto(file.as_uri())
            assert "onerror=alert(1)" in await page.inner_text("body")
            assert await elements_of_data(page) == []


async def test_a_report_of_every_hostile_string_runs_nothing_when_it_is_opened(
    authorities: Authorities, tmp_path: Path
) -> None:
    rows = [
        ResultRow("card.holder", both, RowStatus.FAIL, both, both, 1, Trouble("card.mute", both, both))
        for both in (Bilingual(text, f"{text} en").cleaned() for text in HOSTILE.values())
    ]
    file = tmp_path / "report.html"
    file.write_text(report(rows, simulated=False, time=datetime(2030, 1, 1, tzinfo=UTC), unmasked=True))
    async with window_of(authorities, tmp_path) as context:
        page = context.pages[0]
        async with watched(page):
            await page.goto(file.as_uri())
            assert await elements_of_data(page) == []
            assert await page.locator("tbody tr").count() == len(rows)


async def test_a_readers_name_is_text_in_the_self_test_page(authorities: Authorities, tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path / "agent", ["hpc"], names=[f"{IMAGE} {SCRIPT[:60]}"]) as agent,
        window_of(authorities, tmp_path) as context,
    ):
        page = context.pages[0]
        async with watched(page):
            await page.goto(agent.clear)
            await page.evaluate(RUN)
            assert await elements_of_data(page) == []
            assert "onerror=alert(1)" in await page.inner_text("body")


async def test_the_demo_portals_pages_show_hostile_facts_and_refusals_as_text(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        page = desk.page
        async with watched(page):
            await desk.open()
            for text in HOSTILE.values():
                await page.evaluate(
                    """async (text) => {
                        const { facts, show, tell } = await import("/static/common.js");
                        const list = document.createElement("dl");
                        const box = document.createElement("div");
                        document.body.append(list, box);
                        facts(list, [[text, text, text]]);
                        show(box, { id: text, zh: text, en: text, nextZh: text, nextEn: text, triesLeft: 1 });
                        tell(box, text, text);
                    }""",
                    text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
                )
            assert await elements_of_data(page) == []
