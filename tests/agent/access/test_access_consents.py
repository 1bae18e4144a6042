from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.access.answers import Answers
from agent.access.consents import Consents, ranking
from agent.access.policy import ConsentAnswer
from agent.config import Config, OriginSettings
from agent.errors import AgentError, ErrorId
from agent.interaction import ConsentQuestion, Question
from agent.interaction.asking import Asking
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.vocabulary import Verb

PORTAL = "https://portal.example.tw"
EVIL = "https://evil.example.tw"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def turns() -> None:
    """Let every task go on until it waits for somebody."""
    for _ in range(20):
        await asyncio.sleep(0)


class SlowPerson(ScriptedInteraction):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self.closed = False

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, ConsentQuestion):
            return await super().ask(question)
        self.questions.append(question)
        try:
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.closed = True
            raise


class World:
    def __init__(
        self, folder: Path, interaction: ScriptedInteraction | Headless, origins: OriginSettings | None = None
    ) -> None:
        self.now = NOW
        self.answers = Answers(folder / "answers.json", lambda: self.now)
        config = Config(origins=origins or OriginSettings())
        rank = ranking(config.origins, self.answers, lambda: self.now)
        self.consents = Consents(Asking(interaction, config, rank), self.answers, config, lambda: self.now)

    async def refusal(self, origin: str | None, verb: Verb) -> str:
        with pytest.raises(AgentError) as caught:
            await self.consents.require(origin, verb)
        return caught.value.error_id


async def test_a_yes_is_asked_for_once_and_holds_thirty_days(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    world = World(tmp_path, person)
    await world.consents.require(PORTAL, Verb.SIGN)
    world.now += timedelta(days=29, hours=23)
    await world.consents.require(PORTAL, Verb.SIGN)
    assert len(person.questions) == 1
    world.now += timedelta(hours=1)
    await world.consents.require(PORTAL, Verb.SIGN)
    assert len(person.questions) == 2


async def test_a_no_holds_for_ten_minutes_without_another_question(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.SIGN: False})
    world = World(tmp_path, person)
    assert await world.refusal(PORTAL, Verb.SIGN) == "consent.refused"
    world.now += timedelta(minutes=9, seconds=59)
    assert await world.refusal(PORTAL, Verb.SIGN) == "consent.refused"
    assert len(person.questions) == 1
    world.now += timedelta(seconds=1)
    assert await world.refusal(PORTAL, Verb.SIGN) == "consent.refused"
    assert len(person.questions) == 2


