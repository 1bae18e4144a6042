"""Consent: what the configuration says, else the answer kept, else a question to the person."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from agent.answers import Answers
from agent.config import Config
from agent.errors import AgentError
from agent.interaction import ConsentRequest, Interaction, Verb
from agent.policy import Answer, Decision, authorise, may_sign_digest
from agent.portals import named

log = logging.getLogger(__name__)

# More different questions than a person would answer; a site that opens windows by the dozen gets "busy".
_QUESTIONS_MAX: Final = 8
_TOLD_MAX: Final = 256


@dataclass(slots=True)
class _Question:
    task: asyncio.Task[bool | None]
    waiting: int = 0


class Consents:
    """May this origin do this? Asked once for all who wait for the same answer.

    Args:
        interaction: how the person is asked.
        answers: where answers are kept.
        config: origins and how long answers hold.
        now: the clock, aware UTC.
    """

    def __init__(
        self,
        interaction: Interaction,
        answers: Answers,
        config: Config,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._interaction = interaction
        self._answers = answers
        self._origins = config.origins
        self._settings = config.consent
        self._now = now
        self._questions: dict[tuple[str, Verb], _Question] = {}
        self._told: set[str] = set()

    def allowed(self, origin: str | None, verb: Verb) -> bool:
        """Whether `origin` may do `verb` now, without asking anybody (for what is pushed to pages)."""
        return self._decide(origin, verb, can_ask=False) is Decision.YES

    def digest_allowed(self, origin: str | None) -> bool:
        """Whether `origin` may have a bare digest signed."""
        return may_sign_digest(origin, self._origins)

    async def require(self, origin: str | None, verb: Verb) -> None:
        """Return if `origin` may do `verb`, after asking the person where that is needed.

        Raises:
            AgentError: origin.refused, consent.refused, consent.timeout, interaction.unavailable, busy.
        """
        decision = self._decide(origin, verb, can_ask=self._interaction.available)
        if origin is None or decision is Decision.YES:
            return
        if origin in self._origins.deny:
            await self.tell_refused(origin)
            raise AgentError("origin.refused")
        if decision is Decision.NO:
            answered = verb in self._answers.of(origin)
            raise AgentError("consent.refused" if answered else "interaction.unavailable")
        allowed = await self._ask(origin, verb)
        if allowed is None:
            raise AgentError("consent.timeout")
        if not allowed:
            raise AgentError("consent.refused")

    async def tell_refused(self, origin: str) -> None:
        """Tell the person, once for each origin, that a site was turned away."""
        if not self._interaction.available or origin in self._told or len(self._told) >= _TOLD_MAX:
            return
        self._told.add(origin)
        zh, en = named(origin)
        await self._interaction.notify(
            f"已拒絕網站 {zh} 使用卡片。若您信任它，請管理者把它加入允許清單。",
            f"The site {en} was refused the use of your card. If you trust it, ask your administrator to"
            " allow it.",
        )

    def _decide(self, origin: str | None, verb: Verb, *, can_ask: bool) -> Decision:
        answers = self._answers.of(origin) if origin is not None else {}
        return authorise(
            origin, verb, origins=self._origins, answers=answers, can_ask=can_ask, now=self._now()
        )

    async def _ask(self, origin: str, verb: Verb) -> bool | None:
        key = (origin, verb)
        question = self._questions.get(key)
        if question is None:
            if len(self._questions) >= _QUESTIONS_MAX:
                raise AgentError("busy")
            question = self._questions[key] = _Question(asyncio.create_task(self._put(origin, verb)))
            question.task.add_done_callback(partial(self._close, key, question))
        question.waiting += 1
        try:
            return await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting:
                # Nobody waits for the answer any more: close the window rather than let it linger. Whoever
                # asks from here on gets a question of their own, not one that is being closed.
                self._close(key, question)
                question.task.cancel()

    def _close(self, key: tuple[str, Verb], question: _Question, _task: object = None) -> None:
        if self._questions.get(key) is question:
            del self._questions[key]

    async def _put(self, origin: str, verb: Verb) -> bool | None:
        try:
            async with asyncio.timeout(self._settings.seconds):
                allowed = await self._interaction.ask_consent(ConsentRequest(origin, verb))
        except TimeoutError:
            return None
        if allowed is not None:
            settings = self._settings
            holds = timedelta(days=settings.days) if allowed else timedelta(minutes=settings.refusal_minutes)
            try:
                self._answers.remember(origin, verb, Answer(allowed, self._now() + holds))
            except OSError:
                log.exception("the answer for %s could not be kept; it holds until this program ends", origin)
        return allowed
