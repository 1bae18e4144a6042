"""The person as all of the agent asks them: one question at a time, with a time limit and a rate limit."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import AnswerT, ConsentQuestion, Interaction, KeypadQuestion, Question
from agent.origins.rate_limits import Buckets
from agent.places import Places, Rank, Ranking, Turn, Turns

# More questions than a person would answer; a site that opens windows by the dozen gets "busy".
_WAITING_MAX: Final = 16
_STRANGERS_MAX: Final = 8
# A window that gave way is not followed by the next stranger's while the person works with a site they know.
_QUIET_SECONDS: Final = 60.0
_EVERYBODY: Final = ""


class Asking:
    """An `Interaction` that puts the questions of all sites to `inner` in turn.

    A site may put only so many questions in a minute that come to nothing (refused, cancelled, not answered);
    a question that the person answers does not count, so that somebody signing document after document is not
    stopped. Sites together may ask only so often whether they are allowed, because a page can have as many
    origins as it likes. The person's own commands are never held up.

    Questions for programs and sites that are known go first: a stranger's window closes for them, and for a
    while no other stranger's opens.

    Args:
        inner: shows the questions.
        config: how long a question waits, and how many there may be.
        rank: tells who is a stranger.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        inner: Interaction,
        config: Config,
        rank: Ranking,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._seconds = config.consent.seconds
        questions, consents = config.limits.questions, config.limits.questions_of_all
        self._questions = Buckets(questions / 60, questions, clock)
        self._consents = Buckets(consents / 60, consents, clock)
        self._rank = rank
        self._clock = clock
        self._turns = Turns(Places(rank, total=_WAITING_MAX, strangers=_STRANGERS_MAX))
        self._quiet_until = -math.inf

    @property
    def available(self) -> bool:
        """As `inner` says."""
        return self._inner.available

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return what `inner` answers in time.

        Raises:
            AgentError: request.rate; busy: too much waits, or somebody who is known goes first.
        """
        if isinstance(question, KeypadQuestion):
            # Until the caller ends it; the keypad itself lets nobody ask in quick succession.
            async with self._turns.turn(question.origin):
                return await self._inner.ask(question)
        consent, origin = isinstance(question, ConsentQuestion), question.origin
        self._require_quiet(origin)
        if consent:
            _require(self._consents.take(_EVERYBODY))
        if origin is not None:
            _require(self._questions.take(origin))
        async with self._turns.turn(origin) as turn:
            self._require_quiet(origin)
            answer = await self._show(question, turn)
        if answer if consent else answer is not None:
            if origin is not None:
                self._questions.give_back(origin)
            if consent:
                self._consents.give_back(_EVERYBODY)
        return answer

    async def notify(self, zh: str, en: str) -> None:
        """As `inner` does."""
        await self._inner.notify(zh, en)

    async def _show(self, question: Question[AnswerT], turn: Turn) -> AnswerT | None:
        """Return what `inner` answers in time, unless the turn ends before."""
        showing = asyncio.create_task(self._inner.ask(question))
        try:
            await asyncio.wait(
                (showing, turn.leaving), timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if showing.done():
                return showing.result()
            if turn.leaving.done():
                self._quiet_until = self._clock() + _QUIET_SECONDS
                raise AgentError(ErrorId.BUSY)
            return None
        finally:
            if not showing.done():
                showing.cancel()
                with suppress(asyncio.CancelledError):
                    await showing

    def _require_quiet(self, origin: str | None) -> None:
        """Refuse a stranger for a while after another one gave way.

        Raises:
            AgentError: busy.
        """
        if self._clock() < self._quiet_until and self._rank(origin) is Rank.STRANGER:
            raise AgentError(ErrorId.BUSY)


def _require(wait: float) -> None:
    if wait:
        raise AgentError(ErrorId.REQUEST_RATE, retry_after=math.ceil(wait))
