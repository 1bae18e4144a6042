from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, ConsentSettings
from agent.errors import AgentError, facts
from agent.interaction import PinQuestion, Question
from agent.interaction.scripted import GivenPin, ScriptedInteraction
from agent.vocabulary import Verb
from hca_card.errors import (
    CardChangedError,
    NotActivatedError,
    PinLastTryError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    TerminatedError,
)
from hca_card.model import CardKind
from hca_card.pin import Pin
from hca_card.recognise import recognise
from pcsc.apdu import Command
from pcsc.errors import CardRemovedError, CardResetError, NoCardError, PcscError
from pcsc.virtual import VirtualReader
from signing.errors import CipherInvalidError
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import OTHER, OWN, PIN, PORTAL, Spy, World, agent, until

DOCUMENT = "同意書".encode()
VERIFY = b"\x00\x20\x00\x01"
READ_BINARY = 0xB0


class Meanwhile(ScriptedInteraction):
    """A person who enters the right PIN, after something else has happened."""

    def __init__(self, pin: str = PIN) -> None:
        super().__init__(pins=[pin] * 20)
        self.happens: Callable[[], None] = lambda: None

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await super().ask(question)
        await asyncio.to_thread(self.happens)
        return await super().ask(question)


def sign(world: World, caller=PORTAL, **more):  # type: ignore[no-untyped-def]
    return world.operations.sign(caller, Hash.SHA_256, document=DOCUMENT, **more)


def verifications(world: World) -> list[bytes]:
    return [apdu for apdu in world.apdus if apdu[:4] == VERIFY and len(apdu) > 5]


def guess(world: World) -> None:
    """Another program tries a wrong PIN."""
    with (
        world.other_program() as other,
        other.transaction() as transaction,
        pytest.raises(PinWrongError),
    ):
        recognise(transaction, other.atr).verify(Pin("999999"))


def swap(reader: VirtualReader, world: World, kind: str) -> None:
    reader.remove()
    world.cards.append(simulated(kind))
    reader.insert(Spy(world.cards[-1], world.apdus))


async def test_the_person_is_told_who_wants_what_with_which_card_and_how_many_tries(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await sign(world)
        [asked] = world.pins_asked()
        assert (asked.origin, asked.verb) == (PORTAL.origin, Verb.SIGN)
        assert (asked.card.serial, asked.card.holder, asked.card.simulated) == (
            "000000335361",
            "測試人員卡",
            True,
        )
        assert asked.status.tries_left == 3


async def test_a_wrong_pin_costs_exactly_one_try_and_is_not_sent_again(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=["999999"])) as world:
        with pytest.raises(PinWrongError) as caught:
            await sign(world)
        assert facts(caught.value) == {"tries_left": 2}
        assert world.tries == 2
        assert len(verifications(world)) == 1
        assert world.audit()[-1].result == "pin.wrong"


async def test_a_pin_of_the_wrong_length_is_never_sent(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=["123"])) as world:
        with pytest.raises(PinLengthError):
            await sign(world)
        assert world.tries == 3
        assert not verifications(world)


