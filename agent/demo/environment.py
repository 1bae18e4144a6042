"""What the demo runs on: simulated cards in virtual readers, an agent, and the portal on its own origin."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config import Config
from agent.demo.login_forms import TrustedIssuers
from agent.demo.portal import AgentAddress, DemoPortal
from agent.demo.simulated_cards import CardTray, create
from agent.interaction import Interaction
from agent.paths import Paths

if TYPE_CHECKING:
    from agent.daemon import Daemon
    from hca_card.simulator import SimulatedCard, SimulatorCa
    from pcsc.virtual import VirtualReader

HPC: Final = "Virtual Demo Reader 1"
HOP: Final = "Virtual Demo Reader 2"
NHI: Final = "Virtual Demo Reader 3"
CITIZEN: Final = "Virtual Demo Reader 4"
CARDS: Final = {HPC: "hpc", HOP: "hop", NHI: "nhi", CITIZEN: "citizen"}


@dataclass(frozen=True, slots=True)
class DemoEnvironment:
    """What is running.

    Attributes:
        readers: the virtual readers, by name.
        cards: the simulated cards, by the name of the reader that the portal's pages put them into.
        daemon: the agent.
        origin: the portal's origin.
        authority: whose certificates the portal believes.
        tray: changes the cards.
    """

    readers: Mapping[str, VirtualReader]
    cards: Mapping[str, SimulatedCard]
    daemon: Daemon
    origin: str
    authority: SimulatorCa
    tray: CardTray


@dataclass(frozen=True, slots=True)
class PortalAddress:
    """Where the portal listens.

    Attributes:
        host: the host name in its origin; it listens on 127.0.0.1 whatever the name.
        port: 0 is any free port.
        tls: None for plain http, which browsers treat as secure on localhost alone.
    """

    host: str = "localhost"
    port: int = 0
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def demo_environment(
    interaction: Interaction,
    config: Config,
    home: Path,
    address: PortalAddress,
    cards: Mapping[str, str] = CARDS,
) -> AsyncIterator[DemoEnvironment]:
    """Run the body with everything started, and stop it again.

    Args:
        interaction: how the agent asks the person.
        config: the agent's configuration; port 0 is any free port.
        home: the agent's folder, and the simulator's beside it.
        address: where the portal listens.
        cards: kinds of simulated cards by the name of the reader they are in; "" for an empty reader.

    Raises:
        AgentError: `port.taken` if another program holds one of the agent's ports.
        OSError: if another program holds the portal's port.
    """
    from agent import tls
    from agent.daemon import Daemon
    from hca_card.simulator import SimulatorCa
    from pcsc.service import Service
    from pcsc.virtual import VirtualWinscard

    paths = Paths(home, home).make()
    authority = SimulatorCa(paths.simulator)
    winscard = VirtualWinscard()
    readers = {name: winscard.add_reader(name) for name in cards}
    in_readers = {name: create(kind, authority) for name, kind in cards.items() if kind}
    for name, card in in_readers.items():
        readers[name].insert(card)
    # The authority is made before the agent looks: nobody is asked to trust one that ends with the demo.
    for scope in tls.SCOPES:
        await asyncio.to_thread(tls.ensure, paths.tls, scope)
    async with AsyncExitStack() as stack:
        daemon = Daemon(config, Service(winscard), interaction, paths, simulated=True)
        await stack.enter_async_context(daemon)
        agent = AgentAddress(
            daemon.native_port, (daemon.tls_port,), daemon.hipki_port or 0, next(iter(daemon.nhi_ports), 0)
        )
        trusted = TrustedIssuers(authority.roots, authority.intermediates, (authority.crl(),))
        tray = CardTray(readers, in_readers, authority)
        origin = await stack.enter_async_context(serve_portal(address, trusted, agent, tray))
        yield DemoEnvironment(readers, in_readers, daemon, origin, authority, tray)


@asynccontextmanager
async def serve_portal(
    address: PortalAddress, trusted: TrustedIssuers, agent: AgentAddress, tray: CardTray | None = None
) -> AsyncIterator[str]:
    """Run the body with the portal alone listening, given its origin.

    Raises:
        OSError: if another program holds its port.
    """
    from aiohttp import web

    listener = socket.create_server(("127.0.0.1", address.port))
    origin = f"{'https' if address.tls else 'http'}://{address.host}:{listener.getsockname()[1]}"
    application = DemoPortal(origin, trusted, agent=agent, tray=tray).application()
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=address.tls).start()
        yield origin
    finally:
        await runner.cleanup()
        listener.close()
