"""A thread that does one thing after another for the event loop, and whose silence ends a wait."""

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
Wanted = Callable[[], bool]
"""Whether anybody still waits for what is being done."""


@dataclass(frozen=True, slots=True)
class _Errand:
    """Work on its way to the thread; its outcome belongs to the event loop, and is only looked at here."""

    work: Callable[[Wanted], Any]
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[Any]
    done: Callable[[Any], None] | None

    def wanted(self) -> bool:
        return not self.outcome.done()

    def do(self) -> None:
        result, failure = None, None
        try:
            result = self.work(self.wanted)
        except BaseException as error:
            _forget_variables(error)
            failure = error
        with suppress(RuntimeError):  # the loop is closed, and nobody waits for anything
            self.loop.call_soon_threadsafe(_settle, self.outcome, result, failure, self.done)


class OneThread:
    """Work for one thread, in its order. The thread begins with the first and keeps no program from ending.

    Args:
        name: of the thread.
        at_end: called in the thread when all is done after `close`; not where there was no work.
    """

    def __init__(self, name: str, at_end: Callable[[], None]) -> None:
        self._errands: queue.SimpleQueue[_Errand | None] = queue.SimpleQueue()
        self._at_end = at_end
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def begin(self) -> None:
        """Have the thread before there is work for it.

        Raises:
            RuntimeError: the system has no more threads.
        """
        if self._thread.ident is None:
            self._thread.start()

    async def run(
        self, work: Callable[[Wanted], T], seconds: float, done: Callable[[T], None] | None = None
    ) -> T:
        """The result of `work`, which is called in the thread even if nobody waits for it any more.

        Args:
            work: blocking; is given what tells whether it is still wanted.
            seconds: how long to wait for it.
            done: called on the loop with the result, also where nobody waits for it any more.

        Raises:
            AgentError: card.timeout.
            Exception: what `work` raised.
            RuntimeError: it has been closed, or cannot begin.
        """
        if self._closed:
            raise RuntimeError("this thread takes no more work")
        self.begin()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        timer = loop.call_later(seconds, _settle, outcome, None, AgentError(ErrorId.CARD_TIMEOUT))
        try:
            # Last before the wait: a thread that is woken earlier only waits for this one to be done.
            self._errands.put(_Errand(work, loop, outcome, done))
            return await outcome
        finally:
            timer.cancel()

    def close(self) -> None:
        """Take no more work; what was taken is still done."""
        self._closed = True
        self._errands.put(None)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, so long at the most; after `close`."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand.do()
            del errand  # it may hold what nobody should find here while the thread waits
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
    """Its frames may hold the bytes of a PIN; a traceback printed with variables must not show them."""
    at: BaseException | None = error
    while at is not None:
        traceback.clear_frames(at.__traceback__)
        at = at.__cause__ or at.__context__
