from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agent.config import Config, ConsentSettings, LimitSettings
from agent.errors import AgentError
from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    NewPinQuestion,
    PinQuestion,
    Question,
    UnblockQuestion,
)
from agent.interaction.asking import Asking
from agent.interaction.scripted import ScriptedInteraction
from agent.places import Rank
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.operations import until

PORTAL = "https://portal.example.tw"
CARD = CardShown("R", CardKind.PERSONNEL, "000000000001", "測試", True)
STATUS = PinStatus(3, 6, 8)
ALLOWED = "https://allowed.example.tw"
FEW = Config(limits=LimitSettings(questions=2, questions_of_all=3))


def strangers(origin: str | None) -> Rank:
    return Rank.OWN if origin is None else Rank.ALLOWED if origin == ALLOWED else Rank.STRANGER


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(ScriptedInteraction):
    """Somebody who takes their time, and how many windows they had in front of them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.open = self.most = 0
        self.answer = asyncio.Event()

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, ConsentQuestion):
            return await super().ask(question)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self.answer.wait()
            return await super().ask(question)
        finally:
            self.open -= 1


def pin_request(origin: str | None) -> PinQuestion:
    return PinQuestion(origin, CARD, STATUS, Verb.SIGN)


async def rate_of(asking: Asking, request: PinQuestion) -> object:
    with pytest.raises(AgentError) as caught:
        await asking.ask(request)
    assert caught.value.error_id == "request.rate"
    return caught.value.facts["retry_after"]


async def test_questions_of_all_sites_come_one_at_a_time() -> None:
    person = Slow()
    asking = Asking(person, Config(), strangers)
    asks = [
        asyncio.create_task(asking.ask(ConsentQuestion(f"https://s{number}.example", Verb.READ)))
        for number in range(5)
    ]
    await until(lambda: person.open == 1)
    person.answer.set()
    assert await asyncio.gather(*asks) == [True] * 5
    assert person.most == 1


async def test_a_question_waits_its_time_from_when_it_is_shown() -> None:
    person = Slow()
    asking = Asking(person, Config(consent=replace(ConsentSettings(), seconds=0.1)), strangers)  # type: ignore[arg-type]
    asks = [
        asyncio.create_task(asking.ask(ConsentQuestion(f"https://s{number}.example", Verb.READ)))
        for number in range(3)
    ]
    assert await asks[0] is None
    assert [ask.done() for ask in asks] == [True, False, False]
    assert await asyncio.gather(*asks) == [None] * 3


async def test_cancelled_pin_windows_run_out_and_come_back_with_time() -> None:
    clock = Clock()
    asking = Asking(ScriptedInteraction(), FEW, strangers, clock)
    for _ in range(2):
        assert await asking.ask(pin_request(PORTAL)) is None
    assert await rate_of(asking, pin_request(PORTAL)) == 30
    with pytest.raises(AgentError):
        await asking.ask(NewPinQuestion(PORTAL, CARD, STATUS))
    with pytest.raises(AgentError):
        await asking.ask(UnblockQuestion(PORTAL, CARD, STATUS, STATUS))
    with pytest.raises(AgentError):
        await asking.ask(CardChoiceQuestion(PORTAL, (CARD,)))
    assert await asking.ask(pin_request("https://other.example.tw")) is None
    clock.now += 30
    assert await asking.ask(pin_request(PORTAL)) is None


async def test_a_person_who_answers_is_asked_as_often_as_they_like() -> None:
    asking = Asking(ScriptedInteraction(pins=["123456"] * 20), FEW, strangers, Clock())
    for _ in range(20):
        pin = await asking.ask(pin_request(PORTAL))
        assert pin is not None


async def test_the_persons_own_commands_are_never_held_up() -> None:
    asking = Asking(ScriptedInteraction(), FEW, strangers, Clock())
    for _ in range(20):
        assert await asking.ask(pin_request(None)) is None


async def test_sites_together_may_open_only_so_many_consent_windows() -> None:
    clock = Clock()
    asking = Asking(ScriptedInteraction(consents={}), FEW, strangers, clock)
    for number in range(3):
        assert not await asking.ask(ConsentQuestion(f"https://s{number}.example", Verb.READ))
    with pytest.raises(AgentError) as caught:
        await asking.ask(ConsentQuestion("https://s9.example", Verb.READ))
    assert (caught.value.error_id, caught.value.facts["retry_after"]) == ("request.rate", 20)
    assert await asking.ask(pin_request(PORTAL)) is None


async def test_a_question_for_an_allowed_site_closes_a_strangers_window_and_goes_first() -> None:
    person = Slow()
    asking = Asking(person, Config(), strangers)
    asks = [
        asyncio.create_task(asking.ask(ConsentQuestion(f"https://s{number}.example", Verb.READ)))
        for number in range(8)
    ]
    await until(lambda: person.open == 1)
    assert await asking.ask(pin_request(ALLOWED)) is None  # somebody who cancels
    failures = await asyncio.gather(*asks, return_exceptions=True)
    assert {getattr(failure, "error_id", failure) for failure in failures} == {"busy"}
    assert person.most == 1 and [question.origin for question in person.questions] == [ALLOWED]


async def test_after_a_strangers_window_gave_way_no_other_opens_for_a_minute() -> None:
    person, clock = Slow(), Clock()
    asking = Asking(person, Config(), strangers, clock)
    first = asyncio.create_task(asking.ask(ConsentQuestion(PORTAL, Verb.READ)))
    await until(lambda: person.open == 1)
    assert await asking.ask(pin_request(None)) is None
    person.answer.set()
    for clock.now, expected in ((59.0, "busy"), (60.0, True)):
        try:
            assert await asking.ask(ConsentQuestion(PORTAL, Verb.READ)) is expected
        except AgentError as error:
            assert error.error_id == expected
    with pytest.raises(AgentError):
        await first


async def test_a_question_for_an_allowed_site_is_not_interrupted_by_another() -> None:
    person = Slow()
    asking = Asking(person, Config(), strangers)
    first = asyncio.create_task(asking.ask(ConsentQuestion(ALLOWED, Verb.READ)))
    await until(lambda: person.open == 1)
    second = asyncio.create_task(asking.ask(pin_request(None)))
    await asyncio.sleep(0)
    person.answer.set()
    assert await first is True
    assert await second is None


async def test_who_gives_up_waiting_makes_room() -> None:
    person = Slow()
    asking = Asking(person, Config(), strangers)
    asks = [
        asyncio.create_task(asking.ask(ConsentQuestion(f"https://s{number}.example", Verb.READ)))
        for number in range(8)
    ]
    await until(lambda: person.open == 1)
    with pytest.raises(AgentError) as caught:
        await asking.ask(ConsentQuestion("https://s9.example", Verb.READ))
    assert caught.value.error_id == "busy"
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)
    assert person.open == 0
    person.answer.set()
    assert await asking.ask(ConsentQuestion("https://s9.example", Verb.READ))
