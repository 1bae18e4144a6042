"""A try that may have been spent is remembered: the page's next PIN or PUK needs the person's yes."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from agent.config import Config, OriginSettings
from agent.errors import AgentError, describe, error_id, row_for
from agent.errors.numbers.hipki import HipkiNumbers, RetCode, hipki_numbers
from agent.interaction import Interaction
from agent.interaction.scripted import Headless, ScriptedInteraction
from hca_card.errors import PinLengthError
from hca_card.pin import Pin
from hca_card.simulator.faults import Wrapper
from pcsc.winscard import VirtualCard
from signing.hashes import Hash
from tests.support.operations import PIN, PORTAL, World, agent
from tests.support.waiting import LIMIT

ORIGIN: Final = str(PORTAL.origin)
WRONG, NEW = "99999999", "87654321"
WITH_PIN: Final = (0x20, 0x24, 0x2C)


class Flaky(Wrapper):
    """A card that does what it is told with a PIN or PUK, and then does `instead` of answering."""

    def __init__(self, card: VirtualCard, instead: Callable[[bytes], bytes]) -> None:
        super().__init__(card)
        self._instead = instead
        self.sent = 0

    def transmit(self, command: bytes) -> bytes:
        answer = super().transmit(command)
        if command[1] in WITH_PIN and len(command) > 5:
            self.sent += 1
            return self._instead(answer)
        return answer


def flaky(world: World, instead: Callable[[bytes], bytes]) -> Flaky:
    """Put the card of the world into such a sleeve."""
    card = Flaky(world.card, instead)
    world.reader.remove()
    world.reader.insert(card)
    return card


async def give(world: World, command: str, secret: str = WRONG) -> str:
    """Send a PIN or PUK as a page gives it; return `ok` or the id of the error."""
    operations = world.operations
    try:
        if command == "verify":
            await operations.keep_pin(PORTAL, Pin(secret))
        elif command == "change":
            await operations.change_pin(PORTAL, old=Pin(secret), new=Pin(NEW))
        else:
            await operations.unblock_pin(PORTAL, puk=Pin(secret), new=Pin(NEW))
    except Exception as error:
        return error_id(error)
    return "ok"


def says_no() -> ScriptedInteraction:
    return ScriptedInteraction(consents={})


each_command = pytest.mark.parametrize("command", ["verify", "change", "unblock"])


@each_command
@pytest.mark.parametrize(
    "answer",
    ["6F00", "6700", "6A80", "6982", "6985", "6984", "6983", "6581", "6D00", "63C2", "6300", "90", ""],
)
async def test_after_an_answer_that_may_mean_wrong_the_next_one_needs_a_yes(
    answer: str, command: str, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=says_no()) as world:
        card = flaky(world, lambda _: bytes.fromhex(answer))
        await give(world, command)
        assert await give(world, command) == "consent.refused"
        assert card.sent == 1
        assert len(world.consents_asked()) == 1


@each_command
async def test_after_a_card_that_was_pulled_amid_the_command_the_next_one_needs_a_yes(
    command: str, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=says_no()) as world:

        def pull(answer: bytes) -> bytes:
            world.reader.remove()
            return answer

        card = flaky(world, pull)
        assert await give(world, command) == "card.removed"
        world.reader.insert(card)
        assert await give(world, command) == "consent.refused"
        assert card.sent == 1


class Held(Wrapper):
    """A card that waits for a word before it answers a command of that instruction."""

    def __init__(self, card: VirtualCard, instructions: tuple[int, ...]) -> None:
        super().__init__(card)
        self._instructions = instructions
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.sent = 0

    def transmit(self, command: bytes) -> bytes:
        secret = command[1] in WITH_PIN and len(command) > 5
        self.sent += secret
        if command[1] in self._instructions and (secret or command[1] not in WITH_PIN):
            self.reached.set()
            self.go_on.wait(LIMIT)
        return super().transmit(command)


def held(world: World, *instructions: int) -> Held:
    card = Held(world.card, instructions)
    world.reader.remove()
    world.reader.insert(card)
    return card


@each_command
async def test_after_a_page_that_left_amid_the_command_the_next_one_needs_a_yes(
    command: str, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=says_no()) as world:
        card = held(world, *WITH_PIN)
        leaving = asyncio.create_task(give(world, command))
        await asyncio.to_thread(card.reached.wait, LIMIT)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        card.go_on.set()
        assert await give(world, command) == "consent.refused"
        assert card.sent == 1


@each_command
async def test_what_takes_too_long_before_anything_was_sent_is_never_sent_and_not_remembered(
    command: str, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=says_no()) as world:
        await world.operations.card(PORTAL)
        worker = world.operations._workflow._workers.of(world.reader.name)
        limits = worker._limits
        worker._limits = replace(limits, seconds=1)
        card = held(world, 0xA4)
        assert await give(world, command) == "card.timeout"
        worker._limits = limits
        card.go_on.set()
        await world.operations.card(PORTAL)  # in the reader's thread, after what was given up
        assert card.sent == 0
        guesses = world.operations._workflow.guesses
        assert not guesses.pins.recent(ORIGIN) and not guesses.puks.recent(ORIGIN)


@pytest.mark.parametrize("change", [False, True], ids=["sign", "change"])
async def test_after_a_sessions_pin_whose_outcome_is_unclear_the_next_one_needs_a_yes(
    change: bool, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=says_no()) as world:
        broken = False
        card = flaky(world, lambda answer: bytes.fromhex("6F00") if broken else answer)
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        broken = True
        with pytest.raises(Exception, match="6F00"):
            if change:
                await world.operations.change_pin(PORTAL, new=Pin(NEW), kept=kept)
            else:
                await world.operations.sign(PORTAL, Hash.SHA_256, document=b"form", kept=kept)
        assert await give(world, "verify") == "consent.refused"
        assert card.sent == 2


@each_command
async def test_what_was_never_sent_is_not_remembered_and_what_was_right_clears(
    command: str, tmp_path: Path
) -> None:
    right = "12345678" if command == "unblock" else PIN
    async with agent(tmp_path, "hpc", answered=[PORTAL]) as world:
        assert await give(world, command, "1") == "pin.length"
        assert world.consents_asked() == []
        await give(world, command)
        assert await give(world, command, right) == "ok"
        assert len(world.consents_asked()) == 1
        if command != "change":
            assert await give(world, command, right) == "ok"
        assert len(world.consents_asked()) == 1


async def test_a_length_that_only_the_module_refuses_may_have_cost_a_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=says_no()) as world:

        def refuse(*_: object) -> None:
            raise PinLengthError(sent=True)

        monkeypatch.setattr("hca_card.pin_use.PinUse.verify", refuse)
        assert await give(world, "verify") == "pin.length"
        assert await give(world, "verify") == "consent.refused"


LISTED: Final = Config(origins=OriginSettings(allow=frozenset((ORIGIN,))))


@pytest.mark.parametrize("person", [says_no(), Headless()], ids=["somebody", "nobody"])
async def test_a_listed_sites_right_pin_after_a_wrong_one_is_sent_unasked(
    person: Interaction, tmp_path: Path
) -> None:
    async with agent(tmp_path, "hpc", config=LISTED, interaction=person) as world:
        assert await give(world, "verify") == "pin.wrong"
        assert await give(world, "verify", PIN) == "ok"
        assert await give(world, "change") == "pin.wrong"
        assert await give(world, "change", PIN) == "ok"
        assert world.tries == 3


async def test_a_listed_site_that_guesses_never_spends_the_last_try(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED, interaction=Headless()) as world:
        guesses = await asyncio.gather(*(give(world, "verify", f"9999{digit}9") for digit in range(6)))
        assert sorted(guesses) == ["pin.last_try"] * 4 + ["pin.wrong"] * 2
        assert world.tries == 1


async def test_no_list_excuses_a_wrong_puk(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED, interaction=Headless()) as world:
        assert await give(world, "unblock") == "puk.wrong"
        assert await give(world, "unblock", "12345678") == "interaction.unavailable"
        assert await give(world, "verify", PIN) == "interaction.unavailable"


async def test_where_nobody_can_be_asked_the_site_hears_why_and_until_when(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", answered=[PORTAL], interaction=Headless()) as world:
        before = datetime.now().astimezone()
        assert await give(world, "verify") == "pin.wrong"
        with pytest.raises(AgentError) as caught:
            await world.operations.keep_pin(PORTAL, Pin(PIN))
        text = describe(caught.value)
        assert text.id == "pin.wrong_before"
        assert text.facts.keys() == {"retry_after"}
        assert 1800 - LIMIT <= int(str(text.facts["retry_after"])) <= 1800
        told = re.search(r"到 (\d\d):(\d\d) 為止", text.zh)
        assert told is not None
        assert told[0] in {
            f"到 {before + timedelta(minutes=30, seconds=late):%H:%M} 為止" for late in (0, 60)
        }
        # What pages know it by: a PIN that was not sent, and nothing about the site.
        assert row_for(caught.value).servisign == 9040
        assert hipki_numbers(row_for(caught.value)) == HipkiNumbers(RetCode.LOGIN_FAILED, 0xA1)
        assert world.tries == 2
