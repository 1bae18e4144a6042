"""The demo portal on an origin of its own, the agent, simulated cards, and a real Chromium before them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from agent import tls
from agent.config import Config
from agent.demo.environment import PortalAddress, demo_environment
from agent.demo.scripted_person import ScriptedPerson
from agent.demo.steps import ANY_PORT
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.chromium import SharedChromium, site_ports, why_not
from tests.support.desk import HOST, OTHER_READER, READER, Desk, SetDesk
from tests.support.portal_tls import PortalTls


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        if item.nodeid.startswith("tests/browser/"):
            item.add_marker(pytest.mark.browser)
            if pytest_asyncio.is_async_test(item):
                # One loop for all, to which the browser belongs that they share.
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if reason:
                item.add_marker(pytest.mark.skip(reason))


@dataclass(frozen=True)
class Authorities:
    """What the browser may be told to trust: one of all portals, one of all agents."""

    portal: PortalTls
    agent: Path

    def trusted(self, *, agent: bool = True) -> list[Path]:
        """Those that a browser trusts; with the same ones it is the same browser."""
        return [self.portal.authority, *([self.agent / "ca.pem"] if agent else [])]


CHROMIUM = SharedChromium()


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def shared_chromium() -> AsyncIterator[None]:
    yield
    await CHROMIUM.close()


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    folder = tmp_path_factory.mktemp("authorities")
    return Authorities(PortalTls(folder / "portal", HOST), tls.ensure(folder / "agent").ca.parent)


@pytest.fixture
def set_desk(tmp_path: Path, authorities: Authorities) -> SetDesk:
    simulator_ca()

    @asynccontextmanager
    async def set_desk(
        *kinds: str,
        trusts_agent: bool = True,
        trusts_site: bool = True,
        allows_local: bool = True,
        config: Config = ANY_PORT,
        **options: object,
    ) -> AsyncIterator[Desk]:
        """A desk with cards of these kinds ("" is an empty reader) in its readers.

        `trusts_agent`: the browser trusts the agent's CA; `trusts_site`: the person allows the portal to use
        the card; `allows_local`: the person allowed the portal to reach programs on this device.
        """
        agent_home = tmp_path / "agent"
        shutil.copytree(authorities.agent, agent_home / "tls")
        (agent_home / "simulator").symlink_to(simulator_folder())
        trusted = authorities.trusted(agent=trusts_agent)
        person = ScriptedPerson()
        place = PortalAddress(HOST, site_ports()[0], tls=authorities.portal.context())
        cards = dict(zip((READER, OTHER_READER), kinds, strict=False))
        async with (
            demo_environment(person, config, agent_home, place, cards) as stage,
            CHROMIUM.window(tmp_path / "browser", trusted, **options) as window,
        ):
            person.trusts = stage.origin if trusts_site else ""
            if allows_local:
                await window.grant_permissions(["local-network-access"], origin=stage.origin)
            yield Desk(stage, person, window.pages[0])

    return set_desk
