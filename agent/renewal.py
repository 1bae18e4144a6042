"""The identity that the server shows, looked after for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent import tls

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 600.0
"""Between looks. A computer that wakes from a long sleep, or whose root renewed, is late by this at most."""

SLACK: Final = timedelta(hours=1)
"""How far the clock may go ahead of what has passed before it is taken for a jump."""


def _passed() -> float:
    """Return seconds that only grow, those of a sleeping computer included where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """The clock, which no jump ahead moves: a wrong date that comes while this runs renews nothing.

    Args:
        clock: aware UTC.
        passed: seconds that only grow.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        passed: Callable[[], float] = _passed,
    ) -> None:
        self._clock = clock
        self._passed = passed
        self._began = clock(), passed()

    def __call__(self) -> datetime:
        """Return the time, at most a little after what has passed since the beginning."""
        began, at = self._began
        return min(self._clock(), began + timedelta(seconds=self._passed() - at) + SLACK)


class Renewal:
    """An identity and the TLS context that shows it, renewed together.

    Args:
        folder: where this user's identity lies.
        changed: called when the server shows another certificate from now on.
        machines: where the machine's lies, which is shown where there is one; root renews that.
        scope: for which names.
        clock: aware UTC; the next start looks at the date anew.

    Attributes:
        identity: the one that is shown.
        context: for the server; stays the same object.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        changed: Callable[[tls.TlsIdentity], None],
        *,
        machines: Path | None = None,
        scope: tls.Scope = tls.LOOPBACK,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._machines = machines
        self._scope = scope
        self._clock = clock or SteadyClock()
        self.identity = tls.shown(folder, machines, scope, now=self._clock())
        self.context = self.identity.context()
        self._shown = self.identity.leaf.read_bytes()

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.look()
            except OSError as error:
                log.warning("the certificate could not be renewed: %s", error.strerror)

    async def look(self) -> None:
        """Renew when it is time; take over what another process of this user, or root, renewed.

        Raises:
            OSError: the folder cannot be written.
        """
        now = self._clock()
        identity = await asyncio.to_thread(tls.shown, self._folder, self._machines, self._scope, now=now)
        leaf = identity.leaf.read_bytes()
        if leaf == self._shown:
            return
        identity.load_into(self.context)
        self.identity, self._shown = identity, leaf
        log.info("a new certificate is shown, good until %s", identity.not_after.date())
        self._changed(identity)
