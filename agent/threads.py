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
    done: Callable[[Any], None] | None

    def do(self) -> None:
        result, failure = None, None
        try:
            result = self.work(self.outcome.done)
        except BaseException as error:
            _forget_variables(error)
            failure = error
        with suppress(RuntimeError):  # the loop is closed, and nobody waits for anything
            self.loop.call_soon_threadsafe(_settle, self.outcome, result, failure, self.done)


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

    def begin(self) -> None:
        """Start the thread before there is work for it.

        Raises:
            RuntimeError: the system has no more threads.
        """
        if self._thread.ident is None:
            self._thread.start()

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
        timer = loop.call_later(seconds, _settle, outcome, None, AgentError(ErrorId.CARD_TIMEOUT))
        outcome.add_done_callback(lambda _outcome: timer.cancel())
        self._tasks.put(_Task(work, loop, outcome, done))
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


def _settle(
    outcome: asyncio.Future[Any],
    result: Any,
    failure: BaseException | None,
    done: Callable[[Any], None] | None = None,
) -> None:
    if done is not None and failure is None:
        done(result)
    if outcome.done():
        return  # given up in the middle, or too late
    if failure is not None:
        outcome.set_exception(failure)
    else:
        outcome.set_result(result)


def _forget_variables(error: BaseException) -> None:
    """Clear its frames: they may hold the bytes of a PIN, and tracebacks can be printed with variables."""
    at: BaseException | None = error
    while at is not None:
        traceback.clear_frames(at.__traceback__)
        at = at.__cause__ or at.__context__
