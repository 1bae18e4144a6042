"""The ports of the NHI component: taken where they are free, and the certificate that each name is shown."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from agent import tls
from agent.dialects.nhi_component.vendor import answers_as_component
from agent.errors import AgentError
from agent.server.ports import PortConflict, TakenPort, listen


def take(ports: Iterable[int]) -> tuple[list[TakenPort], list[PortConflict]]:
    """Each of `ports` that is free, and who holds the others; blocking, a few seconds at most.

    This program does more than this dialect, so a port that is not to be had is told and nothing ends.
    """
    taken: list[TakenPort] = []
    conflicts: list[PortConflict] = []
    for port in ports:
        try:
            taken.append(listen([port], answers_as_component))
        except AgentError as refused:
            held = refused.facts["conflicts"]
            conflicts.extend(held if isinstance(held, tuple) else ())
    return taken, conflicts


def by_name(usual: ssl.SSLContext, component: ssl.SSLContext) -> ssl.SSLContext:
    """A server context that shows the component's certificate to whoever asks for its name (RFC 6066 §3).

    Args:
        usual: what everybody else is shown; both may be given other certificates later on.
        component: for `agent.tls.NHI_COMPONENT`.
    """

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = component if name == tls.NHI_COMPONENT.host else usual

    context = tls.server_context()
    context.sni_callback = choose
    return context
