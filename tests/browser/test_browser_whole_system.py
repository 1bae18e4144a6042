"""The whole system: pcscd, a card in its reader, `hca-agent run` at a terminal, and Chromium at a portal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent import tls
from agent.demo.environment import PortalAddress, serve_portal
from agent.demo.login_forms import TrustedIssuers
from agent.demo.portal import AgentAddress
from hca_card.simulator import SimulatorCa
from tests.support.chromium import chromium, make_home
from tests.support.desk import HOST, filled
from tests.support.pcscd import PORTS, PrivatePcscd, pcscd_fixture
from tests.support.portal_tls import PortalTls
from tests.support.terminal import Terminal

pcscd = pcscd_fixture()
AGENT = (sys.executable, "-m", "agent")
YES_OR_NO = r"\[y/N(?:/none)?\] "
PIN = r"PIN 碼 PIN: "


@pytest.mark.pcscd
@pytest.mark.slow
def test_a_person_logs_in_and_signs_with_a_card_in_a_reader(pcscd: PrivatePcscd, tmp_path: Path) -> None:
    seen = pcscd.call(tell_the_story, tmp_path, timeout=250)
    assert "還可以再試 2 次" in seen["wrong pin"]
    assert "讀卡機" in seen["pulled"]
    assert seen["who"] == "測試人員卡"
    assert seen["number"].startswith("DEMO-")
    assert "123456" not in seen["screen"] and "654321" not in seen["screen"]
    assert "123456" not in seen["audit"] and "654321" not in seen["audit"]
    assert seen["status"] == 0


def tell_the_story(folder: Path) -> dict[str, Any]:
    """What was seen; runs where the private pcscd and its readers are."""
    return asyncio.run(_story(folder))


async def _story(folder: Path) -> dict[str, Any]:
    home = folder / "agent"
    identity = tls.ensure(home / "tls")
    site = PortalTls(folder / "portal", HOST)
    browser_home = make_home(folder / "browser", [site.authority, identity.ca])
    authority = SimulatorCa(home / "simulator")
    trust = TrustedIssuers(authority.roots, authority.intermediates)
    environment = os.environ | {"HCA_AGENT_HOME": str(home)}
    with _card(environment) as card, _terminal(environment) as terminal:
        await terminal.expect("https://localhost:56445")
        async with (
            serve_portal(PortalAddress(HOST, tls=site.context()), trust, AgentAddress()) as origin,
            chromium(browser_home, sites=[origin]) as window,
        ):
            await window.grant_permissions(["local-network-access"], origin=origin)
            seen = await _at_the_desk(origin, window.pages[0], terminal, card)
        seen["status"] = await terminal.interrupt()
        seen["screen"] = terminal.screen
    seen["audit"] = (home / "audit.jsonl").read_text()
    return seen


async def _at_the_desk(
    origin: str, page: Any, terminal: Terminal, card: subprocess.Popen[bytes]
) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    await page.goto(origin + "/euservice")
    await page.wait_for_selector('#agent-state[data-state="ready"]')

    await page.click("#submit")
    await terminal.answer(YES_OR_NO, "y")  # log in, and with that read
    await terminal.answer_unseen(PIN, "654321")
    seen["wrong pin"] = await page.inner_text('.message[data-error="pin.wrong"]')

    await page.click("#submit")
    await terminal.expect(PIN)
    _order(card, "remove")
    await asyncio.sleep(1)  # nothing may end the question meanwhile
    await terminal.type("123456")
    await page.wait_for_selector(".message[data-error]")
    seen["pulled"] = await page.inner_text("#message")

    _order(card, "insert")
    await page.wait_for_selector(".message.calm")
    await page.click("#submit")
    await terminal.answer_unseen(PIN, "123456")
    await page.wait_for_url("**/apply")
    seen["who"] = await filled(page, "#who-name")

    await page.fill("#place", "示範區衛生所")
    await page.click("#review-button")
    await page.click("#sign")
    await terminal.answer(YES_OR_NO, "y")  # sign
    await terminal.answer_unseen(PIN, "123456")
    await page.wait_for_selector("#done:not([hidden])")
    seen["number"] = await filled(page, "#number")
    return seen


@contextmanager
def _card(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [*AGENT, "simulate", "hpc", "--vpcd", f"127.0.0.1:{PORTS[0]}", "--control"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as card:
        try:
            yield card
        finally:
            card.kill()


def _order(card: subprocess.Popen[bytes], order: str) -> None:
    assert card.stdin is not None
    card.stdin.write(order.encode() + b"\n")
    card.stdin.flush()


@contextmanager
def _terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal([*AGENT, "run"], environment)
    try:
        yield terminal
    finally:
        terminal.close()
