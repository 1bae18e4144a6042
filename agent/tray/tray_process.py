"""The daemon's side of the tray: start its process, write it the state, read its choices, start it again.

The tray is a convenience: whatever becomes of it, the daemon goes on.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from agent.environment import Child, environment_of
from agent.tray.messages import LINE_MAX, NO_TRAY, Chosen, Opened, TrayState, line, read_from_tray
from hca_card.decoding import UNREADABLE

log = logging.getLogger(__name__)

T = TypeVar("T")

_END_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a tray that fails is started again.

    Attributes:
        pauses: seconds before each new start; after the last one there is no more.
        settled: seconds after which a tray counts as working, and its earlier failures as forgotten.
    """

    pauses: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0)
    settled: float = 600.0


class TrayProcess:
    """One tray process at a time; an async context manager.

    Args:
        command: the words that start it.
        state: what it is to show now, given how many of its menu openings this answers; awaited anew after
            every `changed`.
        choose: does what the person chose; the link does not wait for it.
        patience: with a tray that fails.
    """

    def __init__(
        self,
        command: Sequence[str],
        state: Callable[[int], Awaitable[TrayState]],
        choose: Callable[[Chosen], Awaitable[None]],
        patience: Patience | None = None,
    ) -> None:
        self._command = tuple(command)
        self._state = state
        self._choose = choose
        self._patience = patience or Patience()
        self._news = asyncio.Event()
        self._opened = 0
        self._chores: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._keep_running())
        return self

    async def __aexit__(self, *_details: object) -> None:
        tasks = [task for task in (self._running, *self._chores) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def changed(self) -> None:
        """Note that what the tray shows may be different now."""
        self._news.set()

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        pauses = iter(self._patience.pauses)
        while True:
            began = loop.time()
            try:
                code = await self._run_once()
            except OSError as error:
                log.warning("the tray cannot be started: %s", error)
                return
            if code == NO_TRAY:
                log.info("this desktop shows no tray icons; going on without")
                return
            if loop.time() - began >= self._patience.settled:
                pauses = iter(self._patience.pauses)
            pause = next(pauses, None)
            if pause is None:
                log.error("the tray ended with %d again; going on without it", code)
                return
            log.warning("the tray ended with %d; it is started again in %.0f s", code, pause)
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        """Run the tray until it ends; return its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            limit=LINE_MAX,
            env=environment_of(Child.TRAY),
            # A Ctrl-C at the daemon's terminal is the daemon's: the tray ends when its standard input does.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._news.set()
        self._opened = 0
        telling = asyncio.create_task(self._tell(process))
        try:
            await self._listen(process)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await _end(process)
        return await process.wait()

    async def _tell(self, process: Process) -> None:
        """Write the state whenever it is another one; changes that come close together are written once."""
        stdin = _piped(process.stdin)
        last: TrayState | None = None
        # The tray may have ended; its exit is noticed where it is listened to.
        with suppress(ConnectionError):
            while True:
                await self._news.wait()
                self._news.clear()
                state = await self._state_or_none()
                if state is None or state == last:
                    continue
                stdin.write(line(state))
                await stdin.drain()
                last = state

    async def _state_or_none(self) -> TrayState | None:
        try:
            return await self._state(self._opened)
        except Exception:
            log.exception("what the tray is to show cannot be told")
            return None

    async def _listen(self, process: Process) -> None:
        """Do what the tray writes until it ends or writes what no tray does."""
        stdout = _piped(process.stdout)
        while True:
            try:
                text = await stdout.readline()
                if not text:
                    return
                message = read_from_tray(text)
            except UNREADABLE as error:
                # `readline` raises ValueError for a line longer than the limit.
                log.error("the tray spoke nonsense and is ended: %s", error)  # noqa: TRY400  (no traceback helps)
                return
            match message:
                case Opened():
                    self._opened = message.number
                    self._news.set()
                case Chosen():
                    self._begin(message)

    def _begin(self, message: Chosen) -> None:
        task = asyncio.create_task(self._do(message))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _do(self, message: Chosen) -> None:
        try:
            await self._choose(message)
        except Exception:
            log.exception("what was chosen in the tray failed: %s", message.choice)


def _piped(stream: T | None) -> T:
    if stream is None:
        raise RuntimeError("the tray was started without pipes")
    return stream


async def _end(process: Process) -> None:
    """Close its standard input, at which a tray ends by itself; kill it where it does not."""
    _piped(process.stdin).close()
    saying = asyncio.create_task(_unheard(_piped(process.stdout)))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        saying.cancel()


async def _unheard(stdout: asyncio.StreamReader) -> None:
    """Throw away what is still said: asyncio tells that a process ended only when nothing is left to read."""
    while await stdout.read(LINE_MAX):
        pass
