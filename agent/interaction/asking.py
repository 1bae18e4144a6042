"""The person as all of the agent asks them: one question at a time, with a time limit and a rate limit."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import AnswerT, ConsentQuestion, Interaction, KeypadQuestion, Question
from agent.origins.rate_limits import Buckets

# More questions than a person would answer; a site that opens windows by the dozen gets "busy".
_WAITING_MAX: Final = 8
_EVERYBODY: Final = ""


class Asking:
    """An `Interaction` that puts the questions of all sites to `inner` in turn.

    A site may put only so many questions in a minute that come to nothing (refused, cancelled, not answered);
    a question that the person answers does not count, so that somebody signing document after document is not
    stopped. Sites together may ask only so often whether they are allowed, because a page can have as many
    origins as it likes. The person's own commands are never held up.

    Args:
        inner: shows the questions.
        config: how long a question waits, and how many there may be.
        clock: seconds that only grow.
    """

    def __init__(
        self, inner: Interaction, config: Config, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._seconds = config.consent.seconds
        questions, consents = config.limits.questions, config.limits.questions_of_all
        self._questions = Buckets(questions / 60, questions, clock)
        self._consents = Buckets(consents / 60, consents, clock)
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def available(self) -> bool:
        """As `inner` says."""
        return self._inner.available

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return what `inner` answers in time.

        Raises:
            AgentError: request.rate, busy.
        """
        if isinstance(question, KeypadQuestion):
            # Until the caller ends it; the keypad itself lets nobody ask in quick succession.
            async with self._in_turn():
                return await self._inner.ask(question)
        consent, origin = isinstance(question, ConsentQuestion), question.origin
        if consent:
            _require(self._consents.take(_EVERYBODY))
        if origin is not None:
            _require(self._questions.take(origin))
        async with self._in_turn():
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await self._inner.ask(question)
            except TimeoutError:
                answer = None
        if answer if consent else answer is not None:
            if origin is not None:
                self._questions.give_back(origin)
            if consent:
                self._consents.give_back(_EVERYBODY)
        return answer

    async def notify(self, zh: str, en: str) -> None:
        """As `inner` does."""
        await self._inner.notify(zh, en)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        if self._waiting >= _WAITING_MAX:
            raise AgentError(ErrorId.BUSY)
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1


def _require(wait: float) -> None:
    if wait:
        raise AgentError(ErrorId.REQUEST_RATE, retry_after=math.ceil(wait))
