"""The identity that the server shows, looked after for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent import tls

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 3600.0
"""Between looks. A computer that wakes from a long sleep is late by this much at most."""


class Renewal:
    """An identity and the TLS context that shows it, renewed together.

    Args:
        folder: where the identity lies.
        changed: told when the server shows another certificate from now on.

    Attributes:
        identity: the one that is shown.
        context: for the server; stays the same object.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, changed: Callable[[tls.Identity], None]) -> None:
        self._folder = folder
        self._changed = changed
        self.identity = tls.ensure(folder)
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
        """Renew when it is time; take over what another process of this user renewed.

        Raises:
            OSError: the folder cannot be written.
        """
        identity = await asyncio.to_thread(tls.ensure, self._folder)
        leaf = identity.leaf.read_bytes()
        if leaf == self._shown:
            return
        identity.load_into(self.context)
        self.identity, self._shown = identity, leaf
        log.info("a new certificate is shown, good until %s", identity.not_after.date())
        self._changed(identity)
