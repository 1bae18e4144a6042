"""The ports of the NHI component: taken where they are free, and the certificate that each name is shown."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from agent import tls
from agent.dialects.nhi_component.vendor_at_port import answers_as_component
from agent.errors import AgentError
from agent.server.ports import PortConflict, TakenPort, listen


def take_ports(ports: Iterable[int]) -> tuple[list[TakenPort], list[PortConflict]]:
    """Take each of `ports` that is free; return them and who holds the others. Blocks a few seconds at most.

    This program does more than this dialect, so a port that cannot be had is reported and nothing ends.
    """
    taken: list[TakenPort] = []
    conflicts: list[PortConflict] = []
    for port in ports:
        try:
            taken.append(listen([port], answers_as_component))
        except AgentError as refused:
            reported = refused.facts["conflicts"]
            conflicts.extend(reported if isinstance(reported, tuple) else ())
    return taken, conflicts


def context_by_name(usual: ssl.SSLContext, component: ssl.SSLContext) -> ssl.SSLContext:
    """Return a server context that shows the component's certificate under its name (RFC 6066 §3).

    Args:
        usual: what everybody else is shown; both may be given other certificates later on.
        component: for `agent.tls.NHI_COMPONENT`.
    """

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = component if name == tls.NHI_COMPONENT.host else usual

    context = tls.server_context()
    context.sni_callback = choose
    return context