async def test_what_belongs_together_is_one_question_with_one_answer(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    world = World(tmp_path, person)
    await world.consents.require(PORTAL, Verb.LOGIN, Verb.READ)
    [asked] = person.questions
    assert isinstance(asked, ConsentQuestion)
    assert (asked.verb, asked.verbs) == (Verb.LOGIN, (Verb.READ, Verb.LOGIN))
    assert set(world.answers.of(PORTAL)) == {Verb.READ, Verb.LOGIN}
    await world.consents.require(PORTAL, Verb.READ)
    assert len(person.questions) == 1


async def test_only_what_was_not_answered_before_is_asked_about(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    world = World(tmp_path, person)
    await world.consents.require(PORTAL, Verb.READ)
    await world.consents.require(PORTAL, Verb.PAGE_PIN, Verb.READ, Verb.SIGN)
    assert [question.verbs for question in person.questions if isinstance(question, ConsentQuestion)] == [
        (Verb.READ,),
        (Verb.SIGN, Verb.PAGE_PIN),
    ]


async def test_a_no_to_a_part_is_a_no_to_the_whole_without_a_question(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.SIGN: True})
    world = World(tmp_path, person)
    assert await world.refusal(PORTAL, Verb.READ) == "consent.refused"
    with pytest.raises(AgentError):
        await world.consents.require(PORTAL, Verb.SIGN, Verb.READ)
    assert len(person.questions) == 1
    assert Verb.SIGN not in world.answers.of(PORTAL)


async def test_a_wider_question_of_the_same_site_waits_for_the_narrower_and_asks_only_the_rest(
    tmp_path: Path,
) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    narrow = asyncio.create_task(world.consents.require(PORTAL, Verb.READ))
    await turns()
    wide = asyncio.create_task(world.consents.require(PORTAL, Verb.LOGIN, Verb.READ))
    await turns()
    assert len(person.questions) == 1
    person.answer.set_result(True)
    await asyncio.gather(narrow, wide)
    assert [question.verbs for question in person.questions if isinstance(question, ConsentQuestion)] == [
        (Verb.READ,),
        (Verb.LOGIN,),
    ]


async def test_confirming_asks_whatever_was_answered_or_configured(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.PAGE_PIN: False})
    world = World(tmp_path, person, OriginSettings(allow=frozenset((PORTAL,))))
    await world.consents.require(PORTAL, Verb.PAGE_PIN)
    with pytest.raises(AgentError) as caught:
        await world.consents.confirm(PORTAL, Verb.PAGE_PIN)
    assert caught.value.error_id == "consent.refused"
    assert len(person.questions) == 1
    assert not world.answers.all()
    with pytest.raises(AgentError) as caught:
        await World(tmp_path, Headless()).consents.confirm(PORTAL, Verb.PAGE_PIN)
    assert caught.value.error_id == "interaction.unavailable"


async def test_each_verb_has_a_question_of_its_own(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    world = World(tmp_path, person)
    for verb in Verb:
        await world.consents.require(PORTAL, verb)
    assert [question.verb for question in person.questions if isinstance(question, ConsentQuestion)] == list(
        Verb
    )


async def test_everybody_who_waits_for_the_same_answer_shares_one_window(tmp_path: Path) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    asks = [asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN)) for _ in range(5)]
    await turns()
    person.answer.set_result(True)
    await asyncio.gather(*asks)
    assert len(person.questions) == 1


async def test_one_who_gives_up_does_not_close_the_window_for_the_others(tmp_path: Path) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    first, second = (asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN)) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    assert not person.closed
    person.answer.set_result(True)
    await second


async def test_the_window_closes_when_nobody_waits_any_more(tmp_path: Path) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    asks = [asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN)) for _ in range(2)]
    await turns()
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)
    await turns()
    assert person.closed
    assert not world.answers.all()


async def test_a_question_asked_anew_right_after_everybody_gave_up_is_answered(tmp_path: Path) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    ask = asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN))
    await turns()
    ask.cancel()
    await asyncio.sleep(0)  # one step of the loop: the window is being closed, and not closed yet
    again = asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN))
    await turns()
    person.answer.set_result(True)
    await again
    assert len(person.questions) == 2


async def test_nobody_answering_is_no_but_not_remembered(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents=dict.fromkeys(Verb))
    world = World(tmp_path, person)
    assert await world.refusal(PORTAL, Verb.READ) == "consent.timeout"
    assert not world.answers.all()


async def test_headless_means_that_unknown_is_no(tmp_path: Path) -> None:
    world = World(tmp_path, Headless())
    assert await world.refusal(PORTAL, Verb.READ) == "interaction.unavailable"
    world.answers.remember(PORTAL, (Verb.READ,), world.answers.of(PORTAL).get(Verb.READ) or _yes())
    await world.consents.require(PORTAL, Verb.READ)


def _yes() -> ConsentAnswer:
    return ConsentAnswer(True, NOW + timedelta(days=1))


async def test_an_origin_the_configuration_allows_is_never_asked_about(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={})
    world = World(tmp_path, person, OriginSettings(allow=frozenset((PORTAL,))))
    await world.consents.require(PORTAL, Verb.PAGE_PIN)
    assert not person.questions


