"""Pages of NHI cards in a real Chromium: the hosts entry, the second certificate, and the usual flow."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from agent import tls
from agent.config import OriginSettings
from tests.agent.tls.test_tls import under
from tests.support.agent import RunningAgent
from tests.support.chromium import chromium, make_home, trust
from tests.support.nhi_component import BASIC, NAME, TURNED_ON, component_agent
from tests.support.portal_tls import PortalTls
from tests.support.trust import type_trust

pytestmark = pytest.mark.slow

HOST = "portal.example.test"

# As pages of NHI cards go about it: NHI's newer component first, at ports that are closed here; then one
# command at a time, and a form post with what came.
NEWER = ("http://localhost:59001/api/", "https://localhost:59002/api/")
FLOW = """async ([host, port, newer]) => {
    for (const address of newer) {
        const answered = await fetch(address, { method: "POST", body: "{}" }).then(() => true, () => false);
        if (answered) return [`${address} answers`];
    }
    const socket = new WebSocket(`wss://${host}:${port}/echo`);
    const opened = await new Promise((resolve) => {
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
    });
    if (!opened) return ["no connection"];
    const ask = (frame) => new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(data);
        socket.send(frame);
    });
    const told = [await ask("GetBasic"), await ask("GetVersion"), await ask("GetRandom")];
    const [version, random] = told.slice(1).map((each) => each.split(":")[1]);
    told.push(await ask(`H_Sign?Random=${version}${random}`));
    const closed = new Promise((resolve) => { socket.onclose = () => resolve("closed"); });
    socket.send("Exit");
    return [...told, await closed];
}"""


@dataclass(frozen=True)
class Desk:
    """An agent with the dialect turned on, a home for browsers, and a portal of the Internet."""

    agent: RunningAgent
    home: Path
    portal: str

    async def trust(self, order: str) -> None:
        done = await type_trust(order, self.home, self.agent.paths.home)
        assert done.returncode == 0, done.stdout + done.stderr

    async def flow(self, *hosts: str) -> list[list[str]]:
        """What a page of the portal is answered at each host."""
        async with chromium(self.home, sites=[self.portal], hosts=[NAME]) as window:
            page = window.pages[0]
            session = await window.new_cdp_session(page)
            for name in ("loopback-network", "local-network-access"):
                wanted = {"permission": {"name": name}, "setting": "granted", "origin": self.portal}
                await session.send("Browser.setPermission", wanted)
            await page.goto(self.portal)
            [port] = self.agent.daemon.nhi_ports
            return [await page.evaluate(FLOW, [host, port, NEWER]) for host in hosts]


async def _page(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>A portal</title>", content_type="text/html")


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A site of this machine over TLS; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    application = web.Application()
    application.router.add_get("/", _page)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context).start()
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    identity = PortalTls(folder / "portal", HOST)
    home = make_home(folder / "browser", [identity.authority])
    async with serving(identity.context()) as port:
        portal = f"https://{HOST}:{port}"
        config = replace(TURNED_ON, origins=OriginSettings(allow=frozenset((portal,))))
        async with component_agent(folder / "agent", ("hpc", "nhi"), config=config) as agent:
            agent.paths.policy.write_text("[nhi_component]\nenabled = true\n")
            yield Desk(agent, home, portal)


async def test_a_page_of_the_internet_reads_the_card_once_the_certificates_are_trusted(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        assert await at.flow(NAME, "localhost") == [["no connection"]] * 2
        await at.trust("install")
        for told in await at.flow(NAME, "localhost"):
            assert told[:2] == [BASIC, "GetVersion:0001"]
            assert re.fullmatch(r"GetRandom:\d{16}", told[2])
            assert told[3:] == ["8008", "closed"]
        await at.trust("remove")
        assert NAME not in names_in(at.home / ".pki" / "nssdb")


def names_in(database: Path) -> str:
    command = ["certutil", "-L", "-d", f"sql:{database}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


STOLEN = (
    (tls.LOOPBACK, "localhost", True),
    (tls.LOOPBACK, NAME, False),
    (tls.NHI_COMPONENT, NAME, True),
    (tls.NHI_COMPONENT, "localhost", False),
    (tls.NHI_COMPONENT, "127.0.0.1", False),
    (tls.NHI_COMPONENT, "bank.example", False),
)
"""Whose authority, for which name its key were used, and whether a browser may take it."""


async def test_chromium_obeys_the_constraints_of_each_authority_even_if_its_key_were_stolen(
    tmp_path: Path,
) -> None:
    home = make_home(tmp_path / "browser")
    async with AsyncExitStack() as stack:
        addresses = {}
        for number, (scope, host, reached) in enumerate(STOLEN):
            name = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            authority, stolen = under(tmp_path / str(number), scope, name)
            trust(home, authority)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(stolen, stolen.with_name("stolen.key"))
            port = await stack.enter_async_context(serving(context))
            addresses[f"https://{host}:{port}/"] = reached
        window = await stack.enter_async_context(chromium(home, hosts=[NAME, "bank.example"]))
        # A page of its own for each: one may still be showing why it refused the last.
        found = {address: await reaches(await window.new_page(), address) for address in addresses}
        assert found == addresses


async def reaches(page: Page, address: str) -> bool:
    """Whether a page opens; that it does not must be the certificate's fault."""
    try:
        answer = await page.goto(address)
    except PlaywrightError as error:
        assert "ERR_CERT_" in error.message
        return False
    return answer is not None and answer.ok
