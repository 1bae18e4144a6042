from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.interaction import CardChoiceQuestion, CardShown
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.operations import ReaderCondition, ReaderView
from agent.operations.readers import candidates, is_virtual, named
from pcsc.errors import (
    CardMuteError,
    NoCardError,
    NoReaderError,
    PcscError,
    ReaderBusyError,
    ReaderUnavailableError,
)
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import OTHER, OWN, PIN, PORTAL, agent

CARD, EMPTY, MUTE, BUSY = (
    ReaderCondition.CARD,
    ReaderCondition.EMPTY,
    ReaderCondition.MUTE,
    ReaderCondition.BUSY,
)
REAL, REAL_2 = "ACS ACR39U 00 00", "Alcor Micro AU9540 01 00"
HELLO, VPCD = "Windows Hello for Business 1", "Virtual PCD 00 00"


def view(name: str, condition: ReaderCondition) -> ReaderView:
    return ReaderView(name, condition, pin_pad=False, virtual=is_virtual(name), atr=b"", event_counter=0)


@pytest.mark.parametrize(
    ("readers", "meant"),
    [
        ([(REAL, CARD)], [REAL]),
        ([(REAL, CARD), (REAL_2, EMPTY)], [REAL]),
        ([(REAL, CARD), (REAL_2, CARD)], [REAL, REAL_2]),
        ([(HELLO, CARD), (REAL, CARD)], [REAL]),
        ([(VPCD, CARD), (REAL, CARD)], [REAL]),
        ([(VPCD, CARD), (REAL, EMPTY)], [VPCD]),
        ([(VPCD, CARD), (HELLO, CARD)], [VPCD]),
        ([(REAL, CARD), (REAL_2, BUSY)], [REAL]),
    ],
)
def test_real_readers_come_before_virtual_ones(
    readers: list[tuple[str, ReaderCondition]], meant: list[str]
) -> None:
    assert [item.name for item in candidates([view(*reader) for reader in readers])] == meant


@pytest.mark.parametrize(
    ("readers", "error"),
    [
        ([], NoReaderError),
        ([(HELLO, CARD)], NoReaderError),
        ([(REAL, EMPTY)], NoCardError),
        ([(REAL, EMPTY), (HELLO, CARD)], NoCardError),
        ([(REAL, MUTE)], CardMuteError),
        ([(REAL, BUSY), (REAL_2, MUTE)], ReaderBusyError),
        ([(REAL, EMPTY), (REAL_2, MUTE)], CardMuteError),
    ],
)
def test_without_any_card_the_nearest_thing_to_one_is_named(
    readers: list[tuple[str, ReaderCondition]], error: type[PcscError]
) -> None:
    with pytest.raises(error):
        candidates([view(*reader) for reader in readers])


def test_a_reader_that_is_named_is_taken_whatever_it_is() -> None:
    views = [view(REAL, CARD), view(HELLO, CARD), view(REAL_2, EMPTY)]
    assert named(views, HELLO).name == HELLO
    with pytest.raises(NoCardError):
        named(views, REAL_2)
    with pytest.raises(ReaderUnavailableError):
        named(views, "ACS")


async def test_the_only_card_that_can_sign_is_taken_without_a_question(tmp_path: Path) -> None:
    async with agent(tmp_path, "nhi", "hpc", "hpc-torn") as world:
        done = await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        assert done.signature
        assert world.pins_asked()[0].card.reader == world.readers[1].name


async def test_of_several_cards_the_person_chooses_once_until_that_card_moves(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=[PIN] * 9, chosen=lambda cards: cards[1])
    async with agent(tmp_path, "hpc", "hop", "", interaction=person) as world:

        def choices() -> list[object]:
            return [question for question in person.questions if isinstance(question, CardChoiceQuestion)]

        for _ in range(2):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        assert [asked.card.serial for asked in world.pins_asked()] == ["000000335401"] * 2
        assert len(choices()) == 1
        await world.operations.sign(OTHER, Hash.SHA_256, document=b"a")
        assert len(choices()) == 2
        world.readers[2].insert(simulated("citizen"))
        await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        assert len(choices()) == 2
        card = world.readers[1].remove()
        world.readers[1].insert(card)
        await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        assert len(choices()) == 3


async def test_the_cards_are_shown_by_holder_and_number(tmp_path: Path) -> None:
    shown: list[CardShown] = []

    def choose(cards: tuple[CardShown, ...]) -> CardShown:
        shown.extend(cards)
        return cards[0]

    person = ScriptedInteraction(pins=[PIN], chosen=choose)
    async with agent(tmp_path, "hpc", "hop", interaction=person) as world:
        await world.operations.card(PORTAL)
    assert [(card.serial, card.simulated) for card in shown] == [
        ("000000335361", True),
        ("000000335401", True),
    ]
    assert shown[0].holder == "測試人員卡"


async def test_a_person_who_will_not_choose_ends_the_request(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop") as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.card(PORTAL)
        assert caught.value.error_id == "request.cancelled"


async def test_headless_among_several_cards_is_ambiguous_unless_the_reader_is_named(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop", interaction=Headless()) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.card(OWN)
        assert caught.value.error_id == "card.ambiguous"
        named_one = await world.operations.card(OWN, reader=world.readers[1].name)
        assert named_one.metadata.serial == "000000335401"
