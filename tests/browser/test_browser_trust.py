"""`hca-agent trust` as people type it, judged by real browsers with fresh profiles."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from agent.config import OriginSettings
from tests.support import firefox
from tests.support.agent import ANY_PORT, RunningAgent, running_agent
from tests.support.chromium import chromium
from tests.support.trust import type_trust

pytestmark = pytest.mark.slow

REACHED = {"https localhost", "https 127.0.0.1", "wss localhost", "wss 127.0.0.1"}

WHAT_IS_REACHED = """async (port) => {
    const reached = [];
    for (const host of ["localhost", "127.0.0.1"]) {
        const status = await fetch(`https://${host}:${port}/status`).then(r => r.json()).catch(() => null);
        if (status?.agent === "hca-agent") reached.push(`https ${host}`);
        const opened = await new Promise((resolve) => {
            const socket = new WebSocket(`wss://${host}:${port}/v1`);
            socket.onopen = () => { socket.close(); resolve(true); };
            socket.onerror = () => resolve(false);
        });
        if (opened) reached.push(`wss ${host}`);
    }
    return reached;
}"""


class Desk:
    """An agent, a home with browsers, and a page that is allowed to use the agent."""

    def __init__(self, agent: RunningAgent, home: Path, page: str) -> None:
        self.agent = agent
        self.home = home
        self.page = page

    async def trust(self, order: str) -> subprocess.CompletedProcess[str]:
        return await type_trust(order, self.home, self.agent.paths.home)

    async def in_chromium(self) -> set[str]:
        """What a page in Chromium reaches."""
        async with chromium(self.home) as window:
            await window.pages[0].goto(self.page)
            return set(await window.pages[0].evaluate(WHAT_IS_REACHED, self.agent.daemon.tls_port))

    async def in_firefox(self, profile: Path) -> set[str]:
        """What a page in Firefox reaches."""
        return await asyncio.to_thread(self._in_firefox, profile)

    def _in_firefox(self, profile: Path) -> set[str]:
        with firefox.firefox(self.home, profile) as browser:
            browser.get(self.page)
            look = f"({WHAT_IS_REACHED})(arguments[0]).then(arguments[1])"
            return set(browser.execute_async_script(look, self.agent.daemon.tls_port))


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://localhost:{listener.getsockname()[1]}"
    config = replace(ANY_PORT, origins=OriginSettings(allow=frozenset({origin})))
    home = folder / "home"
    home.mkdir()
    application = web.Application()
    application.router.add_get("/", page)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        async with running_agent(folder / "agent", config=config) as agent:
            yield Desk(agent, home, origin)
    finally:
        await runner.cleanup()


async def page(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>A portal</title>", content_type="text/html")


def names_in(database: Path) -> str:
    command = ["certutil", "-L", "-d", f"sql:{database}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


async def test_chromium_accepts_the_agent_after_install_and_neither_before_nor_after_remove(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        database = at.home / ".local/share/pki/nssdb"
        assert await at.in_chromium() == set()
        assert (database / "cert9.db").exists()  # Chromium's own choice
        installed = await at.trust("install")
        assert installed.returncode == 0, installed.stderr
        assert await at.in_chromium() == REACHED
        assert (await at.trust("status")).returncode == 0
        removed = await at.trust("remove")
        assert removed.returncode == 0, removed.stderr
        assert "HCA Card Agent" not in names_in(database) and not (at.home / ".pki").exists()
        assert await at.in_chromium() == set()
        assert (await at.trust("status")).returncode == 1


@pytest.mark.skipif(firefox.why_not() is not None, reason=str(firefox.why_not()))
async def test_firefox_accepts_the_agent_after_install_and_neither_before_nor_after_remove(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        used = firefox.make_profile(at.home, "used.default")
        never_opened = firefox.make_profile(at.home, "never.opened")
        assert await at.in_firefox(used) == set()
        installed = await at.trust("install")
        assert installed.returncode == 0, installed.stderr
        assert await at.in_firefox(used) == REACHED
        assert await at.in_firefox(never_opened) == REACHED
        assert (await at.trust("status")).returncode == 0
        removed = await at.trust("remove")
        assert removed.returncode == 0, removed.stderr
        for profile in (used, never_opened):
            assert "HCA Card Agent" not in names_in(profile)
        assert await at.in_firefox(used) == set()
