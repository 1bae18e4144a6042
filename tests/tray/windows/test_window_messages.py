"""What the agent and its windows say to each other, and what either side refuses."""

from __future__ import annotations

import msgspec
import pytest

from agent.interaction import CardShown, Verb
from agent.interaction import window_messages as messages
from hca_card.model import CardKind, PinStatus

CARD = messages.Card.of(CardShown("Reader", CardKind.PERSONNEL, "000000123456", "王小明", False))
TRIES = messages.Tries.of(PinStatus(3, 6, 8))
TOLD = [
    messages.AskConsent(origin="https://a.example", verb=Verb.LOGIN, also=(Verb.READ,), days=30, seconds=9),
    messages.AskPin(origin=None, verb=Verb.SIGN, card=CARD, tries=TRIES, keypad=True),
    messages.AskNewPin(origin=None, card=CARD, tries=TRIES),
    messages.AskUnblock(origin=None, card=CARD, tries=TRIES, puk=TRIES),
    messages.AskCard(origin=None, cards=(CARD,)),
    messages.TellAbout(version="1", compatible="2"),
    messages.TellNotice(zh="中", en="en"),
    messages.TellOrigins(sites=(messages.Site(origin="https://a.example", allowed=True),)),
]
ANSWERS = [
    messages.Decided(allowed=True),
    messages.Typed(pin=list(b"123456")),
    messages.Typed(pin=list(b"123456"), new=list(b"abcdef")),
    messages.Picked(index=1),
    messages.Forget(origin="https://a.example"),
    messages.Expired(),
    messages.Closed(),
]


@pytest.mark.parametrize("message", TOLD, ids=messages.kind_of)
def test_a_window_hears_what_the_agent_said(message: messages.Message):
    assert messages.told(messages.kind_of(message), messages.line(message)) == message


@pytest.mark.parametrize("message", TOLD, ids=messages.kind_of)
def test_a_window_refuses_the_message_of_another_window(message: messages.Message):
    for kind in messages.KINDS:
        if kind != messages.kind_of(message):
            with pytest.raises(msgspec.ValidationError):
                messages.told(kind, messages.line(message))


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_the_agent_hears_what_a_window_answered(answer: messages.Answer):
    assert messages.answered(messages.line(answer)) == answer


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b'{"type":"decided"}',
        b'{"type":"decided","allowed":1}',
        b'{"type":"decided","allowed":true,"more":1}',
        b'{"type":"typed","pin":"123456"}',
        b'{"type":"typed","pin":[]}',
        b'{"type":"typed","pin":[256]}',
        b'{"type":"typed","pin":[10]}',
        b'{"type":"typed","pin":[49' + b",49" * 64 + b"]}",
        b'{"type":"picked","index":-1}',
        b'{"type":"consent","origin":"https://a.example","verb":"read","days":1}',
    ],
)
def test_the_agent_refuses_what_no_window_says(text: bytes):
    with pytest.raises(msgspec.MsgspecError):
        messages.answered(text)


def test_a_refused_pin_is_not_in_the_words_of_the_refusal():
    with pytest.raises(msgspec.MsgspecError) as caught:
        messages.answered(b'{"type":"typed","pin":[49,50,51,52,53,54,200]}')
    assert "49" not in str(caught.value)
    assert "200" not in str(caught.value)


def test_taking_a_pin_empties_the_list_it_came_in():
    octets = list(b"123456")
    pin = messages.take(octets)
    assert octets == []
    assert pin.octets == b"123456"
