"""Having all browsers of this user accept the agent's certificates, as far as each is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent import tls
from agent.errors import AgentError, ErrorId
from agent.trust.authority import OwnAuthorities, own_authorities
from agent.trust.installation import StoreReport
from agent.trust.installation import install as install_in
from agent.trust.machine import Machine
from agent.trust.store import SystemPrompt, TrustStore
from agent.trust.stores import stores_of

if TYPE_CHECKING:
    from agent.config import Config
    from agent.paths import Paths

Announce = Callable[[SystemPrompt], None]


def wanted(config: Config) -> tuple[tuple[tls.Scope, bool], ...]:
    """Return for each of our certificates whether browsers are to accept it.

    Raises:
        AgentError: trust.not_yours, if this user is at home in somebody else's place.
    """
    machine = Machine.this()
    if not machine.owns(machine.home):  # sudo may keep the home folder of whoever called it
        raise AgentError(ErrorId.TRUST_NOT_YOURS, detail=str(machine.home))
    return (tls.LOOPBACK, True), (tls.NHI_COMPONENT, config.nhi_component.enabled)


def own(paths: Paths, scope: tls.Scope) -> OwnAuthorities:
    """Return what is known of one of our certificates."""
    return own_authorities(tls.in_use(paths.tls, paths.machine_tls, scope), scope)


def install_one(
    paths: Paths, scope: tls.Scope, stores: Sequence[TrustStore], announce: Announce
) -> tuple[OwnAuthorities, tuple[StoreReport, ...]]:
    """Have a certificate trusted, made for this user where the machine has none."""
    tls.shown(paths.tls, paths.machine_tls, scope)
    known = own(paths, scope)
    return known, tuple(install_in(stores, known, announce))


def install(paths: Paths, config: Config, announce: Announce) -> tuple[StoreReport, ...]:
    """Have all those that are wanted trusted; blocks.

    Raises:
        AgentError: as `wanted`.
    """
    return tuple(
        row
        for scope, is_wanted in wanted(config)
        if is_wanted
        for row in install_one(paths, scope, stores_of(Machine.this()), announce)[1]
    )
