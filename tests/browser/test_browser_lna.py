"""agent.js on a page of the Internet, before the browser's Local Network Access: what it says, and why."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import WSCloseCode, web
from playwright.async_api import BrowserContext, Frame, Page

from agent.config import OriginSettings
from agent.native import api
from tests.browser.conftest import CHROMIUM, Authorities
from tests.support import firefox
from tests.support.agent import ANY_PORT, running_agent
from tests.support.chromium import chromium, make_home, site_ports, trust_in
from tests.support.chromium import version as chromium_version
from tests.support.portal_tls import PortalTls
from tests.support.screen import Screen, private_screen

WEB = Path(api.__file__).parents[1] / "web"
PORTAL, EMBEDDED = "portal.example.test", "embedded.example.test"
CLOSED = (1065, 1066)
"""Ports on which nothing listens."""

CONNECT = """async (options) => {
    const { HcaAgent } = await import("/agent.js");
    const agent = new HcaAgent(options);
    try {
        await agent.connect();
        agent.close();
        return { id: "connected" };
    } catch ({ id, reason, zh, en, nextZh, nextEn }) {
        return { id, reason, zh, en, nextZh, nextEn };
    }
}"""

# Whoever presses it is a person: that is when pages should look for the agent.
BUTTON = f"""<!doctype html><title>A portal</title><button id="connect">連線</button><output></output><script>
    const connect = {CONNECT};
    const options = JSON.parse(decodeURIComponent(location.hash.slice(1) || "null"));
    document.querySelector("button").onclick = async () => {{
        document.querySelector("output").textContent = JSON.stringify(await connect(options));
    }};
</script>"""


@dataclass(frozen=True)
class Sites:
    """Two sites of the Internet, one of which embeds the other, over TLS and in the clear."""

    portal: str
    embedded: str
    clear: str

    @property
    def all(self) -> tuple[str, ...]:
        return self.portal, self.embedded, self.clear


@asynccontextmanager
async def sites(folder: Path, authorities: Authorities) -> AsyncIterator[Sites]:
    """The sites, for which the authority of all portals vouches."""
    identities = [PortalTls(folder / name, name, authorities.portal) for name in (PORTAL, EMBEDDED)]
    listeners = [socket.create_server(("127.0.0.1", port)) for port in site_ports()[:3]]
    ports = [listener.getsockname()[1] for listener in listeners]
    found = Sites(
        f"https://{PORTAL}:{ports[0]}", f"https://{EMBEDDED}:{ports[1]}", f"http://{PORTAL}:{ports[2]}"
    )

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/agent.js":
            return web.Response(text=(WEB / "agent.js").read_text("utf-8"), content_type="text/javascript")
        allow = 'allow="loopback-network"' if request.path == "/delegating" else ""
        frame = f'<iframe {allow} src="{found.embedded}/"></iframe>' if request.path != "/" else ""
        return web.Response(text=BUTTON + frame, content_type="text/html")

    application = web.Application()
    application.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        for listener, identity in zip(listeners, (*identities, None), strict=True):
            context = identity.context() if identity else None
            await web.SockSite(runner, listener, ssl_context=context).start()
        yield found
    finally:
        await runner.cleanup()


@dataclass
class Desk:
    """A browser on the portal's page, and where the agent is."""

    sites: Sites
    window: BrowserContext
    page: Page
    options: dict[str, Any]
    screen: Screen | None

    async def decide(self, setting: str) -> None:
        """What the person, or their administrator, decided earlier for the portal."""
        session = await self.window.new_cdp_session(self.page)
        context = (await session.send("Target.getTargetInfo"))["targetInfo"]["browserContextId"]
        for name in ("loopback-network", "local-network-access"):
            permission = {"permission": {"name": name}, "setting": setting, "origin": self.sites.portal}
            await session.send("Browser.setPermission", permission | {"browserContextId": context})

    async def connect(self, frame: Page | Frame | None = None, **options: Any) -> dict[str, Any]:
        """What agent.js says."""
        told = await (frame or self.page).evaluate(CONNECT, self.options | options)
        assert isinstance(told, dict)
        return told

    async def press(self, *keys: str) -> dict[str, Any]:
        """Press the page's button, then these keys at the browser's question; what agent.js says at last."""
        assert self.screen is not None
        fragment = json.dumps(self.options)
        await self.page.goto(f"{self.sites.portal}/#{fragment}")
        await self.page.reload()
        await self.page.click("#connect")
        if keys:
            await asyncio.sleep(1.5)  # the browser ignores whoever is too quick for having read it
            await asyncio.to_thread(self.screen.key, *keys)
        await self.page.wait_for_function("document.querySelector('output').textContent")
        told = json.loads(await self.page.inner_text("output"))
        assert isinstance(told, dict)
        return told


SetDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def set_desk(tmp_path: Path, authorities: Authorities) -> SetDesk:
    return partial(_desk, tmp_path, authorities)


