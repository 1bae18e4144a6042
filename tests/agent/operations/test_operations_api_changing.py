from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from agent.config import Config, OriginSettings
from agent.errors import AgentError, error_id
from agent.interaction import ConsentQuestion, NewPinQuestion, UnblockQuestion
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import (
    CardChangedError,
    PinCancelledError,
    PinLastTryError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukWrongError,
    UnsupportedError,
)
from hca_card.pin import Pin
from hca_card.simulator.faults import Wrapper
from pcsc.virtual import KeypadPrompt
from pcsc.winscard import VirtualCard
from signing.hashes import Hash
from tests.support.operations import OTHER, OWN, PIN, PORTAL, World, agent, until
from tests.support.waiting import LIMIT

DOCUMENT = "同意書".encode()
NEW = "87654321"
PUK = "12345678"
SELECT, CHANGE_REFERENCE_DATA, RESET_RETRY_COUNTER = 0xA4, 0x24, 0x2C
TRUSTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin), str(OTHER.origin)))))


async def takes(world: World, pin: str, caller=OWN) -> bool:  # type: ignore[no-untyped-def]
    """Whether `pin` is the card's PIN now; a wrong one costs a try."""
    try:
        (await world.operations.keep_pin(caller, Pin(pin))).wipe()
    except PinWrongError:
        return False
    return True


async def test_the_person_changes_the_pin_in_a_window_that_names_the_site(tmp_path: Path) -> None:
    person = ScriptedInteraction(pairs=[(PIN, NEW)])
    async with agent(tmp_path, "hpc", interaction=person) as world:
        await world.operations.change_pin(PORTAL)
        consent, asked = person.questions
        assert isinstance(consent, ConsentQuestion) and consent.verbs == (Verb.CHANGE_PIN,)
        assert isinstance(asked, NewPinQuestion)
        assert (asked.origin, asked.card.simulated, asked.status.tries_left) == (PORTAL.origin, True, 3)
        assert await takes(world, NEW)
        row = world.audit()[-2]
        assert (row.origin, row.verb, row.result) == (PORTAL.origin, Verb.CHANGE_PIN, "ok")


async def test_a_cancelled_change_sends_nothing(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction()) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.change_pin(OWN)
        assert caught.value.error_id == "pin.cancelled"
        assert world.tries == 3


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [(PIN, "1", PinLengthError), (PIN, "123456789", PinLengthError), ("1", NEW, PinLengthError)],
)
async def test_a_pin_of_the_wrong_length_is_found_before_anything_is_sent(
    tmp_path: Path, old: str, new: str, error: type[Exception]
) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pairs=[(old, new)] * 2)) as world:
        with pytest.raises(error):
            await world.operations.change_pin(OWN)
        with pytest.raises(error):
            await world.operations.change_pin(OWN, old=Pin(old), new=Pin(new))
        assert not [apdu for apdu in world.apdus if apdu[1] == 0x24]
        assert world.tries == 3


async def test_a_wrong_old_pin_costs_one_try(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=ScriptedInteraction(pairs=[("999999", NEW)])) as world:
        with pytest.raises(PinWrongError) as caught:
            await world.operations.change_pin(PORTAL)
        assert caught.value.tries_left == world.tries == 2


async def test_a_site_that_may_not_change_the_pin_learns_not_even_of_the_card(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.READ: True, Verb.SIGN: True, Verb.PAGE_PIN: True})
    async with agent(tmp_path, "hpc-locked", interaction=person) as world:
        for attempt in (
            world.operations.change_pin(PORTAL),
            world.operations.unblock_pin(PORTAL),
            world.operations.change_pin(PORTAL, old=Pin(PIN), new=Pin(NEW)),
        ):
            with pytest.raises(AgentError) as caught:
                await attempt
            assert caught.value.error_id == "consent.refused"
        assert not world.apdus


async def test_headless_has_nobody_to_type_it(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=Headless(), config=TRUSTED) as world:
        for attempt in (world.operations.change_pin(PORTAL), world.operations.unblock_pin(PORTAL)):
            with pytest.raises(AgentError) as caught:
                await attempt
            assert caught.value.error_id == "pin.unavailable"


