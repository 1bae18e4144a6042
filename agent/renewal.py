"""The identity that the server shows, looked after for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent import tls

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 600.0
"""Between looks. A computer that wakes from a long sleep, or whose root renewed, is late by this at most."""


class Renewal:
    """An identity and the TLS context that shows it, renewed together.

    Args:
        folder: where this user's identity lies.
        changed: called when the server shows another certificate from now on.
        machines: where the machine's lies, which is shown where there is one; root renews that.
        scope: for which names.

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
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._machines = machines
        self._scope = scope
        self.identity = tls.shown(folder, machines, scope)
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
        identity = await asyncio.to_thread(tls.shown, self._folder, self._machines, self._scope)
        leaf = identity.leaf.read_bytes()
        if leaf == self._shown:
            return
        identity.load_into(self.context)
        self.identity, self._shown = identity, leaf
        log.info("a new certificate is shown, good until %s", identity.not_after.date())
        self._changed(identity)
