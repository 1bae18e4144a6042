"""Calls that outlive the request that began them: `heartbeat` while a person is being asked.

Newer adapters mark calls with windows by `KeepAlive`. Where such a call takes long, its request is answered
`heartbeat`, the adapter sends the very same request again, and that one joins the call that is running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from agent.dialects.servisign.codes import UNKNOWN_SESSION, FrameworkError

HEARTBEAT: Final = "heartbeat"


@dataclass(slots=True, eq=False)
class _Running:
    task: asyncio.Task[str]
    waiting: int = 0
    leaving: asyncio.TimerHandle | None = None


class Heartbeats:
    """The marked calls of one session that are running or wait to be fetched.

    Args:
        beat_s: how long a request waits before it is answered `heartbeat`.
        patience_s: how long a call goes on while no request waits for it; adapters come back at once.
    """

    def __init__(self, beat_s: float, patience_s: float) -> None:
        self._beat_s = beat_s
        self._patience_s = patience_s
        self._running: dict[bytes, _Running] = {}

    async def answer(self, key: bytes, begin: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Return the result of the call, or `heartbeat` where that takes longer.

        A request whose page goes away takes the call with it, so that nobody is asked for nothing.

        Args:
            key: the same for the same request, and for no other.
            begin: makes the call, if it does not run already.

        Raises:
            FrameworkError: 61012, the session ended meanwhile; and whatever the call raises.
        """
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = _Running(asyncio.create_task(begin()))
        if running.leaving is not None:
            running.leaving.cancel()
            running.leaving = None
        running.waiting += 1
        try:
            await asyncio.wait((running.task,), timeout=self._beat_s)
        except asyncio.CancelledError:
            if running.waiting == 1:
                self._drop(key, running)
            raise
        finally:
            running.waiting -= 1
        if not running.task.done():
            self._leave(key, running)
            return HEARTBEAT
        self._running.pop(key, None)
        if running.task.cancelled():
            raise FrameworkError(UNKNOWN_SESSION)
        return running.task.result()

    def close(self) -> None:
        """End what is running: its session is over."""
        for key, running in tuple(self._running.items()):
            self._drop(key, running)

    def _leave(self, key: bytes, running: _Running) -> None:
        if not running.waiting:
            drop = partial(self._drop, key, running)
            running.leaving = asyncio.get_running_loop().call_later(self._patience_s, drop)

    def _drop(self, key: bytes, running: _Running) -> None:
        if running.leaving is not None:
            running.leaving.cancel()
        if self._running.get(key) is running:
            del self._running[key]
        running.task.cancel()
        # Nobody will: without it a failure would be reported as never looked at.
        running.task.add_done_callback(lambda task: task.cancelled() or task.exception())
