"""`hca-agent demo --serve` as a newcomer meets it: nothing trusted, plain http, the PIN in the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import WebSocket

from tests.support.chromium import chromium, make_home
from tests.support.desk import filled
from tests.support.pcscd import PrivatePcscd, pcscd_fixture
from tests.support.terminal import Terminal

pcscd = pcscd_fixture()
PIN = r"PIN 碼 PIN: "


@pytest.mark.pcscd  # for its private network: the ports are the real ones
@pytest.mark.slow
def test_a_newcomer_clicks_through_the_demo(pcscd: PrivatePcscd, tmp_path: Path) -> None:
    seen = pcscd.call(tell_the_story, tmp_path, timeout=250)
    assert seen["opened"] == "http://localhost:8480"
    assert seen["spoke over"] == {"ws://127.0.0.1:56440/v1"}
    assert seen["person"] == "測試人員卡"
    assert seen["number"].startswith("DEMO-")
    assert seen["institution"] == "測試機構"
    assert "測試民眾" in seen["health card"]
    assert "測試國民" in seen["citizen by HiPKI"]
    assert "測試民眾" in seen["health card and password"]
    assert seen["files"] == []
    assert "trust install" not in seen["screen"]
    assert seen["status"] == 130  # ended by Ctrl+C


def tell_the_story(folder: Path) -> dict[str, Any]:
    """What was seen; runs where nobody else has the ports."""
    home = folder / "agent"
    opened = folder / "opened"
    browser = folder / "browser.sh"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("DISPLAY")}
    environment |= {"HCA_AGENT_HOME": str(home), "BROWSER": f"{browser} %s"}
    terminal = Terminal([sys.executable, "-m", "agent", "demo", "--serve"], environment)
    try:
        seen = asyncio.run(_click_through(terminal, make_home(folder / "browser")))
    finally:
        terminal.close()
    seen["opened"] = opened.read_text()
    seen["screen"] = terminal.screen
    seen["files"] = [path.name for path in home.glob("*")]
    return seen


async def _click_through(terminal: Terminal, browser_home: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {"spoke over": set()}

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda _: seen["spoke over"].add(socket.url))

    await terminal.expect("123456")
    await terminal.expect(r"Ctrl\+C")
    async with chromium(browser_home) as window:
        page = window.pages[0]
        page.on("websocket", listen)
        await page.goto("http://localhost:8480/euservice")
        await page.wait_for_selector('#agent-state[data-state="ready"]')
        await page.click("#submit")
        await terminal.answer_unseen(PIN, "123456")
        await page.wait_for_url("**/apply")
        seen["person"] = await filled(page, "#who-name")
        await page.fill("#place", "示範區衛生所")
        await page.click("#review-button")
        await page.click("#sign")
        await terminal.answer_unseen(PIN, "123456")
        await page.wait_for_selector("#done:not([hidden])")
        seen["number"] = await filled(page, "#number")

        await page.click("#logout")
        await page.wait_for_url("http://localhost:8480/")
        await page.click('a[href="/euservice"]')
        await page.check('input[value="nhi"]')
        await page.click("#submit")
        await page.wait_for_selector("#nhi:not([hidden])")
        seen["health card"] = await filled(page, "#nhi-facts")
        await page.check('input[value="institution"]')
        await page.click("#submit")
        await terminal.answer_unseen(PIN, "123456")
        await page.wait_for_url("**/apply")
        seen["institution"] = await filled(page, "#who-name")

        await page.click("#logout")
        await page.wait_for_url("http://localhost:8480/")
        await page.goto("http://localhost:8480/vpn")
        await page.check('input[value="natural-person"]')
        await page.fill("#pin", "123456")
        await page.click("#submit")
        await terminal.answer(r"3\. [^\n]*測試國民[^\n]*\s+\[1-3\] ", "3")
        await page.wait_for_selector("#done:not([hidden])")
        seen["citizen by HiPKI"] = await page.inner_text("#done")

        # Nothing is trusted here, so NHI's component is out of reach and the agent reads the card.
        await page.click("#logout")
        await page.wait_for_url("http://localhost:8480/")
        await page.goto("http://localhost:8480/euservice/nhi")
        await page.fill("#id-number", "A100000001")
        await page.click("#submit")
        await page.fill("#password", "Nhi-2468")
        await page.click("#confirm-submit")
        await page.wait_for_selector("#done:not([hidden])")
        seen["health card and password"] = await page.inner_text("#done")
    seen["status"] = await terminal.interrupt()
    return seen
