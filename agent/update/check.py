"""One look at the repository, and the daemon's habit of looking."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import structs

from agent import __version__
from agent.errors import AgentError, ErrorId, describe, error_id
from agent.threads import OneThread
from agent.update import state as states
from agent.update.release import Release, is_newer
from agent.update.repository import LOOK_SECONDS, Repository, open_repository
from agent.update.state import LastCheck
from agent.vocabulary import Errand

if TYPE_CHECKING:
    from agent.config import UpdateSettings
    from agent.paths import Paths

log = logging.getLogger(__name__)

_FIRST_SECONDS: Final = (120.0, 600.0)
"""After the start, so that a hall full of computers does not ask at once."""

_REFUSALS: Final = (ErrorId.UPDATE_REFUSED, ErrorId.UPDATE_EXPIRED, ErrorId.UPDATE_ROLLED_BACK)
"""What a false, old or mixed repository looks like; a server that is away for a day is nobody's trouble."""

Tell = Callable[..., Awaitable[None]]
"""Tells the person something, Traditional Chinese and English."""


def look(settings: UpdateSettings, paths: Paths) -> tuple[Repository, Release]:
    """Ask the repository now, and keep what it said; blocks.

    Raises:
        AgentError: the ids of `agent.update.repository`.
        OSError: the agent's folder cannot be written.
    """
    before = states.read(paths.update) or LastCheck(checked=states.now())
    try:
        repository = open_repository(settings, paths, since=before.good)
        offered = repository.release()
    except AgentError as error:
        if (found := error_id(error)) is not ErrorId.UPDATE_OFF:
            kept = structs.replace(before, checked=states.now(), version="", error=found)
            states.write(paths.update, kept)
        raise
    at = states.now()
    good = max(at, before.good or at)  # the clock was set back; what was seen once stays seen
    kept = LastCheck(checked=at, version=offered.version, notified=before.notified, good=good)
    states.write(paths.update, kept)
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
        # A thread that no end of the program waits for, however slowly a server speaks.
        self._thread = OneThread("update", lambda: None)

    async def run(self) -> None:
        """Look until cancelled."""
        if not self._settings.enabled:
            return
        pause = self.pause()
        try:
            while True:
                await asyncio.sleep(pause)
                await self.attempt()
                # Also where what was found cannot be kept: the server is never asked more often than was set.
                pause = max(self.pause(), self._settings.hours * 3600.0)
        finally:
            self._thread.close()

    async def attempt(self) -> None:
        """Look once and go on whatever happens; the person is told once of a repository that is refused."""
        try:
            await self.once()
        except AgentError as error:
            log.warning("the update check failed: %s", error)
            if error_id(error) in _REFUSALS:
                await self._warn(error)
        except OSError as error:
            log.warning("the update check failed: %s", error.strerror)
        except Exception:
            # Whatever the repository sent: the next look may find it mended.
            log.exception("the update check failed")

    async def _warn(self, error: AgentError) -> None:
        last = states.read(self._paths.update)
        if last is None or last.warned:
            return
        try:
            await asyncio.to_thread(states.write, self._paths.update, structs.replace(last, warned=True))
        except OSError as failure:
            log.warning("what the person was told of cannot be kept: %s", failure.strerror)
            return
        words = describe(error)
        await self._tell(f"更新檢查：{words.zh}{words.next_zh}", f"Update check: {words.en} {words.next_en}")

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
        _, offered = await self._thread.submit(
            lambda _given_up: look(self._settings, self._paths), 2 * LOOK_SECONDS
        )
        if not is_newer(offered, self._running):
            return
        last = states.read(self._paths.update)
        if last is None or last.notified == offered.version:
            return
        kept = structs.replace(last, notified=offered.version)
        await asyncio.to_thread(states.write, self._paths.update, kept)
        await self._tell(
            f"HCA Card Agent 有新版 {offered.version}（現在是 {self._running}）。請洽資訊人員，或下載它。",
            f"HCA Card Agent {offered.version} is there (this is {self._running})."
            " Ask your IT staff, or download it.",
            Errand.UPDATE,
        )