@asynccontextmanager
async def _desk(
    folder: Path,
    authorities: Authorities,
    *,
    runs: bool = True,
    refused: bool = False,
    screen: Screen | None = None,
) -> AsyncIterator[Desk]:
    """A desk, with a browser of its own where that has a screen: only there it asks its person."""
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(sites(folder / "sites", authorities))
        options: dict[str, Any] = {"plainPort": CLOSED[0], "tlsPorts": [CLOSED[1]], "connectTimeout": 3000}
        if runs:
            named = frozenset(found.all)
            origins = OriginSettings(deny=named) if refused else OriginSettings(allow=named)
            config = replace(ANY_PORT, origins=origins)
            shutil.copytree(authorities.agent, folder / "agent" / "tls")
            agent = await stack.enter_async_context(running_agent(folder / "agent", config=config))
            options |= {"plainPort": agent.daemon.native_port, "tlsPorts": [agent.daemon.tls_port, *CLOSED]}
        home, trusted = folder / "browser", authorities.trusted()
        window = await stack.enter_async_context(
            chromium(make_home(home, trusted), sites=found.all, display=screen.display)
            if screen
            else CHROMIUM.window(home, trusted)
        )
        page = window.pages[0]
        await page.goto(found.portal)
        yield Desk(found, window, page, options, screen)


async def test_a_page_that_may_reach_this_device_is_connected(set_desk: SetDesk) -> None:
    async with set_desk() as at:
        await at.decide("granted")
        assert await at.connect() == {"id": "connected"}


async def test_what_playwright_grants_is_enough(set_desk: SetDesk) -> None:
    async with set_desk() as at:
        await at.window.grant_permissions(["local-network-access"], origin=at.sites.portal)
        assert await at.connect() == {"id": "connected"}


async def test_a_no_of_the_person_is_told_as_the_browsers(set_desk: SetDesk) -> None:
    async with set_desk() as at:
        await at.decide("denied")
        told = await at.connect()
        assert (told["id"], told["reason"]) == ("agent.blocked", "permission")
        assert "網址列" in told["nextZh"] and "address bar" in told["nextEn"]


@pytest.mark.parametrize("decided", ["granted", "prompt"])
async def test_an_agent_that_is_not_running_is_told_as_such_whether_or_not_it_was_allowed(
    set_desk: SetDesk, decided: str
) -> None:
    async with set_desk(runs=False) as at:
        await at.decide(decided)
        began = asyncio.get_running_loop().time()
        told = await at.connect(connectTimeout=20_000)
        assert (told["id"], told["reason"]) == ("agent.not_running", None)
        assert asyncio.get_running_loop().time() - began < 15, "it ran into its own limit"


async def test_an_agent_that_refuses_the_site_is_told_as_such(set_desk: SetDesk) -> None:
    async with set_desk(refused=True) as at:
        await at.decide("granted")
        assert (await at.connect())["id"] == "origin.refused"


async def test_an_agent_that_has_no_room_is_told_as_busy(
    set_desk: SetDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SESSIONS_PER_ORIGIN_MAX", 0)
    async with set_desk() as at:
        await at.decide("granted")
        told = await at.connect()
        assert told["id"] == "busy" and "請稍候" in told["nextZh"]


@pytest.mark.parametrize("opens", [True, False], ids=["it says so itself", "its status says so"])
async def test_an_agent_of_an_older_api_is_told_as_too_old(set_desk: SetDesk, opens: bool) -> None:
    async with set_desk(runs=False) as at, old_agent(opens=opens) as port:
        await at.decide("granted")
        assert (await at.connect(plainPort=port))["id"] == "agent.too_old"


async def test_another_program_on_the_port_is_not_taken_for_the_agent(set_desk: SetDesk) -> None:
    async with set_desk(runs=False) as at, old_agent(name="something else", opens=False) as port:
        await at.decide("granted")
        assert (await at.connect(plainPort=port))["id"] == "agent.not_running"


@asynccontextmanager
async def old_agent(*, name: str = "hca-agent", opens: bool) -> AsyncIterator[int]:
    """What an agent before version 1 of the API would be like; its port."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"agent": name, "api": 0}, headers={"Access-Control-Allow-Origin": "*"})

    async def upgrade(request: web.Request) -> web.StreamResponse:
        if not opens:
            return web.Response(status=404)
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        asked = json.loads(await connection.receive_str())
        hello = {"agent": name, "version": "0.0.1", "api": 0, "capabilities": [], "simulated": False}
        await connection.send_json({"jsonrpc": "2.0", "id": asked["id"], "result": hello})
        await connection.close(code=WSCloseCode.OK)
        return connection

    application = web.Application()
    application.router.add_get("/status", status)
    application.router.add_get("/v1", upgrade)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listener).start()
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()


async def test_a_frame_that_was_given_no_permission_blames_the_page_around_it(set_desk: SetDesk) -> None:
    async with set_desk() as at:
        await at.page.goto(at.sites.portal + "/embedding")
        told = await at.connect(at.page.frames[1])
        assert (told["id"], told["reason"]) == ("agent.blocked", "frame")
        assert 'allow="loopback-network"' in told["nextZh"]


async def test_a_frame_with_the_permission_is_connected_once_the_person_allowed_the_site_around_it(
    set_desk: SetDesk,
) -> None:
    async with set_desk() as at:
        await at.decide("granted")
        await at.page.goto(at.sites.portal + "/delegating")
        assert await at.connect(at.page.frames[1]) == {"id": "connected"}


@pytest.mark.skipif(chromium_version() < 156, reason="older Chromium words this refusal otherwise")
async def test_a_page_without_https_is_told_to_use_it(set_desk: SetDesk) -> None:
    async with set_desk() as at:
        await at.page.goto(at.sites.clear)
        told = await at.connect()
        assert (told["id"], told["reason"]) == ("agent.blocked", "insecure")
        assert "https" in told["nextZh"]


@pytest.fixture
def screen() -> Any:
    if lacking := [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]:
        pytest.skip(f"needs {', '.join(lacking)}")
    with private_screen(size="1200x800") as private:
        yield private


BLOCK = ("F6", "Return")
ALLOW = ("F6", "Tab", "Return")
CLOSE = ("F6", "Tab", "Tab", "Return")
"""What a person presses to give these answers to Chromium's question."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "answers"),
    [
        (ALLOW, [("connected", None)] * 2),
        (BLOCK, [("agent.blocked", "permission")] * 2),
        (CLOSE, [("agent.blocked", "question")]),
    ],
    ids=["allow", "block", "close"],
)
async def test_the_browsers_own_question_is_asked_once_and_its_answer_understood(
    set_desk: SetDesk, screen: Screen, keys: Sequence[str], answers: Sequence[tuple[str, str | None]]
) -> None:
    async with set_desk(screen=screen) as at:
        told = [await at.press(*(keys if number == 0 else ())) for number in range(len(answers))]
        assert [(each["id"], each.get("reason")) for each in told] == answers


