"""Consent: what the configuration says, else the answers kept, else one question to the person."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from agent.access.answers import Answers
from agent.access.policy import ConsentAnswer, Decision, authorise, may_sign_digest, rank_of
from agent.config import Config, OriginSettings
from agent.errors import AgentError, ErrorId
from agent.interaction import CertificateEnd, ConsentQuestion, ConsentReply, Interaction, ShowDocument
from agent.origins.portals import named
from agent.places import Rank, Ranking
from agent.vocabulary import Verb

log = logging.getLogger(__name__)

_NOTIFIED_MAX: Final = 256


def _utc_now() -> datetime:
    return datetime.now(UTC)


def ranking(origins: OriginSettings, answers: Answers, now: Callable[[], datetime] = _utc_now) -> Ranking:
    """Return what tells the rank of an origin at the moment it is asked."""
    return partial(rank_of, origins=origins, answers=answers.of, now=now)


@dataclass(slots=True)
class _Question:
    task: asyncio.Task[bool | None]
    waiting: int = 0


class Consents:
    """Whether an origin may do something; asked once for all requests that wait for the same answer.

    Args:
        interaction: how the person is asked; in the agent, an `agent.interaction.asking.Asking`.
        answers: where answers are kept.
        config: origins and how long answers hold.
        now: the clock, aware UTC.
    """

    def __init__(
        self,
        interaction: Interaction,
        answers: Answers,
        config: Config,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.rank: Final = ranking(config.origins, answers, now)
        """Who goes first where there is not enough for all."""
        self.ending: Callable[[], CertificateEnd | None] = lambda: None
        """Which certificate of a card that is there is to be spoken of, beside a question."""
        self._interaction = interaction
        self._answers = answers
        self._origins = config.origins
        self._settings = config.consent
        self._now = now
        self._questions: dict[tuple[str, tuple[Verb, ...]], _Question] = {}
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._notified: set[str] = set()

    def allowed(self, origin: str | None, verb: Verb) -> bool:
        """Return whether `origin` may do `verb` now, without asking anybody (for what is pushed to pages)."""
        decision = authorise(
            origin,
            verb,
            origins=self._origins,
            answers=self._answers_of(origin),
            can_ask=False,
            now=self._now(),
        )
        return decision is Decision.YES

    def hopeless(self, origin: str) -> bool:
        """Return whether `origin` may not even read a card, and nobody is there to be asked about it."""
        return not self._interaction.available and not self.allowed(origin, Verb.READ)

    def digest_allowed(self, origin: str | None) -> bool:
        """Return whether `origin` may have a bare digest signed."""
        return may_sign_digest(origin, self._origins)

    def listed(self, origin: str | None) -> bool:
        """Return whether the configuration, the administrator's or the person's, allows `origin`."""
        return origin in self._origins.allow and origin not in self._origins.deny

    def plain_http_allowed(self, origin: str) -> bool:
        """Return whether a login may hold for `origin` although it may be plain http."""
        return origin in self._origins.allow

    async def require(
        self, origin: str | None, verb: Verb, *also: Verb, document: ShowDocument | None = None
    ) -> None:
        """Return if `origin` may do `verb`, after asking the person where that is needed.

        Args:
            origin: who asks; None is this person's own program.
            verb: what is wanted.
            also: what comes with it; what of all these is not answered yet is one question.
            document: what it is wanted for, to be shown.

        Raises:
            AgentError: origin.refused, consent.refused, consent.silenced, consent.timeout,
                interaction.unavailable, busy, request.rate.
        """
        if origin is None:
            return
        if origin in self._origins.deny:
            await self.tell_refused(origin)
            raise AgentError(ErrorId.ORIGIN_REFUSED)
        missing = self._missing(origin, (verb, *also))
        if missing:
            _require_yes(await self._share(origin, missing, verb, document))

    async def confirm(self, origin: str | None, verb: Verb) -> None:
        """Ask the person for this one time, whatever was answered or configured before.

        Raises:
            AgentError: as `require`.
        """
        if origin is None:
            return
        if not self._interaction.available:
            raise AgentError(ErrorId.INTERACTION_UNAVAILABLE)
        _require_yes(await self._interaction.ask(ConsentQuestion(origin, verb, once=True)))

    async def tell_refused(self, origin: str) -> None:
        """Tell the person, once for each origin, that a site was turned away."""
        if (
            not self._interaction.available
            or origin in self._notified
            or len(self._notified) >= _NOTIFIED_MAX
        ):
            return
        self._notified.add(origin)
        zh, en = named(origin)
        await self._interaction.notify(
            f"已拒絕網站 {zh} 使用卡片。若您信任它，請管理者把它加入允許清單。",
            f"The site {en} was refused the use of your card. If you trust it, ask your administrator to"
            " allow it.",
        )

    def _answers_of(self, origin: str | None) -> Mapping[Verb, ConsentAnswer]:
        """Return the answers kept; their file is not looked at for an origin that the configuration lists."""
        return {} if origin is None or origin in self._origins.allow else self._answers.of(origin)

    def _missing(self, origin: str, verbs: Iterable[Verb]) -> tuple[Verb, ...]:
        """Return those of `verbs` that are to be asked about; empty when all are allowed.

        Raises:
            AgentError: consent.refused, interaction.unavailable: one is not allowed and cannot be asked.
        """
        missing = []
        answers, can_ask, now = self._answers_of(origin), self._interaction.available, self._now()
        for verb in verbs:
            match authorise(origin, verb, origins=self._origins, answers=answers, can_ask=can_ask, now=now):
                case Decision.NO:
                    raise AgentError(
                        ErrorId.CONSENT_REFUSED if verb in answers else ErrorId.INTERACTION_UNAVAILABLE
                    )
                case Decision.ASK:
                    missing.append(verb)
        return tuple(missing)

    async def _share(
        self, origin: str, missing: tuple[Verb, ...], verb: Verb, document: ShowDocument | None
    ) -> bool | None:
        key = (origin, missing)
        question = self._questions.get(key)
        if question is None:
            task = asyncio.create_task(self._put(origin, missing, verb, document))
            question = self._questions[key] = _Question(task)
            task.add_done_callback(partial(self._close, key, question))
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

    def _close(self, key: tuple[str, tuple[Verb, ...]], question: _Question, _task: object = None) -> None:
        if self._questions.get(key) is question:
            del self._questions[key]
        if question.task.done() and not question.task.cancelled():
            question.task.exception()  # whoever asked may have left in the very moment in which it failed

    async def _put(
        self, origin: str, verbs: tuple[Verb, ...], wanted: Verb, document: ShowDocument | None
    ) -> bool | None:
        async with self._turns.setdefault(origin, asyncio.Lock()):
            # The question before this one may have answered part of it, or all.
            missing = self._missing(origin, verbs)
            if not missing:
                return True
            verb = wanted if wanted in missing else missing[0]
            also = tuple(each for each in missing if each is not verb)
            unknown = self.rank(origin) is Rank.STRANGER
            shown = None if document is None else await document()
            reply = await self._interaction.ask(
                ConsentQuestion(origin, verb, shown, also, unknown=unknown, ending=self.ending())
            )
            if reply is None:
                return None
            self._remember(origin, missing, allowed=bool(reply))
            return bool(reply)

    def _remember(self, origin: str, verbs: tuple[Verb, ...], *, allowed: bool) -> None:
        settings = self._settings
        holds = timedelta(days=settings.days) if allowed else timedelta(minutes=settings.refusal_minutes)
        try:
            self._answers.remember(origin, verbs, ConsentAnswer(allowed, self._now() + holds))
        except OSError as error:
            log.error(  # noqa: TRY400  (a full disk is no bug)
                "the answer for %s could not be kept; it holds until this program ends: %s",
                origin,
                error.strerror,
            )


def _require_yes(answer: bool | ConsentReply | None) -> None:
    if answer is None:
        raise AgentError(ErrorId.CONSENT_TIMEOUT)
    if not answer:
        raise AgentError(ErrorId.CONSENT_REFUSED)
