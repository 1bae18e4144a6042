from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from agent.errors import AgentError, ErrorId, error_id
from agent.interaction import CardChoiceQuestion, CardShown
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.operations import Caller, ReaderCondition, ReaderView, card_selection
from agent.operations.card_selection import CardRequirement, CardSelection, _Known
from agent.operations.transaction_jobs import CardSnapshot, look
from hca_card.errors import CardChangedError, CardDataError
from hca_card.model import CardKind, KeyUse
from pcsc.errors import CommunicationError
from signing.errors import CipherInvalidError
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.fake_card import SIGNING, FakeCard, FakeVisit
from tests.support.operations import OTHER, OWN, PIN, PORTAL, agent

CARD = ReaderCondition.CARD


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


def snapshot(certificate: bytes = b"") -> CardSnapshot:
    return look(FakeVisit(), cast(Any, FakeCard(held={1: certificate})))


def refusing(*ours: bytes) -> Callable[[bytes], object]:
    """Nothing was encrypted for any certificate but these."""

    def recipient(certificate: bytes) -> None:
        if certificate not in ours:
            raise CipherInvalidError

    return recipient


def test_a_card_of_another_kind_or_another_card_is_refused() -> None:
    card = cast(Any, FakeCard())
    CardRequirement(frozenset((CardKind.PERSONNEL,)), serial=card.serial).require(card)
    with pytest.raises(AgentError) as caught:
        CardRequirement(frozenset((CardKind.INSTITUTION, CardKind.CITIZEN))).require(card)
    assert error_id(caught.value) == ErrorId.CARD_WRONG_KIND
    assert "、" in str(caught.value.facts["wanted"])
    with pytest.raises(CardChangedError):
        CardRequirement(serial="another").require(card)


def test_a_card_is_a_recipient_where_nobody_says_otherwise() -> None:
    assert CardRequirement().is_recipient(snapshot())
    assert CardRequirement(recipient=refusing(b"a")).is_recipient(snapshot(b"a"))
    assert not CardRequirement(recipient=refusing(b"b")).is_recipient(snapshot(b"a"))


def test_what_is_known_of_a_card_holds_for_that_card_and_of_an_unknown_one_for_a_while() -> None:
    view = ReaderView("A", CARD, pin_pad=False, virtual=False, atr=b";", event_counter=7)
    now = time.monotonic()
    assert _Known(7, b";", snapshot(), now - 3600).holds_for(view)
    assert not _Known(8, b";", snapshot(), now).holds_for(view)
    assert not _Known(7, b"?", snapshot(), now).holds_for(view)
    assert _Known(7, b";", None, now).holds_for(view)
    assert not _Known(7, b";", None, now - 31).holds_for(view)


class Table:
    """Readers with cards, whoever works with them, and a person who takes the first; no threads."""

    available = True

    def __init__(self, **cards: FakeCard | Exception) -> None:
        self.cards = cards
        self.looks: list[str] = []
        self.choices: list[CardChoiceQuestion] = []
        self.selection = CardSelection(cast(Any, self), cast(Any, self), cast(Any, self))

    async def look(self) -> tuple[ReaderView, ...]:
        await asyncio.sleep(0)
        return tuple(
            ReaderView(name, CARD, pin_pad=False, virtual=False, atr=b";", event_counter=7)
            for name in self.cards
        )

    def known(self, _reader: str) -> bool:
        return False

    async def run(self, reader: str, job: Callable[[FakeVisit], object], *, origin: str | None) -> object:
        await asyncio.sleep(0)
        self.looks.append(reader)
        return job(FakeVisit(reader=reader, holds=self.cards[reader]))

    async def ask(self, question: CardChoiceQuestion) -> CardShown:
        self.choices.append(question)
        return question.cards[0]

    async def pick(self, requirement: CardRequirement, caller: Caller = PORTAL) -> str:
        return await self.selection.pick(caller, None, requirement)


def holding(certificate: bytes, **facts: Any) -> FakeCard:
    return FakeCard(held={1: SIGNING, 2: certificate}, serial=certificate.hex(), **facts)


DECRYPT = CardRequirement(key=KeyUse.ENCRYPTION, recipient=refusing(b"b"))


async def test_of_several_cards_the_one_is_taken_that_something_was_encrypted_for() -> None:
    assert await Table(A=holding(b"a"), B=holding(b"b"), C=holding(b"c")).pick(DECRYPT) == "B"


async def test_where_nothing_was_encrypted_for_any_of_them_the_first_will_say_so() -> None:
    table = Table(A=holding(b"a"), B=holding(b"c"))
    assert await table.pick(DECRYPT) == "A"
    assert not table.choices


async def test_a_card_that_fails_when_it_is_looked_at_for_its_key_is_not_the_one() -> None:
    broken = holding(b"b")
    broken.held[2] = CardDataError("cut off")
    assert await Table(A=holding(b"a"), B=broken, C=holding(b"b")).pick(DECRYPT) == "C"


async def test_where_no_card_is_of_the_kind_the_kind_is_named() -> None:
    table = Table(A=holding(b"a"), B=holding(b"b"))
    with pytest.raises(AgentError) as caught:
        await table.pick(CardRequirement(frozenset((CardKind.INSTITUTION,))))
    assert error_id(caught.value) == ErrorId.CARD_WRONG_KIND


async def test_where_no_card_has_what_is_needed_one_of_the_kind_will_say_what_is_wrong() -> None:
    bare = FakeCard(keys=frozenset())
    assert (
        await Table(A=holding(b"a", kind=CardKind.CITIZEN, keys=frozenset()), B=bare).pick(
            CardRequirement(frozenset((CardKind.PERSONNEL,)), KeyUse.SIGNATURE)
        )
        == "B"
    )
    assert await Table(A=CardDataError("cut off"), B=CardDataError("cut off")).pick(CardRequirement()) == "A"


async def test_a_card_that_cannot_be_made_out_is_remembered_and_a_link_that_failed_is_not() -> None:
    table = Table(A=CardDataError("cut off"), B=CommunicationError(), C=FakeCard())
    for _ in range(2):
        assert await table.pick(CardRequirement()) == "C"
    assert sorted(table.looks) == ["A", "B", "B", "C"]


async def test_requests_made_at_once_ask_the_person_once() -> None:
    table = Table(A=holding(b"a"), B=holding(b"b"))
    assert await asyncio.gather(*(table.pick(CardRequirement()) for _ in range(5))) == ["A"] * 5
    assert len(table.choices) == 1


async def test_choices_are_remembered_for_so_many_and_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(card_selection, "_REMEMBERED_MAX", 1)
    table = Table(A=holding(b"a"), B=holding(b"b"))
    for caller in (PORTAL, PORTAL, OTHER, OTHER, PORTAL):
        assert await table.pick(CardRequirement(), caller) == "A"
    assert [choice.origin for choice in table.choices] == [PORTAL.origin, OTHER.origin, PORTAL.origin]
