"""Four cards in four readers, sites that want this one or that: each request is served by the right card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import CardSettings, Config, LimitSettings, OriginSettings
from agent.errors import AgentError, describe
from agent.interaction import CardChoiceQuestion, CardShown
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.operations import Caller
from hca_card.model import CardKind
from pcsc.errors import NoReaderError
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.many_cards import KINDS, MINISTRY, OFFICE, Person, facts_of, work_through
from tests.support.nhi_component import TURNED_ON, component_agent
from tests.support.operations import OWN, PIN, PORTAL, Spy, World, agent, until

REAL = (
    "ACS ACR39U ICC Reader 00 00",
    "Alcor Micro AU9540 01 00",
    "Generic EMV Smartcard Reader 02 00",
    "Gemalto PC Twin Reader 03 00",
)
HELLO = "Windows Hello for Business 1"
BUSY_SITES = replace(
    TURNED_ON,
    origins=OriginSettings(allow=frozenset((MINISTRY, OFFICE))),
    limits=LimitSettings(requests=1000, burst=1000),
    card=CardSettings(queue=64, queue_per_origin=32),
)
TRUSTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))


@pytest.mark.slow
async def test_200_mixed_requests_from_two_sites_are_each_served_by_the_right_card(tmp_path: Path) -> None:
    person = Person()
    kinds = (*KINDS, "")
    names = (*REAL, HELLO)
    async with component_agent(
        tmp_path, kinds, config=BUSY_SITES, interaction=person, names=names
    ) as running:
        assert running.daemon.hipki_port and running.daemon.nhi_ports
        cards = await facts_of(running, REAL)
        assert len({card.serial for card in cards.values()}) == len(KINDS)
        different = await work_through(running, cards, 200, seed=61)
    assert different > 20
    # Each site's person was asked once which card it is to have, whatever came at the same time.
    assert sorted(filter(None, person.choices)) == [MINISTRY, OFFICE]


# ---------------------------------------------------------------- one by one


def chooses(kind: str) -> Callable[[tuple[CardShown, ...]], CardShown]:
    return lambda cards: next(card for card in cards if card.kind.value == kind)


def choices(world: World) -> int:
    assert world.person is not None
    return sum(isinstance(question, CardChoiceQuestion) for question in world.person.questions)


@pytest.mark.parametrize("kind", ["hpc", "hop", "nhi"])
async def test_a_request_that_names_the_kind_is_served_by_it_without_a_question(
    tmp_path: Path, kind: str
) -> None:
    async with agent(tmp_path, "hpc", "hop", "nhi", config=TRUSTED) as world:
        read = await world.operations.card(PORTAL, kinds=(CardKind(kind),))
        assert read.metadata.kind == kind
        assert choices(world) == 0


async def test_a_request_is_served_by_the_only_card_that_has_what_it_needs(tmp_path: Path) -> None:
    async with agent(tmp_path, "nhi", "hpc", config=TRUSTED) as world:
        assert (await world.operations.certificate(PORTAL, 1)).serial == "000000335361"
        assert (await world.operations.pin_status(PORTAL)).tries_left == 3
        assert choices(world) == 0


async def test_a_card_that_cannot_encrypt_is_not_the_one_to_decrypt_with(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-v1", "hop", config=TRUSTED) as world:
        cipher = await world.operations.encrypt(PORTAL, b"plain")
        assert await world.operations.decrypt(PORTAL, cipher) == b"plain"
        assert choices(world) == 0


@pytest.mark.parametrize(
    ("there", "wanted"),
    [(("hpc",), ("hop", "hop-secondary")), (("hpc", "nhi"), ("hop",)), (("nhi",), ("hpc",))],
    ids=["one card", "two cards", "an NHI card"],
)
async def test_another_kind_is_refused_with_the_kind_that_is_wanted(
    tmp_path: Path, there: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    kinds = tuple(CardKind(each) for each in wanted)
    async with agent(tmp_path, *there, config=TRUSTED) as world:
        for work in (
            world.operations.card(PORTAL, kinds=kinds),
            world.operations.certificates(PORTAL, kinds=kinds),
            world.operations.pin_status(PORTAL, kinds=kinds),
            world.operations.sign(PORTAL, Hash.SHA_256, document=b"a", kinds=kinds),
            world.operations.change_pin(OWN, kinds=kinds),
            world.operations.choose(PORTAL, kinds),
        ):
            with pytest.raises(AgentError) as caught:
                await work
            assert caught.value.error_id == "card.wrong_kind"
        told = describe(caught.value)
        assert ("醫事機構卡" if "hop" in wanted else "醫事人員卡") in told.zh
        assert ("HCA institution card" if "hop" in wanted else "HCA personnel card") in told.en
        assert world.pins_asked() == []


async def test_a_reader_that_is_named_does_not_make_another_kind_right(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop", config=TRUSTED) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.card(PORTAL, world.readers[0].name, kinds=(CardKind.INSTITUTION,))
        assert caught.value.error_id == "card.wrong_kind"


async def test_a_card_changed_between_choice_and_work_is_still_checked(tmp_path: Path) -> None:
    async with agent(tmp_path, "hop", config=TRUSTED) as world:
        wanted = (CardKind.INSTITUTION,)
        assert (await world.operations.card(PORTAL, kinds=wanted)).metadata.kind == "hop"
        world.reader.remove()
        world.reader.insert(simulated("hpc"))
        with pytest.raises(AgentError) as caught:
            await world.operations.card(PORTAL, kinds=wanted)
        assert caught.value.error_id == "card.wrong_kind"


async def test_the_choice_for_a_site_holds_for_all_its_pages_and_for_no_other_site(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=[PIN] * 9, chosen=chooses("hop"))
    async with agent(tmp_path, "hpc", "hop", config=TRUSTED, interaction=person) as world:
        for session in ("1", "2", "3"):
            read = await world.operations.card(Caller(PORTAL.origin, session))
            assert read.metadata.kind == "hop"
        assert choices(world) == 1
        await world.operations.card(Caller("https://other.example.tw", "1"))
        assert choices(world) == 2


async def test_the_choice_of_an_institution_card_never_serves_a_request_for_a_personnel_card(
    tmp_path: Path,
) -> None:
    person = ScriptedInteraction(pins=[PIN] * 9, chosen=chooses("hop"))
    async with agent(tmp_path, "hpc", "hop", config=TRUSTED, interaction=person) as world:
        assert (await world.operations.card(PORTAL)).metadata.kind == "hop"
        personnel = (CardKind.PERSONNEL,)
        signed = await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a", kinds=personnel)
        assert signed.serial == "000000335361"
        world.readers[0].remove()
        for work in (
            world.operations.card(PORTAL, kinds=personnel),
            world.operations.sign(PORTAL, Hash.SHA_256, document=b"a", kinds=personnel),
        ):
            with pytest.raises(AgentError) as caught:
                await work
            assert caught.value.error_id == "card.wrong_kind"


async def test_the_choice_ends_when_that_very_card_is_taken_out_and_not_when_another_is(
    tmp_path: Path,
) -> None:
    person = ScriptedInteraction(pins=[PIN] * 9, chosen=chooses("hop"))
    async with agent(tmp_path, "hpc", "hop", "nhi", config=TRUSTED, interaction=person) as world:
        await world.operations.card(PORTAL)
        world.readers[2].remove()
        world.readers[0].remove()
        world.readers[0].insert(simulated("hpc"))
        await world.operations.card(PORTAL)
        assert choices(world) == 1
        world.readers[1].remove()
        world.readers[1].insert(simulated("hop"))
        await world.operations.card(PORTAL)
        assert choices(world) == 2


async def test_of_two_choices_the_last_one_that_will_do_holds(tmp_path: Path) -> None:
    wanted = ["nhi", "hop"]

    def choose(cards: tuple[CardShown, ...]) -> CardShown:
        return chooses(wanted.pop(0))(cards)

    person = ScriptedInteraction(pins=[PIN] * 9, chosen=choose)
    async with agent(tmp_path, "hpc", "hop", "nhi", config=TRUSTED, interaction=person) as world:
        assert (await world.operations.card(PORTAL)).metadata.kind == "nhi"
        assert (await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")).serial == "000000335401"
        assert (await world.operations.card(PORTAL)).metadata.kind == "hop"
        assert choices(world) == 2


async def test_nobody_to_ask_is_ambiguous_unless_the_kind_is_named(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop", config=TRUSTED, interaction=Headless()) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.card(PORTAL)
        assert caught.value.error_id == "card.ambiguous"
        assert (await world.operations.card(PORTAL, kinds=(CardKind.INSTITUTION,))).metadata.kind == "hop"


# ---------------------------------------------------------------- few commands


async def test_choosing_looks_at_each_card_once_while_it_stays(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", "hop", config=TRUSTED) as world:
        wanted = (CardKind.INSTITUTION,)

        async def commands() -> int:
            before = len(world.apdus)
            await world.operations.card(PORTAL, kinds=wanted)
            return len(world.apdus) - before

        first, alone = await commands(), await commands()
        named = len(world.apdus)
        await world.operations.card(PORTAL, world.readers[1].name, kinds=wanted)
        named = len(world.apdus) - named
        assert alone == named < first
        assert await commands() == alone
        world.readers[0].remove()
        world.readers[0].insert(Spy(simulated("citizen"), world.apdus))

        async def noticed() -> bool:
            view, *_ = await world.operations.readers(PORTAL)
            return (view.condition, view.event_counter) == ("card", world.readers[0].counter)

        await until(noticed, "the agent did not see the card")
        await commands()
        assert await commands() == alone


async def test_no_command_is_sent_to_a_card_that_cannot_be_meant(tmp_path: Path) -> None:
    async with agent(tmp_path, "nhi", "hpc", config=TRUSTED) as world:
        to_nhi: list[bytes] = []
        world.readers[0].remove()
        world.readers[0].insert(Spy(simulated("nhi"), to_nhi))
        await world.operations.sign(PORTAL, Hash.SHA_256, document=b"a")
        await world.operations.card(PORTAL, kinds=(CardKind.PERSONNEL,))
        await world.operations.certificates(PORTAL)
        assert to_nhi == []


async def test_a_card_that_cannot_be_made_out_is_not_tried_with_every_request(tmp_path: Path) -> None:
    class Unknown:
        def __init__(self) -> None:
            self.commands = 0

        def power_on(self) -> bytes:
            return bytes.fromhex("3B 65 00 00 20 63 CB 68 00")

        def power_off(self) -> None:
            pass

        def transmit(self, command: bytes) -> bytes:
            self.commands += 1
            return bytes.fromhex("6D00")

    async with agent(tmp_path, "hpc", "", config=TRUSTED) as world:
        stranger = Unknown()
        world.readers[1].insert(stranger)
        for _ in range(3):
            assert (await world.operations.card(PORTAL)).metadata.kind == "hpc"
            seen = stranger.commands
            assert 0 < seen <= 12
        assert stranger.commands == seen


async def test_windows_hello_is_never_taken_by_accident(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED, names=(HELLO,)) as world:
        with pytest.raises(NoReaderError):
            await world.operations.card(PORTAL)
        assert world.apdus == []
        assert (await world.operations.card(PORTAL, HELLO)).metadata.kind == "hpc"


async def test_a_real_card_of_another_kind_does_not_let_a_virtual_one_win(tmp_path: Path) -> None:
    names = (REAL[0], "Virtual PCD 00 00")
    async with agent(tmp_path, "nhi", "hpc", config=TRUSTED, names=names) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.card(PORTAL, kinds=(CardKind.PERSONNEL,))
        assert caught.value.error_id == "card.wrong_kind"
