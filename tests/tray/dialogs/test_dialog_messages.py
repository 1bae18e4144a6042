"""What the agent and its windows say to each other, and what either side refuses."""

from __future__ import annotations

import msgspec
import pytest

from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    ConsentReply,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    UnblockQuestion,
)
from agent.interaction import dialog_messages as messages
from agent.interaction.dialog_messages import Opening
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus

CARD = CardShown("Reader", CardKind.PERSONNEL, "000000123456", "王小明", False)
STATUS = PinStatus(3, 6, 8)
OPENINGS = [
    Opening(content=ConsentQuestion("https://a.example", Verb.LOGIN, also=(Verb.READ,)), days=30, seconds=9),
    Opening(content=PinQuestion(None, CARD, STATUS, Verb.SIGN)),
    Opening(content=KeypadQuestion(None, CARD, STATUS, Verb.SIGN)),
    Opening(content=NewPinQuestion(None, CARD, STATUS)),
    Opening(content=UnblockQuestion(None, CARD, STATUS, STATUS)),
    Opening(content=CardChoiceQuestion(None, (CARD,))),
    Opening(content=messages.About(version="1", compatible="2")),
    Opening(content=messages.Ending(again=False)),
    Opening(content=messages.Notice(zh="中", en="en")),
    Opening(content=messages.SiteList(sites=(messages.SiteShown(origin="https://a.example", allowed=True),))),
]
ANSWERS = [
    messages.Decided(reply=ConsentReply.NO_TO_UNKNOWN),
    messages.Typed(pin=list(b"123456")),
    messages.Typed(pin=list(b"123456"), new=list(b"abcdef")),
    messages.Picked(index=1),
    messages.Forget(origin="https://a.example"),
    messages.Expired(),
    messages.Closed(),
]


def kind_of(opening: Opening) -> str:
    return opening.kind


@pytest.mark.parametrize("opening", OPENINGS, ids=kind_of)
def test_a_window_hears_what_the_agent_said(opening: Opening):
    assert messages.read_opening(opening.kind, messages.line(opening)) == opening


@pytest.mark.parametrize("opening", OPENINGS, ids=kind_of)
def test_a_window_refuses_the_message_of_another_window(opening: Opening):
    for kind in messages.KINDS:
        if kind != opening.kind:
            with pytest.raises(msgspec.ValidationError):
                messages.read_opening(kind, messages.line(opening))


@pytest.mark.parametrize("opening", OPENINGS, ids=kind_of)
def test_a_window_refuses_a_member_that_it_does_not_know(opening: Opening):
    known = messages.line(opening)
    for at in (place for place, octet in enumerate(known) if octet == ord("{")):
        with pytest.raises(msgspec.ValidationError):
            messages.read_opening(opening.kind, known[: at + 1] + b'"more":1,' + known[at + 1 :])


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_the_agent_hears_what_a_window_answered(answer: messages.WindowAnswer):
    assert messages.read_answer(messages.line(answer)) == answer


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b'{"type":"decided"}',
        b'{"type":"decided","reply":1}',
        b'{"type":"decided","reply":"yes","more":1}',
        b'{"type":"typed","pin":"123456"}',
        b'{"type":"typed","pin":[]}',
        b'{"type":"typed","pin":[256]}',
        b'{"type":"typed","pin":[10]}',
        b'{"type":"typed","pin":[49' + b",49" * 64 + b"]}",
        b'{"type":"picked","index":-1}',
        b'{"type":"consent","origin":"https://a.example","verb":"read"}',
    ],
)
def test_the_agent_refuses_what_no_window_says(text: bytes):
    with pytest.raises(msgspec.MsgspecError):
        messages.read_answer(text)


def test_a_refused_pin_is_not_in_the_words_of_the_refusal():
    with pytest.raises(msgspec.MsgspecError) as caught:
        messages.read_answer(b'{"type":"typed","pin":[49,50,51,52,53,54,200]}')
    assert "49" not in str(caught.value)
    assert "200" not in str(caught.value)


def test_taking_a_pin_empties_the_list_it_came_in():
    octets = list(b"123456")
    pin = messages.take_pin(octets)
    assert octets == []
    assert pin.octets == b"123456"
