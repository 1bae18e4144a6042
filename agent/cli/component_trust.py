"""The NHI component's certificate in trust stores: there while the dialect is on, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.paths import Paths
    from agent.trust import OwnAuthorities, StoreReport, TrustStore
    from agent.trust.work import Announce


class Stores(Protocol):
    """The stores of this user."""

    def __call__(self, *, governed: bool = True) -> Sequence[TrustStore]:
        """All of them; not those a policy rules without `governed`."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """What became of the second certificate.

    Attributes:
        wanted: whether the administrator has turned the dialect on.
        rows: none where it was never made.
    """

    known: OwnAuthorities
    wanted: bool
    rows: Sequence[StoreReport] = ()

    @property
    def told(self) -> bool:
        """Whether there is anything to tell of it."""
        return self.wanted or any(row.changed or not row.clean for row in self.rows)

    @property
    def good(self) -> bool:
        """Whether every browser accepts it as long as it is wanted, and none has it otherwise."""
        if self.wanted:
            return all(row.accepted for row in self.rows if row.store.browsers)
        return all(row.clean for row in self.rows)


def install(stores: Stores, announce: Announce) -> Part:
    """Have it trusted where the dialect is on, and take it out where it was turned off."""
    from agent import tls
    from agent import trust as work

    paths, wanted = _settings()
    if wanted:
        tls.shown(paths.tls, paths.machine_tls, tls.NHI_COMPONENT)
        known = _known(paths)
        return Part(known, wanted, work.install(stores(), known, announce))
    known = _known(paths)
    if known.current is None:
        return Part(known, wanted)
    return Part(known, wanted, work.remove(stores(governed=False), known, announce))


def remove(stores: Stores, announce: Announce) -> Part:
    """Take it out, also where nothing is known of it any more."""
    from agent import trust as work

    paths, wanted = _settings()
    known = _known(paths)
    return Part(known, wanted, work.remove(stores(governed=False), known, announce))


def status(stores: Stores) -> Part:
    """Where it is."""
    from agent import trust as work

    paths, wanted = _settings()
    known = _known(paths)
    if not wanted and known.current is None:
        return Part(known, wanted)
    return Part(known, wanted, work.status(stores(), known))


def _settings() -> tuple[Paths, bool]:
    from agent.cli.setup import folder

    paths, config = folder()
    return paths, config.nhi_component.enabled


def _known(paths: Paths) -> OwnAuthorities:
    from agent import tls
    from agent import trust as work

    scope = tls.NHI_COMPONENT
    return work.own_authorities(tls.in_use(paths.tls, paths.machine_tls, scope), scope)
