"""A page of nine hidden frames, each of another name that nobody allowed, beside a portal in another tab."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.config import OriginSettings
from agent.interaction import ConsentQuestion, PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.native import api
from hca_card.pin import Pin
from tests.browser.conftest import CHROMIUM, Authorities
from tests.support.agent import ANY_PORT, running_agent
from tests.support.operations import until
from tests.support.portal_tls import PortalTls
from tests.support.waiting import LIMIT

WEB = Path(api.__file__).parents[1] / "web"
PORTAL, HOSTILE = "portal.example.test", "hostile.example.test"
FRAMES = 9

# As hard as a page can: whatever is answered, it connects and asks again.
ATTACK = """<!doctype html><script>
  let asked = 0;
  const attack = () => {
    const socket = new WebSocket(`ws://127.0.0.1:${location.hash.slice(1)}/v1`);
    const request = () => ({ jsonrpc: "2.0", id: ++asked, method: "card.read", params: {} });
    const ask = () => socket.send(JSON.stringify(request()));
    socket.onopen = () => { for (let n = 0; n < 8; n++) ask(); };
    socket.onmessage = ask;
    socket.onclose = () => setTimeout(attack, 10);
  };
  attack();
</script>"""

LOG_IN = """async ([plainPort, nonce]) => {
    const { HcaAgent } = await import("/agent.js");
    const agent = new HcaAgent({ plainPort, tlsPorts: [] });
    await agent.connect();
    try {
        return (await agent.authenticate({ nonce })).format;
    } finally {
        agent.close();
    }
}"""


class Busy(ScriptedInteraction):
    """Types the PIN at once, and leaves every question whether a site is allowed as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[str | None] = []

    async def ask(self, question: Question[Any]) -> Any:
        if isinstance(question, PinQuestion):
            return Pin("123456")
        assert isinstance(question, ConsentQuestion)
        self.left.append(question.origin)
        return await asyncio.Event().wait()


@asynccontextmanager
async def site(identity: PortalTls, host: str) -> AsyncIterator[str]:
    """Every page there is; its origin."""

    async def page(request: web.Request) -> web.Response:
        if request.path == "/agent.js":
            return web.Response(text=(WEB / "agent.js").read_text("utf-8"), content_type="text/javascript")
        if request.path == "/frame":
            return web.Response(text=ATTACK, content_type="text/html")
        if request.path != "/hostile":
            return web.Response(text="<!doctype html><title>入口網站</title>", content_type="text/html")
        port, agent_port = request.url.port, request.query["agent"]
        frames = "".join(
            f'<iframe hidden src="https://n{number}.{HOSTILE}:{port}/frame#{agent_port}"></iframe>'
            for number in range(FRAMES)
        )
        return web.Response(text=f"<!doctype html><title>A page</title>{frames}", content_type="text/html")

    application = web.Application()
    application.router.add_get("/{any:.*}", page)
    async with identity.serving(host, application) as origin:
        yield origin


async def test_a_page_with_nine_hidden_frames_cannot_delay_the_portal_beside_it(
    tmp_path: Path, authorities: Authorities
) -> None:
    portal_tls = PortalTls(tmp_path / "portal", PORTAL, authorities.portal)
    hostile_tls = PortalTls(tmp_path / "hostile", f"*.{HOSTILE}", authorities.portal)
    person = Busy()
    async with (
        site(portal_tls, PORTAL) as portal,
        site(hostile_tls, f"www.{HOSTILE}") as hostile,
        running_agent(
            tmp_path / "agent",
            interaction=person,
            config=replace(ANY_PORT, origins=OriginSettings(allow=frozenset((portal,)))),
        ) as agent,
        CHROMIUM.window(tmp_path / "browser", authorities.trusted()) as window,
    ):
        port = agent.daemon.native_port
        page = window.pages[0]
        await page.goto(portal)
        beside = await window.new_page()
        await beside.goto(f"{hostile}/hostile?agent={port}")
        await until(lambda: bool(person.left))
        for _ in range(5):
            nonce = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
            async with asyncio.timeout(LIMIT):
                assert await page.evaluate(LOG_IN, [port, nonce]) == "web-eid:1.0"
        assert len(set(person.left)) == len(person.left) <= 3
        assert all(str(origin).endswith(f".{HOSTILE}:{hostile.rpartition(':')[2]}") for origin in person.left)