async def test_no_pin_is_asked_for_a_locked_card(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-locked") as world:
        with pytest.raises(PinLockedError):
            await sign(world)
        assert not world.pins_asked()


async def test_the_last_try_is_for_the_person_alone_to_spend(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-last-try") as world:
        await sign(world)
        [asked] = world.pins_asked()
        assert asked.status.last_try
        assert world.tries == 3


async def test_the_last_try_is_never_spent_on_a_pin_from_a_page(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-last-try") as world:
        with pytest.raises(PinLastTryError):
            await world.operations.keep_pin(PORTAL, Pin(PIN))
        assert world.tries == 1
        assert not verifications(world)
        assert world.audit()[-1].result == "pin.last_try"


async def test_the_last_try_is_never_spent_on_a_pin_from_standard_input(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-last-try", interaction=GivenPin(Pin(PIN))) as world:
        with pytest.raises(PinLastTryError):
            await sign(world, OWN)
        assert world.tries == 1
        assert not verifications(world)


async def test_a_pin_given_beforehand_is_for_the_persons_own_command_and_once(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=GivenPin(Pin(PIN))) as world:
        assert (await sign(world, OWN)).signature
        with pytest.raises(AgentError) as caught:
            await sign(world, OWN)
        assert caught.value.error_id == "pin.unavailable"


async def test_a_person_who_cancels_spends_no_try(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=[None])) as world:
        with pytest.raises(AgentError) as caught:
            await sign(world)
        assert caught.value.error_id == "pin.cancelled"
        assert world.tries == 3


async def test_a_person_who_never_answers_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    class Asleep(ScriptedInteraction):
        async def ask(self, question: Question[Any]) -> Any:
            if not isinstance(question, PinQuestion):
                return await super().ask(question)
            await asyncio.Event().wait()
            return None

    config = Config(consent=ConsentSettings(seconds=1))
    async with agent(tmp_path, "hpc", interaction=Asleep(), config=config) as world:
        with pytest.raises(AgentError) as caught:
            await sign(world)
        assert caught.value.error_id == "pin.cancelled"


@pytest.mark.parametrize(
    ("kind", "error"), [("hpc-not-activated", NotActivatedError), ("hpc-terminated", TerminatedError)]
)
async def test_a_card_that_is_not_in_use_says_so(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    async with agent(tmp_path, kind) as world:
        with pytest.raises(error):
            await sign(world)


async def test_no_transaction_is_open_while_the_person_is_asked(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:
        seen = []

        def other_program() -> None:
            with world.other_program() as other, other.transaction() as transaction:
                seen.append(transaction.send(Command(0x00, 0xA4, 0x00, 0x00, b"\x3f\x00", le=256)).sw)

        person.happens = other_program
        await sign(world)
        assert seen


async def test_a_card_swapped_while_the_person_is_asked_costs_no_try_on_either(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:
        person.happens = lambda: swap(world.reader, world, "hpc-last-try")
        with pytest.raises(CardChangedError):
            await sign(world)
        assert [card.pin_tries for card in world.cards] == [3, 1]
        assert not verifications(world)


async def test_a_card_taken_out_while_the_person_is_asked_is_no_card(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:
        person.happens = world.reader.remove
        with pytest.raises((NoCardError, CardRemovedError)):
            await sign(world)
        assert world.tries == 3


async def test_the_same_card_put_back_while_the_person_is_asked_is_fine(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:

        def out_and_in() -> None:
            world.reader.remove()
            world.reader.insert(world.card)

        person.happens = out_and_in
        assert await sign(world)


async def test_tries_used_up_meanwhile_are_not_gambled_with(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:

        def somebody_guesses() -> None:
            guess(world)
            world.apdus.clear()

        person.happens = somebody_guesses
        with pytest.raises(AgentError) as caught:
            await sign(world)
        assert caught.value.error_id == "pin.tries_changed"
        assert world.tries == 2
        assert not verifications(world)


async def test_a_reset_by_another_program_while_the_person_is_asked_does_no_harm(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:
        person.happens = world.reader.reset_by_other_program
        assert await sign(world)
        assert world.tries == 3


class Sabotage:
    """A card whose reader suffers something right after a command with this header was answered."""

    def __init__(self, card: object, header: bytes, happens: Callable[[], None]) -> None:
        self._card, self._header, self._happens = card, header, happens

    def power_on(self) -> bytes:
        return self._card.power_on()  # type: ignore[attr-defined, no-any-return]

    def power_off(self) -> None:
        self._card.power_off()  # type: ignore[attr-defined]

    def transmit(self, command: bytes) -> bytes:
        answer: bytes = self._card.transmit(command)  # type: ignore[attr-defined]
        if command.startswith(self._header) and len(command) > 5:
            self._happens()
        return answer


@pytest.mark.parametrize(
    ("name", "error"), [("remove", CardRemovedError), ("reset_by_other_program", CardResetError)]
)
async def test_what_happens_to_the_card_right_after_its_pin_is_named(
    tmp_path: Path, name: str, error: type[PcscError]
) -> None:
    async with agent(tmp_path, "") as world:
        world.cards.append(simulated("hpc"))
        happens = getattr(world.reader, name)
        world.reader.insert(Sabotage(world.card, VERIFY, happens))
        with pytest.raises(error):
            await sign(world)
        assert world.tries == 3


async def test_another_program_cannot_sign_after_us(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await sign(world)
        with world.other_program() as other, other.transaction() as transaction:
            # No SELECT: whatever state we left would still be there.
            transaction.send(Command(0x00, 0x22, 0x41, 0xB6, bytes.fromhex("800111840101")))
            answer = transaction.send(
                Command(0x00, 0x2A, 0x9E, 0x9A, Hash.SHA_256.digest_info(bytes(32)), le=256)
            )
        assert answer.sw == 0x6982


async def test_another_program_cannot_sign_after_our_failure(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(CipherInvalidError):
            await world.operations.decrypt(OWN, bytes(256))
        with world.other_program() as other, other.transaction() as transaction:
            transaction.send(Command(0x00, 0x22, 0x41, 0xB6, bytes.fromhex("800111840101")))
            answer = transaction.send(
                Command(0x00, 0x2A, 0x9E, 0x9A, Hash.SHA_256.digest_info(bytes(32)), le=256)
            )
        assert answer.sw == 0x6982


async def test_two_pages_at_once_are_asked_one_after_the_other_and_both_served(tmp_path: Path) -> None:
    class OneAtATime(ScriptedInteraction):
        open = 0

        async def ask(self, question: Question[Any]) -> Any:
            if not isinstance(question, PinQuestion):
                return await super().ask(question)
            type(self).open += 1
            assert type(self).open == 1
            await asyncio.sleep(0.02)  # a person's deliberate slowness
            type(self).open -= 1
            return await super().ask(question)

    async with agent(tmp_path, "hpc", interaction=OneAtATime(pins=[PIN] * 4)) as world:
        results = await asyncio.gather(*(sign(world, caller) for caller in (PORTAL, OTHER, PORTAL, OTHER)))
        assert len({result.signature for result in results}) == 1
        assert world.tries == 3


async def test_of_two_pages_at_once_the_second_is_shown_the_tries_the_first_left(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=["999999", PIN])) as world:
        wrong, right = await asyncio.gather(sign(world, PORTAL), sign(world, OTHER), return_exceptions=True)
        assert isinstance(wrong, PinWrongError)
        assert not isinstance(right, BaseException)
        assert [asked.status.tries_left for asked in world.pins_asked()] == [3, 2]


async def test_one_page_cannot_pile_up_questions(tmp_path: Path) -> None:
    class Asleep(ScriptedInteraction):
        async def ask(self, question: Question[Any]) -> Any:
            if not isinstance(question, PinQuestion):
                return await super().ask(question)
            await asyncio.Event().wait()
            return None

    async with agent(tmp_path, "hpc", interaction=Asleep()) as world:
        tasks = [asyncio.create_task(sign(world)) for _ in range(40)]
        await until(lambda: sum(task.done() for task in tasks) >= 24)
        done, waiting = await asyncio.wait(tasks, timeout=0.1)  # nothing more may end meanwhile
        assert len(waiting) == 16
        assert all(getattr(task.exception(), "error_id", "") == "busy" for task in done)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_request_given_up_while_the_pin_is_typed_sends_no_pin(tmp_path: Path) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person) as world:
        person.happens = lambda: task.cancel() and None  # type: ignore[func-returns-value]
        task = asyncio.create_task(sign(world))
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert not verifications(world)
        assert world.audit()[-1].result == "request.cancelled"


async def test_no_traceback_holds_the_pin(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=["987654"])) as world:
        try:
            await sign(world)
        except PinWrongError as error:
            told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        assert "pin" in told
        assert "987654" not in told


async def test_a_kept_pin_signs_without_another_question(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        for _ in range(3):
            assert (await sign(world, kept=kept)).signature
        cipher = await world.operations.encrypt(PORTAL, b"secret")
        assert await world.operations.decrypt(PORTAL, cipher, kept=kept) == b"secret"
        assert not world.pins_asked()
        assert Verb.PAGE_PIN in world.consents_asked()
        assert world.tries == 3


async def test_a_wrong_page_pin_costs_one_try_and_is_not_kept(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(PinWrongError):
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        assert world.tries == 2
        with pytest.raises(PinWrongError):
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        with pytest.raises(PinLastTryError):
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        assert world.tries == 1


async def test_every_wrong_pin_of_a_page_has_its_row(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        for _ in range(2):
            with pytest.raises(PinWrongError):
                await world.operations.keep_pin(PORTAL, Pin("999999"))
        rows = world.audit()
        assert [(row.verb, row.result) for row in rows] == [(Verb.PAGE_PIN, "pin.wrong")] * 2
        assert all(row.card for row in rows)


async def test_the_giver_of_a_page_pin_keeps_and_wipes_its_own(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with Pin(PIN) as pin:
            kept = await world.operations.keep_pin(PORTAL, pin)
            assert not pin.wiped
        assert not kept.wiped


async def test_a_card_of_a_kind_that_is_not_meant_is_never_sent_the_pin_of_a_page(tmp_path: Path) -> None:
    async with agent(tmp_path, "citizen") as world:
        for pin in (Pin(PIN), None):
            with pytest.raises(AgentError) as caught:
                await world.operations.keep_pin(PORTAL, pin, kinds=(CardKind.PERSONNEL,))
            assert caught.value.error_id == "card.wrong_kind"
        assert not verifications(world)
        assert not world.pins_asked()


async def test_a_session_reads_no_more_than_the_head_of_the_certificate_it_opened_with(
    tmp_path: Path,
) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        opening = [apdu for apdu in world.apdus if apdu[1] == READ_BINARY]
        world.apdus.clear()
        await sign(world, kept=kept)
        assert opening
        assert [apdu for apdu in world.apdus if apdu[1] == READ_BINARY] == [bytes.fromhex("00B08B0000")]


async def test_a_swapped_card_ends_the_session_without_a_try_on_it(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        swap(world.reader, world, "hpc-last-try")
        with pytest.raises((CardChangedError, AgentError)):
            await sign(world, kept=kept)
        assert kept.wiped
        assert world.cards[1].pin_tries == 1
        with pytest.raises(AgentError) as caught:
            await sign(world, kept=kept)
        assert caught.value.error_id == "pin.not_kept"


async def test_the_same_card_taken_out_and_put_back_ends_the_session(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.reader.remove()
        world.reader.insert(world.card)
        with pytest.raises((CardChangedError, AgentError)):
            await sign(world, kept=kept)
        assert kept.wiped


async def test_a_pin_changed_by_another_program_costs_one_try_and_ends_the_session(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        with world.other_program() as other, other.transaction() as transaction:
            recognise(transaction, other.atr).change_pin(Pin(PIN), Pin("654321"))
        with pytest.raises(AgentError) as caught:
            await sign(world, kept=kept)
        assert caught.value.error_id == "pin.changed_elsewhere"
        assert facts(caught.value) == {"tries_left": 2}
        assert kept.wiped
        with pytest.raises(AgentError) as again:
            await sign(world, kept=kept)
        assert again.value.error_id == "pin.not_kept"
        assert world.tries == 2


async def test_a_kept_pin_is_not_spent_on_the_last_try(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        for _ in range(2):
            guess(world)
        with pytest.raises(PinLastTryError):
            await sign(world, kept=kept)
        assert world.tries == 1
        assert kept.wiped


async def test_a_card_that_leaves_takes_its_kept_pin_along(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.reader.remove()
        await until(lambda: kept.wiped)


async def test_the_end_of_the_agent_wipes_what_was_kept(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
    assert kept.wiped


async def test_a_kept_pin_survives_a_reset_by_another_program(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.reader.reset_by_other_program()
        assert await sign(world, kept=kept)


async def test_another_program_cannot_sign_after_a_pin_was_kept(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await world.operations.keep_pin(PORTAL, Pin(PIN))
        with world.other_program() as other, other.transaction() as transaction:
            transaction.send(Command(0x00, 0x22, 0x41, 0xB6, bytes.fromhex("800111840101")))
            answer = transaction.send(
                Command(0x00, 0x2A, 0x9E, 0x9A, Hash.SHA_256.digest_info(bytes(32)), le=256)
            )
        assert answer.sw == 0x6982
