from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from agent.audit import AuditLog
from agent.config import Config, ConsentSettings, OriginSettings, UnattendedSettings
from agent.errors import AgentError, facts
from agent.interaction import PinQuestion, Question, SessionTerms, UnblockQuestion
from agent.interaction.scripted import GivenPin, ScriptedInteraction
from agent.masking import mask_card
from agent.operations.audit_trail import AuditEntry
from agent.operations.card_selection import CardRequirement
from agent.operations.certificate_facts import facts_of
from agent.operations.pin_entry import KeypadUselessError, PinCommand, PinEntry
from agent.operations.transaction_jobs import CardSnapshot, look
from agent.operations.workflow import Workflow, _pin_of
from agent.slots import Visit
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import (
    CardChangedError,
    NotActivatedError,
    PinLastTryError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    TerminatedError,
    UnsupportedError,
)
from hca_card.model import Card, CardKind, KeyUse, PinStatus
from hca_card.pin import Pin
from hca_card.recognise import recognise
from pcsc.apdu import Command
from pcsc.errors import CardRemovedError, CardResetError, NoCardError, PcscError
from pcsc.virtual import VirtualReader
from signing.errors import CipherInvalidError
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.fake_card import FakeCard, FakeVisit
from tests.support.operations import OTHER, OWN, PIN, PORTAL, Sabotage, Spy, World, agent, until

DOCUMENT = "同意書".encode()
VERIFY = b"\x00\x20\x00\x01"
READ_BINARY = 0xB0
LISTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin), str(OTHER.origin)))))


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
        assert world.other_program_signs() == 0x6982


