"""The person as all of the agent asks them: one question at a time, with a time limit and a rate limit."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, cast

from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.interaction import (
    AnswerT,
    ConsentQuestion,
    ConsentReply,
    Interaction,
    KeypadQuestion,
    Question,
)
from agent.interaction.silence import Silence
from agent.origins.rate_limits import Buckets
from agent.origins.sites import site_of
from agent.places import Places, Rank, Ranking, Turn, Turns
from agent.vocabulary import Errand
from hca_card.pin import Pin

# More questions than a person would answer; a site that opens windows by the dozen gets "busy".
_WAITING_MAX: Final = 16
_STRANGERS_MAX: Final = 8
_STRANGERS_OF_A_SITE_MAX: Final = 4
# A window that gave way is not followed by the next stranger's while the person works with a site they know.
_QUIET_SECONDS: Final = 60.0


_NOBODY: Final = ContextVar("nobody is asked", default=False)


@contextmanager
def nobody_asked() -> Iterator[None]:
    """Run the body, and tasks that begin in it, as if nobody were there, for work that has its time."""
    token = _NOBODY.set(True)
    try:
        yield
    finally:
        _NOBODY.reset(token)


class Asking:
    """An `Interaction` that puts the questions of all sites to `inner` in turn.

    A site may put only so many questions in a minute that come to nothing (refused, cancelled, not answered);
    a question that the person answers does not count, so that somebody signing document after document is not
    stopped. The origins of a domain that nobody knows are one site, because a page can have as many as it
    likes; and after too many questions in a row that came to nothing, unknown sites are refused unasked. The
    person's own commands never wait for it.

    Questions for programs and sites that are known go first: a stranger's window closes for them, and for a
    while no other stranger's opens.

    Args:
        inner: shows the questions.
        config: how long a question waits, and how many there may be.
        rank: tells who is a stranger.
        clock: seconds that only grow.

    Attributes:
        silence: which unknown sites are refused unasked now.
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
        self._questions = Buckets(config.limits.questions / 60, config.limits.questions, clock)
        self.silence: Final = Silence(config.consent, clock)
        self._notices: set[asyncio.Task[None]] = set()
        self._rank = rank
        self._clock = clock
        self._turns = Turns(Places(rank, total=_WAITING_MAX, strangers=_STRANGERS_MAX))
        self._waiting = Counter[str]()
        self._quiet_until = -math.inf

    @property
    def available(self) -> bool:
        """As `inner` says, unless nobody is to be asked."""
        return not _NOBODY.get() and self._inner.available

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return what `inner` answers in time.

        Raises:
            AgentError: request.rate, consent.silenced; busy: too much waits, or somebody who is known goes
                first.
        """
        if _NOBODY.get():
            return None
        if isinstance(question, KeypadQuestion):
            # Until the caller ends it; the keypad itself lets nobody ask in quick succession.
            async with self._turns.turn(question.origin):
                return await self._inner.ask(question)
        if isinstance(question, ConsentQuestion) and question.unknown:
            return cast("AnswerT | None", await self._ask_for_unknown(question))
        origin = question.origin
        self._require_quiet(origin)
        if origin is not None:
            _require(self._questions.take(origin))
        async with self._turns.turn(origin) as turn:
            self._require_quiet(origin)
            answer = await self._show(question, turn)
        if origin is not None and (answer if isinstance(question, ConsentQuestion) else answer is not None):
            self._questions.give_back(origin)
        return answer

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """As `inner` does."""
        await self._inner.notify(zh, en, errand)

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Pass it on to `inner`."""
        self._inner.cards_moved(readers)

    async def _ask_for_unknown(self, question: ConsentQuestion) -> ConsentReply | None:
        origin, site = question.origin, site_of(question.origin)
        self._require_no_silence(origin)
        if self._waiting[site] >= _STRANGERS_OF_A_SITE_MAX:
            raise AgentError(ErrorId.BUSY)
        _require(self._questions.take(site))
        self._waiting[site] += 1
        try:
            return await self._show_in_turn(question, site)
        finally:
            self._waiting[site] -= 1
            self._waiting += Counter()  # without those that are 0: sites are endless

    async def _show_in_turn(self, question: ConsentQuestion, site: str) -> ConsentReply | None:
        origin = question.origin
        async with self._turns.turn(origin) as turn:
            self._require_no_silence(origin)
            try:
                reply = await self._show(question, turn)
            except asyncio.CancelledError:
                if self.silence.came_to_nothing(origin, refused=False):
                    self._tell_of_silence(origin)
                raise
            if reply:
                self.silence.said_yes(origin)
                self._questions.give_back(site)
            elif reply is ConsentReply.NO_TO_UNKNOWN:
                self.silence.begin()
                self._tell_of_silence(origin)
            elif self.silence.came_to_nothing(origin, refused=True):
                self._tell_of_silence(origin)
        return reply

    def _require_no_silence(self, origin: str) -> None:
        """Refuse an unknown origin while it, or every stranger, is not asked about.

        Raises:
            AgentError: consent.silenced, busy.
        """
        if left := self.silence.left(origin):
            raise AgentError(ErrorId.CONSENT_SILENCED, retry_after=math.ceil(left))
        self._require_quiet(origin)

    def _tell_of_silence(self, origin: str) -> None:
        """Tell the person once that a silence began; whoever asked does not wait until that is read."""
        minutes, site = self.silence.minutes, self.silence.whose(origin)
        zh, en = ("未知的網站", "unknown sites") if site is None else (f"網站 {site} ", f"the site {site}")
        task = asyncio.create_task(
            self._inner.notify(
                f"{minutes} 分鐘內不再詢問，直接拒絕{zh}。要允許某個網站，請選圖示選單的"
                "「重新詢問未知網站」，或在「允許的網站」加入它（管理者：hca-agent origins allow 網址）。",
                f"For {minutes} minutes {en} will be refused without asking you. To allow a site, choose"
                ' "Ask about unknown sites again" in the menu of the icon, or add it under "Allowed sites"'
                " (administrators: hca-agent origins allow ADDRESS).",
                Errand.SITES,
            )
        )
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

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
        except asyncio.CancelledError:
            if showing.done():
                _wipe(showing)
            raise
        finally:
            if not showing.done():
                showing.cancel()
                with suppress(asyncio.CancelledError):
                    await showing
                _wipe(showing)
        return None

    def _require_quiet(self, origin: str | None) -> None:
        """Refuse a stranger for a while after another one gave way.

        Raises:
            AgentError: busy.
        """
        if self._clock() < self._quiet_until and self._rank(origin) is Rank.STRANGER:
            raise AgentError(ErrorId.BUSY)


def _wipe(showing: asyncio.Task[Any]) -> None:
    """Wipe a PIN that came in the very moment in which nobody wanted it any more."""
    if showing.cancelled() or showing.exception() is not None:
        return
    answer = showing.result()
    for pin in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(pin, Pin):
            pin.wipe()


def _require(wait: float) -> None:
    if wait:
        raise AgentError(ErrorId.REQUEST_RATE, retry_after=math.ceil(wait))