async def test_deny_wins_and_the_person_hears_of_it_once(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    both = frozenset((EVIL,))
    world = World(tmp_path, person, OriginSettings(allow=both, deny=both))
    world.answers.remember(EVIL, (Verb.READ,), _yes())
    for _ in range(3):
        assert await world.refusal(EVIL, Verb.READ) == "origin.refused"
    assert not person.questions
    assert len(person.notices) == 1


async def test_the_persons_own_commands_need_no_consent(tmp_path: Path) -> None:
    await World(tmp_path, Headless()).consents.require(None, Verb.SIGN)


async def test_a_flood_of_different_sites_opens_one_window_and_eight_may_wait(tmp_path: Path) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    asks = [
        asyncio.create_task(world.consents.require(f"https://s{number}.example", Verb.READ))
        for number in range(8)
    ]
    await turns()
    assert await world.refusal("https://s9.example", Verb.READ) == "busy"
    assert len(person.questions) == 1
    person.answer.set_result(False)
    results = await asyncio.gather(*asks, return_exceptions=True)
    assert all(isinstance(result, AgentError) for result in results)


async def test_what_pages_are_told_of_never_asks(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    world = World(tmp_path, person)
    assert not world.consents.allowed(PORTAL, Verb.READ)
    world.answers.remember(PORTAL, (Verb.READ,), _yes())
    assert world.consents.allowed(PORTAL, Verb.READ)
    assert not person.questions


async def test_a_question_that_fails_when_its_page_has_left_says_nothing_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class GivingWay(SlowPerson):
        async def ask(self, question: Question[Any]) -> Any:
            try:
                return await super().ask(question)
            except asyncio.CancelledError:
                raise AgentError(ErrorId.BUSY) from None

    world = World(tmp_path, GivingWay())
    ask = asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN))
    await turns()
    ask.cancel()
    await asyncio.gather(ask, return_exceptions=True)
    await turns()
    del ask  # or its traceback keeps the question
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_an_answer_that_cannot_be_kept_holds_all_the_same_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    world = World(tmp_path, ScriptedInteraction())
    monkeypatch.setattr(world.answers, "remember", full)
    await world.consents.require(PORTAL, Verb.SIGN)
    assert "could not be kept" in caplog.text
    assert "No space left on device" in caplog.text


async def test_this_persons_own_programs_are_asked_about_nothing(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    world = World(tmp_path, person)
    await world.consents.require(None, Verb.SIGN)
    await world.consents.confirm(None, Verb.CHANGE_PIN)
    assert not person.questions


def test_what_the_lists_say_of_an_origin(tmp_path: Path) -> None:
    origins = OriginSettings(
        allow=frozenset((PORTAL, EVIL)), deny=frozenset((EVIL,)), digest=frozenset((PORTAL,))
    )
    consents = World(tmp_path, ScriptedInteraction(), origins).consents
    assert [consents.listed(origin) for origin in (PORTAL, EVIL, None)] == [True, False, False]
    assert [consents.digest_allowed(origin) for origin in (PORTAL, EVIL, None)] == [True, False, True]
    assert [consents.plain_http_allowed(origin) for origin in (PORTAL, "http://other.example")] == [
        True,
        False,
    ]
    unattended = World(tmp_path, Headless(), origins).consents
    assert [unattended.hopeless(origin) for origin in (PORTAL, "https://other.example")] == [False, True]
    config = Config()
    assert not Consents(Asking(Headless(), config, consents.rank), Answers(tmp_path / "a"), config).allowed(
        PORTAL, Verb.READ
    )


async def test_a_question_whose_answer_came_with_the_one_before_it_is_not_asked(tmp_path: Path) -> None:
    person = SlowPerson()
    world = World(tmp_path, person)
    both = asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN, Verb.READ))
    await turns()
    part = asyncio.create_task(world.consents.require(PORTAL, Verb.SIGN))
    await turns()
    person.answer.set_result(True)
    await asyncio.gather(both, part)
    assert len(person.questions) == 1
