"""The stage with its person at the keyboard, and pages as a browser would open them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from agent.config import Config, HipkiSettings, NhiComponentSettings, PortSettings, ServiSignSettings
from agent.demo.page import Addresses, Page
from agent.demo.person import Person
from agent.demo.report import Report
from agent.demo.stage import HPC, Place, Stage, raised

ANY_PORT = Config(
    ports=PortSettings(native=0),
    servisign=ServiSignSettings(ports=(0,)),
    hipki=HipkiSettings(port=0),
    nhi_component=NhiComponentSettings(enabled=True, ports=(0,)),
)
"""Whatever ports are free, so that nothing of this user's own agent is in the way."""


class Theatre:
    """What the scenes are played with.

    Args:
        stage: what is up.
        person: who is asked.
        trusted: PEM certificates of the agent's and the portal's authorities.

    Attributes:
        person: who is asked.
        servisign: where ServiSign answers, as `https://localhost:PORT`.
        hipki: where HiPKI's page is, as `http://localhost:PORT`.
        nhi_component: the WebSocket of the NHI component.
    """

    def __init__(self, stage: Stage, person: Person, trusted: str) -> None:
        self.person = person
        self._stage = stage
        self._trusted = trusted
        self.servisign = f"https://localhost:{stage.daemon.tls_port}"
        self.hipki = f"http://localhost:{stage.daemon.hipki_port}"
        self.nhi_component = f"wss://localhost:{next(iter(stage.daemon.nhi_ports), 0)}/echo"
        self._addresses = Addresses(stage.origin, self.servisign)

    def page(self, origin: str = "") -> Page:
        """A page of the portal, or of the stranger `origin`."""
        return Page(self._addresses, self._trusted, origin=origin)

    def pull(self) -> None:
        """Pull the personnel card."""
        self._stage.readers[HPC].remove()

    def put_back(self) -> None:
        """Put the personnel card back; it is the same card, with its PIN tries as they were."""
        self._stage.readers[HPC].insert(self._stage.cards[HPC])


@asynccontextmanager
async def opened(folder: Path, report: Report) -> AsyncIterator[Theatre]:
    """Put everything up as the first step, all of it in `folder` and on free ports."""
    from agent import tls

    async with AsyncExitStack() as stack:
        with report.step(
            "準備模擬卡、元件與示範網站", "Simulated cards, agent and portal are put up"
        ) as step:
            # The portal is another site than the agent: its certificate comes from an authority of its own.
            identity = await asyncio.to_thread(tls.ensure, folder / "portal")
            person = Person()
            place = Place(tls=identity.context())
            stage = await stack.enter_async_context(raised(person, ANY_PORT, folder / "agent", place))
            person.trusts = stage.origin
            step.note(f"{stage.origin} · wss://localhost:{stage.daemon.tls_port}")
        trusted = identity.ca.read_text() + stage.daemon.identity.ca.read_text()
        yield Theatre(stage, person, trusted)
