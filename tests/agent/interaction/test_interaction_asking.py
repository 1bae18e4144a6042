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
    ConsentReply,
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
from hca_card.pin import Pin
from tests.support.operations import until

PORTAL = "https://portal.example.tw"
CARD = CardShown("R", CardKind.PERSONNEL, "000000000001", "測試", True)
STATUS = PinStatus(3, 6, 8)
ALLOWED = "https://allowed.example.tw"
FEW = Config(limits=LimitSettings(questions=2))


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
    assert await asyncio.gather(*asks) == [ConsentReply.YES] * 5
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


def unknown(origin: str) -> ConsentQuestion:
    return ConsentQuestion(origin, Verb.READ, unknown=True)


async def silenced(asking: Asking, origin: str) -> object:
    with pytest.raises(AgentError) as caught:
        await asking.ask(unknown(origin))
    assert caught.value.error_id == "consent.silenced"
    return caught.value.facts["retry_after"]


async def test_a_domain_with_endless_names_is_silent_after_three_noes_and_a_new_portal_is_asked_about() -> (
    None
):
    person, clock = ScriptedInteraction(consents={}), Clock()
    asking = Asking(person, Config(), strangers, clock)
    for number in range(3):
        assert not await asking.ask(unknown(f"https://n{number}.evil.com.tw"))
    assert await silenced(asking, "https://n3.evil.com.tw:8443") == 600
    clock.now += 20
    assert await silenced(asking, "https://n4.evil.com.tw") == 580
    person._consents = {Verb.READ: True}
    assert await asking.ask(unknown("https://honest.com.tw"))
    assert await silenced(asking, "https://n5.evil.com.tw") == 580
    clock.now += 580
    assert await asking.ask(unknown("https://n6.evil.com.tw"))
    assert len(person.questions) == 5


async def test_the_person_is_told_once_that_a_site_is_silent_and_how_to_allow_one() -> None:
    person = ScriptedInteraction(consents={})
    asking = Asking(person, Config(), strangers, Clock())
    for number in range(3):
        await asking.ask(unknown(f"https://n{number}.evil.com.tw"))
    for number in range(9):
        await silenced(asking, f"https://m{number}.evil.com.tw")
    await until(lambda: bool(person.notices))
    [(zh, en)] = person.notices
    assert "evil.com.tw" in zh
    assert "10 minutes the site evil.com.tw" in en
    assert "hca-agent origins allow" in zh
    assert "hca-agent origins allow" in en


@pytest.mark.parametrize("answer", [False, None])
async def test_after_three_domains_in_a_row_all_unknown_sites_are_silent_and_no_others(
    answer: bool | None,
) -> None:
    person, clock = ScriptedInteraction(consents={Verb.READ: answer, Verb.SIGN: True}), Clock()
    asking = Asking(person, Config(), strangers, clock)
    for number in range(3):
        assert not await asking.ask(unknown(f"https://s{number}.example"))
    assert await silenced(asking, "https://honest.com.tw") == 600
    await until(lambda: len(person.notices) == 1)
    # Neither a site that is known nor the person's own program notices it.
    assert await asking.ask(ConsentQuestion(ALLOWED, Verb.SIGN))
    assert await asking.ask(pin_request(ALLOWED)) is None
    assert await asking.ask(pin_request(None)) is None
    clock.now += 600
    assert not await asking.ask(unknown("https://honest.com.tw"))


async def test_a_yes_begins_the_row_anew() -> None:
    person = ScriptedInteraction(consents={Verb.READ: False, Verb.SIGN: True})
    asking = Asking(person, Config(), strangers, Clock())
    for number in range(9):
        assert not await asking.ask(unknown(f"https://s{number}.example"))
        assert await asking.ask(ConsentQuestion(f"https://t{number}.example", Verb.SIGN, unknown=True))


async def test_noes_long_ago_are_no_row() -> None:
    clock = Clock()
    asking = Asking(ScriptedInteraction(consents={}), Config(), strangers, clock)
    for number in range(9):
        assert not await asking.ask(unknown(f"https://s{number % 4}.example"))
        clock.now += 400


async def test_the_person_can_refuse_all_unknown_sites_at_once_and_take_that_back() -> None:
    person = ScriptedInteraction(consents={Verb.READ: ConsentReply.NO_TO_UNKNOWN})
    asking = Asking(person, Config(), strangers, Clock())
    assert not await asking.ask(unknown("https://evil.example"))
    assert await silenced(asking, "https://other.example") == 600
    assert asking.silence.begun
    asking.silence.end()
    assert not asking.silence.begun
    assert not await asking.ask(unknown("https://other.example"))


async def test_questions_that_wait_when_the_silence_begins_are_never_shown() -> None:
    person = Slow()
    person._consents = {}
    asking = Asking(person, Config(), strangers, Clock())
    asks = [asyncio.create_task(asking.ask(unknown(f"https://s{number}.example"))) for number in range(8)]
    await until(lambda: person.open == 1)
    person.answer.set()
    answers = await asyncio.gather(*asks, return_exceptions=True)
    assert answers[:3] == [ConsentReply.NO] * 3
    assert {getattr(answer, "error_id", answer) for answer in answers[3:]} == {"consent.silenced"}
    assert len(person.questions) == 3


async def test_windows_that_pages_take_back_count_once_for_their_domain() -> None:
    person = Slow()
    asking = Asking(person, Config(), strangers, Clock())

    async def taken_back(origin: str) -> None:
        ask = asyncio.create_task(asking.ask(unknown(origin)))
        await until(lambda: person.open == 1)
        ask.cancel()
        await asyncio.gather(ask, return_exceptions=True)

    for _ in range(3):
        await taken_back("https://reloaded.example")
    assert not asking.silence.begun
    await taken_back("https://a.example")
    await taken_back("https://b.example")
    assert await silenced(asking, "https://c.example") == 600


async def test_one_domain_does_not_take_every_place_in_the_queue() -> None:
    person = Slow()
    asking = Asking(person, Config(), strangers)
    asks = [asyncio.create_task(asking.ask(unknown(f"https://n{number}.evil.com.tw"))) for number in range(9)]
    await until(lambda: person.open == 1)
    honest = asyncio.create_task(asking.ask(unknown("https://honest.com.tw")))
    await asyncio.sleep(0)
    person.answer.set()
    assert await honest is ConsentReply.YES
    failures = await asyncio.gather(*asks, return_exceptions=True)
    assert [getattr(each, "error_id", "shown") for each in failures].count("shown") == 4


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
    for clock.now, expected in ((59.0, "busy"), (60.0, ConsentReply.YES)):
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
    assert await first is ConsentReply.YES
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


@pytest.mark.parametrize("pair", [False, True])
async def test_a_pin_that_comes_as_its_request_is_cancelled_is_wiped(pair: bool) -> None:
    typed = [Pin("123456"), Pin("654321")]
    card, asked, answer = PinQuestion(PORTAL, CARD, STATUS, Verb.SIGN), asyncio.Event(), asyncio.Event()

    class Person(ScriptedInteraction):
        async def ask(self, question: Question[Any]) -> Any:
            asked.set()
            await answer.wait()
            return tuple(typed) if pair else typed[0]

    question: Question[Any] = NewPinQuestion(PORTAL, CARD, STATUS) if pair else card
    request = asyncio.create_task(Asking(Person(), Config(), strangers).ask(question))
    await asked.wait()
    answer.set()
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.sleep(0)
    assert [pin.wiped for pin in typed] == [True, pair]