@pytest.mark.slow
async def test_a_question_nobody_answers_ends_with_the_advice_to_answer_it(
    set_desk: SetDesk, screen: Screen
) -> None:
    async with set_desk(screen=screen) as at:
        at.options["permissionTimeout"] = 4000
        told = await at.press()
        assert (told["id"], told["reason"]) == ("agent.blocked", "question")
        assert "允許" in told["nextZh"]


ALLOWED = 1
"""`nsIPermissionManager.ALLOW_ACTION`, as the person's yes or the administrator's policy leaves it."""


@pytest.mark.slow
@pytest.mark.skipif(firefox.why_not() is not None, reason=str(firefox.why_not()))
@pytest.mark.skipif(
    firefox.version() < 153, reason="older Firefox asks nobody before it reaches this computer"
)
async def test_in_firefox_a_yes_connects_and_no_answer_is_told_apart_from_not_running(
    tmp_path: Path, authorities: Authorities
) -> None:
    told: list[tuple[str, str | None]] = []
    async with sites(tmp_path / "sites", authorities) as found:
        config = replace(ANY_PORT, origins=OriginSettings(allow=frozenset(found.all)))
        async with running_agent(tmp_path / "agent", config=config) as agent:
            home = tmp_path / "firefox"
            profile = firefox.make_profile(home, "new")
            for authority in (authorities.portal.authority, agent.daemon.identity.ca):
                trust_in(profile, authority)
            there = {"plainPort": agent.daemon.native_port, "tlsPorts": [agent.daemon.tls_port, *CLOSED]}
            absent = {"plainPort": CLOSED[0], "tlsPorts": [CLOSED[1]]}
            # Undecided first: the profile keeps what was decided.
            for decided, asked in (({}, [there, absent]), ({FIREFOX_DECIDED: ALLOWED}, [there])):
                preferences = firefox_guards(found.portal) | decided
                answers = await asyncio.to_thread(in_firefox, home, profile, found.portal, preferences, asked)
                told += [(answer["id"], answer.get("reason")) for answer in answers]
    assert told == [("agent.blocked", "question"), ("agent.not_running", None), ("connected", None)]


FIREFOX_DECIDED = "permissions.default.loopback-network"


def firefox_guards(origin: str) -> dict[str, str | int | bool]:
    """Preferences that guard this device from `origin` as from a site of the Internet."""
    site = urlsplit(origin)
    return {
        "network.dns.localDomains": str(site.hostname),
        "network.lna.enabled": True,
        "network.lna.blocking": True,
        "network.lna.address_space.public.override": f"127.0.0.1:{site.port}",
    }


def in_firefox(
    home: Path,
    profile: Path,
    page: str,
    preferences: dict[str, str | int | bool],
    asked: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What agent.js says in Firefox, for each of the options."""
    with firefox.firefox(home, profile, preferences) as browser:
        browser.get(page)
        call = f"({CONNECT})(arguments[0]).then(arguments[1])"
        return [
            browser.execute_async_script(call, options | {"permissionTimeout": 3000}) for options in asked
        ]
