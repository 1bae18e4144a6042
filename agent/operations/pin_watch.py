"""What ends PINs that are kept although no card moved: the person went away, or the administrator says so.

Nothing is done until the first PIN is kept. From then on the desktop is listened to, where it tells of locked
screens and sleep; and as long as a PIN is kept, it is looked every few seconds whether the person went away,
and every ten whether the settings of signing sessions are still those of the start.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from agent.config import ConfigError, SessionSettings, load
from agent.paths import Paths
from agent.pins import screen_lock
from agent.pins.away import LOOK_SECONDS, Away
from agent.vocabulary import SessionEnd

log = logging.getLogger(__name__)

_LOOKS_FOR_SETTINGS: Final = 5


class PinWatch:
    """Watches over kept PINs.

    Args:
        paths: where the settings are.
        any_kept: whether a PIN is kept now.
        forget: wipes all of them.
        apply: is given new settings of signing sessions.
        away: looks whether the person went away.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        any_kept: Callable[[], bool],
        forget: Callable[[SessionEnd], None],
        apply: Callable[[SessionSettings], None],
        away: Away | None = None,
    ) -> None:
        self._paths = paths
        self._any_kept = any_kept
        self._forget = forget
        self._apply = apply
        self._away: Final = away or Away()
        self._kept = asyncio.Event()
        self._heard = asyncio.Event()
        self._settings = _settings(paths)

    def begin(self) -> Awaitable[object]:
        """Watch: a PIN is about to be kept. What is returned is done when whatever ends it is heard.

        Where the person was away since the last look, that ends what was kept then, and not this one later.
        """
        if not self._kept.is_set():
            self._away.begin()
            self._kept.set()
        elif self._away.went():
            self._forget(SessionEnd.LOCKED)
        return self._heard.wait()

    async def run(self) -> None:
        """Watch until cancelled; what cannot be watched over is not kept."""
        try:
            while True:
                try:
                    await self._watch()
                except Exception:
                    log.exception("kept PINs cannot be watched over, and are wiped")
                    self._kept.clear()
                    self._forget(SessionEnd.LOCKED)
                    self._heard.set()  # for whoever waits now
                    self._heard.clear()
        finally:
            self._heard.set()

    async def _watch(self) -> None:
        await self._kept.wait()
        async with screen_lock.watched(partial(self._forget, SessionEnd.LOCKED)):
            self._heard.set()
            while True:
                for look in itertools.count(1):
                    if not self._any_kept():
                        break
                    await asyncio.sleep(LOOK_SECONDS)
                    if self._away.went():
                        self._forget(SessionEnd.LOCKED)
                    if not look % _LOOKS_FOR_SETTINGS:
                        await self.look_at_settings()
                self._kept.clear()
                await self._kept.wait()

    async def look_at_settings(self) -> None:
        """Have new settings of signing sessions hold; those that cannot be read allow none."""
        now = await asyncio.to_thread(_settings, self._paths)
        if now != self._settings:
            log.info("the settings of signing sessions are other ones now")
            self._settings = now
            self._apply(now)


def _settings(paths: Paths) -> SessionSettings:
    try:
        return load(paths).sessions
    except ConfigError as error:
        log.warning("no signing session is possible: %s", error)
        return SessionSettings(enabled=False)
