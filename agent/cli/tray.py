"""The tray as `run` puts it beside its daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config import Config
    from agent.daemon import Daemon
    from agent.interaction import Interaction
    from agent.paths import Paths


@dataclass(slots=True)
class Tray:
    """The tray of one run of the daemon.

    Attributes:
        again: the person chose to begin anew.
    """

    paths: Paths
    config: Config
    interaction: Interaction
    simulated: bool
    again: bool = False

    @asynccontextmanager
    async def beside(self, daemon: Daemon, end: Callable[[], None]) -> AsyncIterator[None]:
        """Run the body with a tray process beside it."""
        from agent.audit import AuditLog
        from agent.desktop import own_command
        from agent.interaction.dialogs import Dialogs
        from agent.tray.host import TrayHost
        from agent.tray.tray_process import TrayProcess

        def ended(again: bool) -> None:
            self.again = again
            end()

        host = TrayHost(
            daemon=daemon,
            interaction=self.interaction,
            windows=Dialogs(self.config.consent, simulated=self.simulated),
            config=self.config,
            audit=AuditLog(self.paths.audit, self.config.audit),
            folder=self.paths.home,
            end=ended,
            trusted=self._trusted,
            simulated=self.simulated,
        )
        async with (
            TrayProcess(own_command("tray"), host.state, host.choose) as link,
            host.follow(link.changed),
        ):
            yield

    def _trusted(self) -> bool | None:
        """Return whether some browser of this user accepts the certificate; None where none can be read."""
        from agent import tls, trust

        ours = trust.own_authorities(tls.in_use(self.paths.tls, self.paths.machine_tls))
        rows = trust.status(trust.stores_of(trust.Machine.this()), ours)
        known = [row for row in rows if row.store.browsers and row.state is not trust.TrustState.UNKNOWN]
        return any(row.accepted for row in known) if known else None
