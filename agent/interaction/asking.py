"""The person as all of the agent reaches them: one question at a time, each with its time, none too often.

Whatever shows the questions (windows, terminal, script) lies within; nothing else in the agent needs to know
that several sites may want the person at once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import (
    CardShown,
    ConsentRequest,
    Interaction,
    NewPinRequest,
    PinRequest,
    UnblockRequest,
)
from agent.origins.rate_limits import Buckets
from hca_card.pin import Pin

T = TypeVar("T")

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

    async def ask_consent(self, request: ConsentRequest) -> bool | None:
        """Yes, no, or None when nobody answered in time.

        Raises:
            AgentError: request.rate, busy.
        """
        _require(self._consents.take(_EVERYBODY))
        answer = await self._ask(request.origin, lambda: self._inner.ask_consent(request), bool)
        if answer:
            self._consents.give_back(_EVERYBODY)
        return answer

    async def ask_pin(self, request: PinRequest) -> Pin | None:
        """The PIN, or None when the person cancelled or did not answer in time.

        Raises:
            AgentError: request.rate, busy.
        """
        return await self._ask(request.origin, lambda: self._inner.ask_pin(request))

    async def ask_new_pin(self, request: NewPinRequest) -> tuple[Pin, Pin] | None:
        """As `ask_pin`, for the PIN and the new one."""
        return await self._ask(request.origin, lambda: self._inner.ask_new_pin(request))

    async def ask_unblock(self, request: UnblockRequest) -> tuple[Pin, Pin] | None:
        """As `ask_pin`, for the PUK and the new PIN."""
        return await self._ask(request.origin, lambda: self._inner.ask_unblock(request))

    async def choose_card(self, origin: str | None, cards: tuple[CardShown, ...]) -> CardShown | None:
        """As `ask_pin`, for one of several cards."""
        return await self._ask(origin, lambda: self._inner.choose_card(origin, cards))

    async def show_keypad(self, request: PinRequest) -> None:
        """As `inner` does, until the caller ends it; the keypad itself lets nobody ask in quick succession.

        Raises:
            AgentError: busy.
        """
        async with self._in_turn():
            await self._inner.show_keypad(request)

    async def notify(self, zh: str, en: str) -> None:
        """As `inner` does."""
        await self._inner.notify(zh, en)

    async def _ask(
        self,
        origin: str | None,
        put: Callable[[], Awaitable[T | None]],
        counts_as_answered: Callable[[T | None], bool] = lambda answer: answer is not None,
    ) -> T | None:
        if origin is not None:
            _require(self._questions.take(origin))
        async with self._in_turn():
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await put()
            except TimeoutError:
                answer = None
        if origin is not None and counts_as_answered(answer):
            self._questions.give_back(origin)
        return answer

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
