"""The demo's stage: simulated cards in virtual readers, a running agent, and the portal on its own origin."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import Config
from agent.demo.cards import CardTray, create
from agent.demo.login import Trust
from agent.demo.portal import AgentAddress, Portal
from agent.interaction import Interaction
from agent.paths import Paths

if TYPE_CHECKING:
    from agent.daemon import Daemon
    from hca_card.simulator import SimulatedCard, SimulatorCa
    from pcsc.virtual import VirtualReader

HPC = "Virtual Demo Reader 1"
HOP = "Virtual Demo Reader 2"
NHI = "Virtual Demo Reader 3"
CITIZEN = "Virtual Demo Reader 4"
CARDS = {HPC: "hpc", HOP: "hop", NHI: "nhi", CITIZEN: "citizen"}


@dataclass(frozen=True, slots=True)
class Stage:
    """What is up.

    Attributes:
        readers: the virtual readers, by name.
        cards: the simulated cards, by the name of the reader they are in, as far as the portal's pages put
            them there.
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
class Place:
    """Where the portal is put.

    Attributes:
        host: the host name in its origin; it listens on 127.0.0.1 whatever the name.
        port: 0 is any free port.
        tls: None for plain http, which browsers treat as secure on localhost alone.
    """

    host: str = "localhost"
    port: int = 0
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def raised(
    interaction: Interaction,
    config: Config,
    home: Path,
    place: Place,
    cards: Mapping[str, str] = CARDS,
) -> AsyncIterator[Stage]:
    """Put everything up, and take it down again.

    Args:
        interaction: how the agent asks the person.
        config: the agent's configuration; port 0 is any free port.
        home: the agent's folder, and the simulator's beside it.
        place: where the portal is put.
        cards: kinds of simulated cards by the name of the reader they are in; "" for an empty reader.

    Raises:
        AgentError: `port.taken`: one of the agent's ports is held by another program.
        OSError: the portal's port is held by another program.
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
    held = {name: create(kind, authority) for name, kind in cards.items() if kind}
    for name, card in held.items():
        readers[name].insert(card)
    # Made before the agent looks, so that nobody is told to trust an authority that ends with the demo.
    for scope in tls.SCOPES:
        await asyncio.to_thread(tls.ensure, paths.tls, scope)
    async with AsyncExitStack() as stack:
        daemon = Daemon(config, Service(winscard), interaction, paths, simulated=True)
        await stack.enter_async_context(daemon)
        agent = AgentAddress(
            daemon.native_port, (daemon.tls_port,), daemon.hipki_port or 0, next(iter(daemon.nhi_ports), 0)
        )
        trust = Trust(authority.roots, authority.intermediates, (authority.crl(),))
        tray = CardTray(readers, held, authority)
        origin = await stack.enter_async_context(portal(place, trust, agent, tray))
        yield Stage(readers, held, daemon, origin, authority, tray)


@asynccontextmanager
async def portal(
    place: Place, trust: Trust, agent: AgentAddress, tray: CardTray | None = None
) -> AsyncIterator[str]:
    """The portal alone, listening; its origin. With a tray, its pages can change the simulated cards.

    Raises:
        OSError: its port is held by another program.
    """
    from aiohttp import web

    listener = socket.create_server(("127.0.0.1", place.port))
    port = listener.getsockname()[1]
    origin = f"{'https' if place.tls else 'http'}://{place.host}:{port}"
    runner = web.AppRunner(Portal(origin, trust, agent=agent, tray=tray).application(), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=place.tls).start()
        yield origin
    finally:
        await runner.cleanup()
        listener.close()