async def test_another_program_cannot_sign_after_our_failure(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(CipherInvalidError):
            await world.operations.decrypt(OWN, bytes(256))
        assert world.other_program_signs() == 0x6982


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
        assert world.other_program_signs() == 0x6982


SIGNATURE = CardRequirement(key=KeyUse.SIGNATURE)


def nothing_more(_card: Card, certificate: bytes) -> bytes:
    return certificate


async def test_what_checks_refuse_is_written_down_too(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        workflow = world.operations._workflow
        with workflow.checked(PORTAL, Verb.SIGN):
            pass
        assert not world.audit()
        with pytest.raises(CipherInvalidError), workflow.checked(PORTAL, Verb.SIGN):
            raise CipherInvalidError
        assert [(row.verb, row.result) for row in world.audit()] == [(Verb.SIGN, CipherInvalidError.error_id)]


async def test_terms_are_shown_and_their_number_is_written_down(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        terms = SessionTerms("s1", 3, 60)
        workflow = world.operations._workflow
        _, certificate, kept = await workflow.use_pin(
            PORTAL, Verb.SESSION, nothing_more, SIGNATURE, keep=True, terms=terms, ahead=_prepared
        )
        assert world.pins_asked()[0].terms == terms
        assert world.audit()[-1].session == "s1"
        assert kept is not None and kept.certificates[KeyUse.SIGNATURE] == certificate


async def _prepared(_snapshot: CardSnapshot) -> None:
    """Work beside a question that is done at once."""


class Undecided(ScriptedInteraction):
    """A person who thinks for as long as they are let."""

    async def ask(self, question: Question[Any]) -> Any:
        if isinstance(question, PinQuestion):
            self.questions.append(question)
            await asyncio.Event().wait()
        return await super().ask(question)


async def test_work_beside_the_question_that_fails_takes_the_question_back(tmp_path: Path) -> None:
    async def fails(_snapshot: CardSnapshot) -> None:
        raise CipherInvalidError

    async with agent(tmp_path, "hpc", interaction=Undecided()) as world:
        with pytest.raises(CipherInvalidError):
            await world.operations._workflow.use_pin(PORTAL, Verb.SIGN, nothing_more, SIGNATURE, ahead=fails)
        assert not verifications(world)


async def test_a_person_who_cancels_ends_the_work_beside_the_question(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def endless(_snapshot: CardSnapshot) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pins=[None])) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations._workflow.use_pin(
                PORTAL, Verb.SIGN, nothing_more, SIGNATURE, ahead=endless
            )
        assert caught.value.error_id == "pin.cancelled"
        async with asyncio.timeout(30):
            await ended.wait()


async def test_a_card_that_is_not_the_one_meant_is_sent_no_pin_and_its_row_names_the_one_meant(
    tmp_path: Path,
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        with pytest.raises(CardChangedError):
            await world.operations.change_pin(OWN, old=Pin(PIN), new=Pin("87654321"), serial="000000999999")
        assert not world.apdus or not verifications(world)
        assert world.audit()[-1].card == mask_card("000000999999")


async def test_a_keypad_that_is_none_where_nobody_was_asked_is_the_answer(tmp_path: Path) -> None:
    class Useless(PinEntry):
        def _check(self, visit: Visit, card: Card, audit: AuditEntry) -> CardSnapshot:
            raise KeypadUselessError

    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(KeypadUselessError):
            await world.operations._workflow.use_pin(
                OWN, Verb.SIGN, nothing_more, SIGNATURE, given=Useless(PinCommand.VERIFY, ())
            )


async def test_a_right_puk_forgets_the_wrong_pins_of_its_page(tmp_path: Path) -> None:
    person = ScriptedInteraction(pairs=[("12345678", "87654321")])
    async with agent(tmp_path, "hpc-locked", interaction=person) as world:
        guesses = world.operations._workflow.guesses
        guesses.pins.note(PORTAL.origin)
        await world.operations.unblock_pin(PORTAL)
        assert not guesses.pins.recent(PORTAL.origin)
        assert isinstance(person.questions[-1], UnblockQuestion)
        assert world.tries == 3


async def test_a_card_that_takes_no_puk_has_nobody_asked_for_one(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        workflow = world.operations._workflow
        snapshot = replace(look(FakeVisit(), cast(Any, FakeCard())), puk=None)
        question = PinQuestion(None, facts_of(snapshot).shown(snapshot), PinStatus(3, 6, 8), Verb.CHANGE_PIN)
        with pytest.raises(UnsupportedError):
            await workflow._from_person(question, PinCommand.UNBLOCK, snapshot, None, on_keypad=True)
        assert not world.pins_asked()


@pytest.mark.parametrize("why", [SessionEnd.LOCKED, SessionEnd.POLICY])
async def test_what_ends_kept_pins_ends_one_that_is_being_typed(tmp_path: Path, why: SessionEnd) -> None:
    person = Meanwhile()
    async with agent(tmp_path, "hpc", interaction=person, config=LISTED) as world:
        workflow = world.operations._workflow
        person.happens = lambda: workflow.forget_pins(why)
        kept = await world.operations.keep_pin(OWN, None)
        assert kept is not None and kept.ended is why
        assert not workflow.any_kept()


async def test_a_pin_is_kept_where_nothing_has_to_be_watched_first(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        operations = world.operations
        alone = Workflow(
            world.service,
            ScriptedInteraction(pins=[PIN]),
            operations.consents,
            AuditLog(tmp_path / "a", Config().audit),
            Config(),
        )
        try:
            _, _, kept = await alone.use_pin(
                OWN, Verb.SIGN, nothing_more, CardRequirement(pin=True), keep=True
            )
            assert kept is not None and alone.any_kept()
        finally:
            await alone.close()
        assert kept.ended is SessionEnd.AGENT


async def test_a_pin_that_the_keyring_has_is_asked_of_nobody(tmp_path: Path) -> None:
    config = replace(LISTED, unattended=UnattendedSettings(enabled=True))
    async with agent(tmp_path, "hpc", config=config) as world:
        workflow = world.operations._workflow
        asked: list[tuple[str, str | None]] = []

        def find(serial: str, origin: str | None, _folder: Path | None) -> Pin | None:
            asked.append((serial, origin))
            return Pin(PIN) if origin == PORTAL.origin else None

        workflow.unattended.find = find  # type: ignore[method-assign]
        await sign(world)
        assert not world.pins_asked()
        assert world.audit()[-1].unattended
        await sign(world, OTHER)
        assert len(world.pins_asked()) == 1
        assert asked == [("000000335361", PORTAL.origin), ("000000335361", OTHER.origin)]


async def test_a_card_that_nothing_was_encrypted_for_is_asked_no_pin(tmp_path: Path) -> None:
    def nobody(_certificate: bytes) -> None:
        raise CipherInvalidError

    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(CipherInvalidError):
            await world.operations._workflow.use_pin(
                PORTAL, Verb.DECRYPT, nothing_more, CardRequirement(key=KeyUse.ENCRYPTION, recipient=nobody)
            )
        assert not world.pins_asked()


def test_a_card_without_a_pin_has_none_to_ask_for() -> None:
    snapshot = look(FakeVisit(), cast(Any, FakeCard()))
    assert _pin_of(snapshot) == snapshot.pin
    with pytest.raises(UnsupportedError):
        _pin_of(replace(snapshot, pin=None))