async def test_pins_from_a_page_need_their_own_consent_in_the_same_window(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        await world.operations.change_pin(PORTAL, old=Pin(PIN), new=Pin(NEW))
        assert world.person is not None
        [asked] = world.person.questions
        assert isinstance(asked, ConsentQuestion)
        assert asked.verbs == (Verb.PAGE_PIN, Verb.CHANGE_PIN)
        assert await takes(world, NEW)


async def test_a_page_never_spends_the_last_try_on_a_change(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-last-try") as world:
        with pytest.raises(PinLastTryError):
            await world.operations.change_pin(PORTAL, old=Pin("999999"), new=Pin(NEW))
        assert world.tries == 1


async def test_a_locked_pin_is_not_asked_for_but_can_be_unblocked(tmp_path: Path) -> None:
    person = ScriptedInteraction(pairs=[(PUK, NEW)])
    async with agent(tmp_path, "hpc-locked", interaction=person) as world:
        with pytest.raises(PinLockedError):
            await world.operations.change_pin(OWN)
        await world.operations.unblock_pin(PORTAL)
        asked = person.questions[-1]
        assert isinstance(asked, UnblockQuestion)
        assert asked.status.locked
        assert (asked.puk.min_length, asked.puk.max_length) == (8, 8)
        assert world.tries == 3
        assert await takes(world, NEW)


async def test_a_wrong_puk_costs_one_of_its_tries_and_is_named(tmp_path: Path) -> None:
    person = ScriptedInteraction(pairs=[("00000000", NEW)])
    async with agent(tmp_path, "hpc-locked", interaction=person) as world:
        with pytest.raises(PukWrongError) as caught:
            await world.operations.unblock_pin(OWN)
        assert caught.value.tries_left == world.card.puk_tries == 9
        assert world.tries == 0


async def test_a_card_without_a_puk_says_so_before_anybody_is_asked(tmp_path: Path) -> None:
    async with agent(tmp_path, "nhi") as world:
        with pytest.raises(UnsupportedError):
            await world.operations.unblock_pin(OWN)
        assert world.person is not None and not world.person.questions


async def test_the_session_that_changes_its_pin_goes_on_and_the_others_end(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        own, other = [await world.operations.keep_pin(caller, Pin(PIN)) for caller in (PORTAL, OTHER)]
        await world.operations.change_pin(PORTAL, new=Pin(NEW), kept=own)
        assert other.wiped
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=own)
        await world.operations.change_pin(PORTAL, old=Pin(NEW), new=Pin(PIN), kept=own)
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=own)
        assert world.tries == 3


async def test_a_session_changes_its_pin_in_one_visit_and_the_row_names_the_card(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.apdus.clear()
        await world.operations.change_pin(PORTAL, new=Pin(NEW), kept=kept)
        assert [command[1] for command in world.apdus].count(SELECT) == 1
        assert [command[1] for command in world.apdus].count(CHANGE_REFERENCE_DATA) == 1
        row = world.audit()[-1]
        assert (row.verb, row.result) == (Verb.CHANGE_PIN, "ok")
        assert row.card.endswith(kept.serial[-4:]) and row.certificate and row.simulated


async def test_a_session_changes_no_pin_of_a_card_put_in_meanwhile(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.reader.remove()
        world.reader.insert(world.card)
        world.apdus.clear()
        with pytest.raises((CardChangedError, AgentError)):
            await world.operations.change_pin(PORTAL, new=Pin(NEW), kept=kept)
        assert CHANGE_REFERENCE_DATA not in [command[1] for command in world.apdus]
        assert kept.wiped
        assert world.tries == 3


async def test_a_session_never_spends_the_last_try_on_its_old_pin(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        for guess in ("999997", "999998"):
            assert not await takes(world, guess)
        assert world.tries == 1
        with pytest.raises(PinLastTryError):
            await world.operations.change_pin(PORTAL, new=Pin(NEW), kept=kept)
        assert kept.wiped
        assert world.tries == 1


async def test_a_kept_pin_belongs_to_its_session(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        for attempt in (
            world.operations.sign(OTHER, Hash.SHA_256, document=DOCUMENT, kept=kept),
            world.operations.change_pin(OTHER, new=Pin(NEW), kept=kept),
        ):
            with pytest.raises(AgentError) as caught:
                await attempt
            assert caught.value.error_id == "pin.not_kept"
        assert not kept.wiped


async def test_a_given_puk_unblocks_in_one_visit_and_the_row_names_the_card(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc-locked", config=TRUSTED) as world:
        serial = (await world.operations.card(OWN)).metadata.serial
        world.apdus.clear()
        await world.operations.unblock_pin(PORTAL, puk=Pin(PUK), new=Pin(NEW), serial=serial)
        sent = [command[1] for command in world.apdus]
        assert sent.count(RESET_RETRY_COUNTER) == 1
        assert sent.count(SELECT) == 1
        row = world.audit()[-1]
        assert (row.verb, row.result) == (Verb.CHANGE_PIN, "ok")
        assert row.card.endswith(serial[-4:]) and row.certificate and row.simulated
        assert await takes(world, NEW)


@pytest.mark.parametrize("given", [True, False], ids=["given", "typed"])
async def test_neither_pin_nor_puk_is_sent_to_a_card_that_is_not_the_one_meant(
    given: bool, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        old, puk, new = (Pin(PIN), Pin(PUK), Pin(NEW)) if given else (None, None, None)
        for attempt in (
            world.operations.change_pin(PORTAL, old=old, new=new, serial="000000999999"),
            world.operations.unblock_pin(PORTAL, puk=puk, new=new, serial="000000999999"),
        ):
            with pytest.raises(CardChangedError):
                await attempt
        sent = [command[1] for command in world.apdus]
        assert not {CHANGE_REFERENCE_DATA, RESET_RETRY_COUNTER} & set(sent)
        assert world.person is not None and not world.person.questions
        assert {row.result for row in world.audit()} == {"card.changed"}


async def test_an_unblocked_pin_ends_every_session_of_the_card(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        await world.operations.unblock_pin(OWN, puk=Pin(PUK), new=Pin(NEW))
        assert kept.wiped


async def test_going_away_ends_every_session(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.operations.forget_pins(SessionEnd.LOCKED)
        assert kept.wiped


async def test_the_pin_is_changed_on_the_keypad_where_there_is_one(tmp_path: Path) -> None:
    typed = {
        KeypadPrompt.CURRENT: PIN.encode(),
        KeypadPrompt.NEW: b"654321",
        KeypadPrompt.REPEATED: b"654321",
    }
    async with agent(tmp_path, "hpc", keypad=typed.get) as world:
        await world.operations.change_pin(PORTAL)
        assert world.person is not None
        [shown] = world.person.keypads
        assert shown.verb is Verb.CHANGE_PIN
        assert await takes(world, "654321")


@pytest.mark.parametrize("repeated", [b"654322", None])
async def test_two_different_new_pins_on_the_keypad_change_nothing(
    tmp_path: Path, repeated: bytes | None
) -> None:
    typed = dict(zip(KeypadPrompt, (PIN.encode(), b"654321", repeated), strict=True))
    async with agent(tmp_path, "hpc", keypad=typed.get) as world:
        with pytest.raises(PinCancelledError):
            await world.operations.change_pin(PORTAL)
        assert await takes(world, PIN)


async def test_an_allowed_page_cannot_lock_the_card_by_guessing(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.PAGE_PIN: False})
    async with agent(tmp_path, "hpc", interaction=person, answered=[PORTAL, OTHER]) as world:
        with pytest.raises(PinWrongError):
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        for attempt in (
            world.operations.keep_pin(PORTAL, Pin("999998")),
            world.operations.change_pin(PORTAL, old=Pin("999997"), new=Pin(NEW)),
            world.operations.unblock_pin(PORTAL, puk=Pin("00000000"), new=Pin(NEW)),
        ):
            with pytest.raises(AgentError) as caught:
                await attempt
            assert caught.value.error_id == "consent.refused"
        assert (world.tries, world.card.puk_tries) == (2, 10)
        assert [(asked.verb, asked.once) for asked in person.questions] == [(Verb.PAGE_PIN, True)] * 3  # type: ignore[union-attr]


async def test_an_allowed_page_that_guesses_many_times_at_once_has_one_guess(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=Headless(), answered=[PORTAL, OTHER]) as world:
        outcomes = await asyncio.gather(
            *(world.operations.keep_pin(PORTAL, Pin(f"99999{digit}")) for digit in range(8)),
            return_exceptions=True,
        )
        assert sorted(map(error_id, outcomes)) == ["pin.wrong"] + ["pin.wrong_before"] * 7  # type: ignore[arg-type]
        assert world.tries == 2


async def test_an_allowed_page_cannot_use_up_the_puk_by_guessing_many_times_at_once(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=Headless(), answered=[PORTAL, OTHER]) as world:
        outcomes = await asyncio.gather(
            *(
                world.operations.unblock_pin(PORTAL, puk=Pin(f"0000000{digit}"), new=Pin(NEW))
                for digit in range(10)
            ),
            return_exceptions=True,
        )
        assert sorted(map(error_id, outcomes)) == ["interaction.unavailable"] * 9 + ["puk.wrong"]  # type: ignore[arg-type]
        assert world.card.puk_tries == 9


async def test_a_right_pin_does_not_excuse_a_wrong_puk(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.PAGE_PIN: True}, pins=[])
    async with agent(tmp_path, "hpc", interaction=person, config=TRUSTED) as world:
        with pytest.raises(PukWrongError):
            await world.operations.unblock_pin(PORTAL, puk=Pin("00000000"), new=Pin(NEW))
        for asked in (1, 2):
            await world.operations.keep_pin(PORTAL, Pin(PIN))
            assert world.consents_asked() == [Verb.PAGE_PIN] * asked
        await world.operations.unblock_pin(PORTAL, puk=Pin(PUK), new=Pin(NEW))
        await world.operations.keep_pin(PORTAL, Pin(NEW))
        assert world.consents_asked() == [Verb.PAGE_PIN] * 3


async def test_after_the_persons_yes_a_right_pin_from_the_page_clears_its_name(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL, OTHER]) as world:
        with pytest.raises(PinWrongError):
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        await world.operations.keep_pin(PORTAL, Pin(PIN))
        assert world.consents_asked() == [Verb.PAGE_PIN]
        await world.operations.keep_pin(PORTAL, Pin(PIN))
        await world.operations.keep_pin(OTHER, Pin(PIN))
        assert world.consents_asked() == [Verb.PAGE_PIN]


async def test_headless_a_wrong_pin_from_a_page_is_its_last_for_a_while(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", interaction=Headless(), answered=[PORTAL, OTHER]) as world:
        with pytest.raises(PinWrongError):
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        with pytest.raises(AgentError) as caught:
            await world.operations.keep_pin(PORTAL, Pin(PIN))
        assert error_id(caught.value) == "pin.wrong_before"
        await world.operations.keep_pin(OTHER, Pin(PIN))


async def test_one_pin_without_the_other_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc") as world:
        with pytest.raises(ValueError, match="missing"):
            await world.operations.change_pin(OWN, old=Pin(PIN))
        with pytest.raises(ValueError, match="nothing to replace"):
            await world.operations.unblock_pin(OWN, new=Pin(NEW))


async def test_a_page_that_hangs_up_in_mid_guess_has_guessed(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={})
    async with agent(tmp_path, "hpc", interaction=person, answered=[PORTAL, OTHER]) as world:
        for _ in range(3):
            guess = asyncio.create_task(world.operations.keep_pin(PORTAL, Pin("999999")))
            await until(partial(sent, guess, world))
            guess.cancel()
            await asyncio.gather(guess, return_exceptions=True)
        with pytest.raises(AgentError) as caught:
            await world.operations.keep_pin(PORTAL, Pin("999999"))
        assert caught.value.error_id == "consent.refused"
        await world.operations.pin_status(OWN)
        assert world.tries is not None and world.tries >= 2


def sent(guess: asyncio.Task[object], world: World) -> bool:
    return guess.done() or any(apdu[1] == 0x20 and len(apdu) > 5 for apdu in world.apdus)


class Slow(Wrapper):
    """A card that takes one command, and answers it when it is let on."""

    def __init__(self, card: VirtualCard, instruction: int) -> None:
        super().__init__(card)
        self._instruction = instruction
        self.begun, self.go = threading.Event(), threading.Event()

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        if command[1] == self._instruction:
            self.begun.set()
            assert self.go.wait(LIMIT)
        return answer


@pytest.mark.parametrize("how", ["unblocked", "changed", "changed from what is kept"])
async def test_what_is_kept_of_an_old_pin_ends_although_the_page_that_replaced_it_has_gone(
    how: str, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", config=TRUSTED) as world:
        card = Slow(world.card, RESET_RETRY_COUNTER if how == "unblocked" else CHANGE_REFERENCE_DATA)
        world.reader.remove()
        world.reader.insert(card)
        own, other = [await world.operations.keep_pin(caller, Pin(PIN)) for caller in (PORTAL, OTHER)]
        leaving = asyncio.create_task(
            {
                "unblocked": lambda: world.operations.unblock_pin(PORTAL, puk=Pin(PUK), new=Pin(NEW)),
                "changed": lambda: world.operations.change_pin(PORTAL, old=Pin(PIN), new=Pin(NEW)),
                "changed from what is kept": lambda: world.operations.change_pin(
                    PORTAL, new=Pin(NEW), kept=own
                ),
            }[how]()
        )
        assert await asyncio.to_thread(card.begun.wait, LIMIT)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert not other.wiped
        card.go.set()
        await until(lambda: other.wiped)
        assert own.wiped is (how != "changed from what is kept")
        assert (await world.operations.pin_status(OWN)).tries_left == 3


async def test_guesses_made_at_once_are_guesses_made_one_after_the_other(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={})
    async with agent(tmp_path, "hpc", interaction=person, answered=[PORTAL, OTHER]) as world:
        guesses = (world.operations.keep_pin(PORTAL, Pin(f"99999{number}")) for number in range(5))
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert sorted(error_id(each) for each in results if isinstance(each, Exception)) == [
            *["consent.refused"] * 4,
            "pin.wrong",
        ]
        assert world.tries == 2


async def test_what_was_never_sent_is_no_guess(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={})
    async with agent(tmp_path, "hpc", interaction=person, config=TRUSTED) as world:
        with pytest.raises(PinLengthError):
            await world.operations.keep_pin(PORTAL, Pin("1"))
        await world.operations.keep_pin(PORTAL, Pin(PIN))
        assert not person.questions
