"""A program whose files were replaced while it runs, as by an upgrade of its package: it begins anew.

The system keeps what runs as it was, but whatever is loaded late would come from the new version's files.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.daemon import Companion, Daemon

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 30.0
"""Between looks; an upgrade is taken for finished when one of them finds nothing new."""


async def _pause() -> None:
    await asyncio.sleep(PAUSE_SECONDS)


def own_file() -> Path | None:
    """Return the file that an upgrade replaces while this runs; None where it is no package's.

    Windows keeps the files of what runs: its installers end the agent and start the new one.
    """
    return Path(sys.executable) if getattr(sys, "frozen", False) and sys.platform != "win32" else None


@dataclass(slots=True)
class ReplacedProgram:
    """Ends the daemon, at a moment when nothing is under way, once its file has been replaced.

    Attributes:
        file: the program; None watches nothing.
        pause: waits until the next look.
        again: whether the new program is to be started.
    """

    file: Path | None
    pause: Callable[[], Awaitable[None]] = _pause
    again: bool = False

    def beside(self, other: Companion | None) -> Companion:
        """Return what looks beside the daemon, together with `other`."""

        @asynccontextmanager
        async def both(daemon: Daemon, end: Callable[[], None]) -> AsyncIterator[None]:
            more: AbstractAsyncContextManager[object] = other(daemon, end) if other else nullcontext()
            looking = asyncio.create_task(self._look(daemon, end))
            try:
                async with more:
                    yield
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

        return both

    async def _look(self, daemon: Daemon, end: Callable[[], None]) -> None:
        if self.file is None:
            return
        first = last = _stamp(self.file)
        while True:
            await self.pause()
            now = _stamp(self.file)  # no thread: where programs are installed, this takes microseconds
            if now is not None and now != first and now == last and not daemon.operations.busy:
                log.info("the program was replaced, and begins anew")
                self.again = True
                end()
                return
            last = now


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None  # an upgrade is under way, or the program was removed
    return status.st_ino, status.st_mtime_ns, status.st_size
