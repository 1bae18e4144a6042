"""A PIN asked once: whose card it is kept for, and when it is forgotten."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.cli.pin_for_many_files import AskedOnce
from agent.interaction import CardShown, PinQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus

CARD = CardShown("Reader", CardKind.PERSONNEL, "000000335361", "測試人員卡", simulated=True)
REQUEST = PinQuestion(None, CARD, PinStatus(3, 6, 8), Verb.SIGN)


async def _octets(interaction: AskedOnce, request: PinQuestion) -> bytes | None:
    pin = await interaction.ask(request)
    if pin is None:
        return None
    with pin:
        return pin.octets


async def test_the_same_card_gets_the_same_pin_without_a_question():
    person = ScriptedInteraction(["123456"])
    with AskedOnce(person) as asked:
        assert [await _octets(asked, REQUEST) for _ in range(3)] == [b"123456"] * 3
    assert len(person.questions) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, card=replace(CARD, serial="000000335362")),
        replace(REQUEST, card=replace(CARD, reader="Another reader")),
        replace(REQUEST, status=PinStatus(2, 6, 8)),
    ],
    ids=["another card", "another reader", "a try was spent"],
)
async def test_another_card_or_a_try_spent_is_a_question_again(other: PinQuestion):
    person = ScriptedInteraction(["123456", "654321"])
    with AskedOnce(person) as asked:
        assert await _octets(asked, REQUEST) == b"123456"
        assert await _octets(asked, other) == b"654321"
    assert len(person.questions) == 2


async def test_the_pin_is_wiped_at_the_end():
    with AskedOnce(ScriptedInteraction(["123456"])) as asked:
        await _octets(asked, REQUEST)
        kept = asked._pin
        assert kept is not None and not kept.wiped
    assert kept.wiped


async def test_whoever_cancels_is_asked_again():
    with AskedOnce(ScriptedInteraction([None, "123456"])) as asked:
        assert await _octets(asked, REQUEST) is None
        assert await _octets(asked, REQUEST) == b"123456"


async def test_somebody_is_there_while_the_pin_is():
    """A PIN from standard input is used up at once, and its copy serves the files that follow."""
    person = ScriptedInteraction(["123456"], available=False)
    with AskedOnce(person) as asked:
        assert not asked.available
        await _octets(asked, REQUEST)
        assert asked.available
