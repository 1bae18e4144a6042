"""The self-test for pages: the same rows as on the command line, run by the daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.errors import AgentError, ErrorId
from agent.selftest.model import Bilingual, Group, ResultRow, Variant
from agent.vocabulary import Verb

if TYPE_CHECKING:
    from agent.access.consents import Consents
    from agent.config import Config
    from agent.operations import Caller, Operations
    from agent.selftest.context import Computer, ProbeContext


@dataclass(frozen=True, slots=True)
class SelfTestRequest:
    """What is to be tested.

    Attributes:
        reader: None where there is one card, or the person is to choose.
        with_pin: whether the rows that need a PIN are wanted; the person types it in the agent's own window.
    """

    variant: Variant = Variant.ORDINARY
    reader: str | None = None
    with_pin: bool = True


class SelfTests:
    """Runs self-tests, one at a time: two would ask for the same card.

    Args:
        operations: all card work goes through these.
        consents: who may do what.
        computer: this computer.
    """

    def __init__(self, operations: Operations, consents: Consents, computer: Computer) -> None:
        self._operations = operations
        self._consents = consents
        self._computer = computer
        self._running = False

    @asynccontextmanager
    async def begin(
        self, caller: Caller, wanted: SelfTestRequest
    ) -> AsyncIterator[tuple[ProbeContext, AsyncIterator[ResultRow]]]:
        """Begin a run; the body gets its context, and its rows as they finish.

        A page must be allowed all that the rows do with the card; the person is asked once for all of it.

        Raises:
            AgentError: busy, or what `Consents.require` says of this page.
        """
        from agent.selftest.context import ProbeContext
        from agent.selftest.probe_list import plan
        from agent.selftest.runner import run

        if self._running:
            raise AgentError(ErrorId.BUSY)
        self._running = True
        try:
            more = (Verb.SIGN, Verb.DECRYPT) if wanted.with_pin else ()
            await self._consents.require(caller.origin, Verb.READ, *more)
            context = ProbeContext(
                self._operations, caller, self._computer, reader=wanted.reader, with_pin=wanted.with_pin
            )
            async with aclosing(run(plan(wanted.variant, self._computer.config), context)) as rows:
                yield context, rows
        finally:
            self._running = False

    async def confirm_unmasked(self, origin: str | None) -> None:
        """Return once the person has said yes, this one time, to showing a page all personal data.

        Raises:
            AgentError: as `Consents.confirm`.
        """
        await self._consents.confirm(origin, Verb.READ)


def for_site(row: ResultRow) -> ResultRow:
    """Return a row as a web site may see it: masked, and without what is about this computer alone."""
    if row.group is not Group.HOST:
        return row.mask()
    return replace(row, detail=Bilingual(""), masked=Bilingual(""))


def settled(config: Config, native_port: int, tls_port: int, hipki_port: int | None) -> Config:
    """Return the configuration with the ports that were taken where it said "any"."""
    servisign, hipki = config.servisign, config.hipki
    return replace(
        config,
        ports=replace(config.ports, native=config.ports.native or native_port),
        servisign=replace(servisign, ports=tuple(port or tls_port for port in servisign.ports)),
        hipki=replace(hipki, port=hipki.port or hipki_port or 0),
    )
