"""One look at the repository, and the daemon's habit of looking."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agent import __version__
from agent.errors import AgentError, error_id
from agent.update import state as states
from agent.update.release import Release, is_newer
from agent.update.repository import Repository, open_repository
from agent.update.state import LastCheck

if TYPE_CHECKING:
    from agent.config import UpdateSettings
    from agent.paths import Paths

log = logging.getLogger(__name__)

_FIRST_SECONDS: Final = (120.0, 600.0)
"""After the start, so that a hall full of computers does not ask at once."""

Tell = Callable[[str, str], Awaitable[None]]
"""Tells the person something, Traditional Chinese and English."""


def look(settings: UpdateSettings, paths: Paths) -> tuple[Repository, Release]:
    """Ask the repository now, and keep what it said; blocks.

    Raises:
        AgentError: the ids of `agent.update.repository`.
        OSError: the agent's folder cannot be written.
    """
    repository = open_repository(settings, paths)
    before = states.read(paths.update)
    notified = before.notified if before is not None else ""
    try:
        offered = repository.release()
    except AgentError as error:
        states.write(paths.update, LastCheck(checked=states.now(), error=error_id(error), notified=notified))
        raise
    states.write(paths.update, LastCheck(checked=states.now(), version=offered.version, notified=notified))
    return repository, offered


class Checks:
    """Looks now and then for as long as it runs, and tells the person once of each newer version.

    Args:
        settings: nothing is done where they say so.
        paths: the agent's folders.
        tell: tells the person.
        running: the version that runs.
    """

    def __init__(
        self, settings: UpdateSettings, paths: Paths, tell: Tell, running: str = __version__
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._tell = tell
        self._running = running

    async def run(self) -> None:
        """Look until cancelled."""
        if not self._settings.enabled:
            return
        while True:
            await asyncio.sleep(self.pause())
            try:
                await self.once()
            except AgentError as error:
                # No notice: a server that is away for a day is nobody's trouble. The self-test says it.
                log.warning("the update check failed: %s", error)
            except OSError as error:
                log.warning("the update check failed: %s", error.strerror)
            except Exception:
                # Whatever the repository sent: the next look may find it mended.
                log.exception("the update check failed")

    def pause(self) -> float:
        """Seconds until the next look: the rest of the time since the last one, and some more."""
        spread = random.uniform(*_FIRST_SECONDS)  # noqa: S311  (nothing secret in when)
        last = states.read(self._paths.update)
        if last is None:
            return spread
        every = timedelta(hours=self._settings.hours)
        # A clock that was set back must not put the next look off by years.
        rest = min(last.checked + every - states.now(), every)
        return max(rest.total_seconds(), 0.0) + spread

    async def once(self) -> None:
        """One look, and a notice to the person where there is something newer.

        Raises:
            AgentError: as `look`.
            OSError: the agent's folder cannot be written.
        """
        _, offered = await asyncio.to_thread(look, self._settings, self._paths)
        if not is_newer(offered, self._running):
            return
        last = states.read(self._paths.update)
        if last is None or last.notified == offered.version:
            return
        kept = LastCheck(checked=last.checked, version=last.version, notified=offered.version)
        await asyncio.to_thread(states.write, self._paths.update, kept)
        await self._tell(
            f"HCA Card Agent 有新版 {offered.version}（現在是 {self._running}）。"
            "請洽資訊人員，或執行 hca-agent update download。",
            f"HCA Card Agent {offered.version} is there (this is {self._running})."
            " Ask your IT staff, or run hca-agent update download.",
        )
