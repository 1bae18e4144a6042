"""A thread that does one thing after another for the event loop, which waits only so long for each."""

from __future__ import annotations

import asyncio
import queue
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.errors import AgentError, ErrorId

T = TypeVar("T")
GivenUp = Callable[[], bool]
"""Whether nobody waits any more for what is being done."""


@dataclass(frozen=True, slots=True)
class _Task:
    """Work on its way to the thread; its outcome belongs to the event loop, and is only looked at here."""

    work: Callable[[GivenUp], Any]
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[Any]
    timer: asyncio.TimerHandle
    done: Callable[[Any], None] | None

    def do(self) -> None:
        result, failure = None, None
        try:
            result = self.work(self.outcome.done)
        except BaseException as error:
            _forget_variables(error)
            failure = error
        with suppress(RuntimeError):  # the loop is closed, and nobody waits for anything
            self.loop.call_soon_threadsafe(self.settle, result, failure)

    def settle(self, result: Any, failure: BaseException | None) -> None:
        """Hand the outcome over; on the loop."""
        self.timer.cancel()
        if self.done is not None and failure is None:
            self.done(result)
        if self.outcome.done():
            return  # given up in the middle, or too late
        if failure is not None:
            self.outcome.set_exception(failure)
        else:
            self.outcome.set_result(result)


class OneThread:
    """Work for one thread, in its order. The thread begins with the first and does not keep a program alive.

    Args:
        name: of the thread.
        at_end: called in the thread when all is done after `close`; not where there was no work.
    """

    def __init__(self, name: str, at_end: Callable[[], None]) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._at_end = at_end
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def submit(
        self, work: Callable[[GivenUp], T], seconds: float, done: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Return the result to come of `work`, which is called even if nobody waits for it any more.

        The future raises what `work` raised, or AgentError card.timeout.

        Args:
            work: blocking; is given what tells whether it was given up.
            seconds: how long to wait for it.
            done: called on the loop with the result, also where nobody waits for it any more.

        Raises:
            RuntimeError: it has been closed, or cannot begin.
        """
        if self._closed:
            raise RuntimeError("this thread takes no more work")
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._tasks.put(_Task(work, loop, outcome, loop.call_later(seconds, _time_out, outcome), done))
        return outcome

    def close(self) -> None:
        """Take no more work; what was taken is still done."""
        self._closed = True
        self._tasks.put(None)

    def join(self, seconds: float) -> None:
        """Wait at most so long until the thread has ended; after `close`."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.do()
            del task  # it may hold what nobody should find here while the thread waits
        self._at_end()


def _time_out(outcome: asyncio.Future[Any]) -> None:
    if not outcome.done():
        outcome.set_exception(AgentError(ErrorId.CARD_TIMEOUT))


def _forget_variables(error: BaseException) -> None:
    """Clear its frames: they may hold the bytes of a PIN, and tracebacks can be printed with variables."""
    at: BaseException | None = error
    while at is not None:
        traceback.clear_frames(at.__traceback__)
        at = at.__cause__ or at.__context__
