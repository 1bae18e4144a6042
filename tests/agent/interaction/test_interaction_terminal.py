from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from msgspec import structs

from agent.errors import AgentError
from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    CertificateEnd,
    ConsentQuestion,
    ConsentReply,
    DocumentShown,
    ItemShown,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    SessionTerms,
    UnblockQuestion,
)
from agent.interaction.scripted import GivenPin, SimulatedCardsPin
from agent.vocabulary import Verb
from hca_card.errors import PinLastTryError
from hca_card.model import CardKind, PinStatus
from hca_card.pin import Pin
from tests.support import waiting
from tests.support.operations import until
from tests.support.waiting import LIMIT, until_async

if sys.platform == "win32":
    pytest.skip("a terminal in the sense of POSIX", allow_module_level=True)

import pty
import termios
import threading

from agent.interaction.console import PosixConsole
from agent.interaction.terminal import TerminalInteraction

CARD = CardShown("ACS ACR39U 00 00", CardKind.PERSONNEL, "000000335361", "測試人員卡", True)
OTHER_CARD = CardShown("Alcor 01 00", CardKind.INSTITUTION, "000000335401", "測試機構", True)
PORTAL = "https://portal.example.tw"


def pin_request(tries: int | None = 3) -> PinQuestion:
    return PinQuestion(PORTAL, CARD, PinStatus(tries, 6, 8), Verb.SIGN)


class Terminal:
    """A pseudo-terminal: `type` is the person's keyboard, `screen` what they see."""

    def __init__(self) -> None:
        self.keyboard, self.line = pty.openpty()
        self.seen = b""
        self.console: Console | None = None

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    async def screen(self, expected: str) -> str:
        """Wait until `expected` is on the screen; everything shown so far."""
        os.set_blocking(self.keyboard, False)

        def shown() -> bool:
            with suppress(BlockingIOError):
                while expected not in self.seen.decode("utf-8", "replace"):
                    self.seen += os.read(self.keyboard, 4096)
            return expected in self.seen.decode("utf-8", "replace")

        await until_async(shown, lambda: self.seen.decode("utf-8", "replace"))
        return self.seen.decode("utf-8", "replace")

    def close(self) -> None:
        # The numbers of the descriptors are soon another terminal's: whoever read on would read there.
        waiting.until(lambda: self.console is None or not self.console.reading, "somebody still reads")
        os.close(self.keyboard)
        os.close(self.line)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


class Console(PosixConsole):
    """The console, and whether it reads: what is typed before is dropped on purpose."""

    reading = False

    def _collect(self, deadline: float, stop: threading.Event) -> bytearray | None:
        self.reading = True
        try:
            return super()._collect(deadline, stop)
        finally:
            self.reading = False


def person(terminal: Terminal, seconds: float = 30) -> TerminalInteraction:
    terminal.console = Console(terminal.line, terminal.line)
    return TerminalInteraction(terminal.console, seconds=seconds)


async def settled(terminal: Terminal, prompt: str) -> None:
    """Wait until the prompt is there and the terminal reads."""
    await terminal.screen(prompt)
    await until(lambda: terminal.console is not None and terminal.console.reading)


def test_whoever_is_to_stop_reads_nothing_that_is_typed_afterwards() -> None:
    source, keyboard = os.pipe()
    stop = threading.Event()
    console = Console(source, keyboard)
    given: list[bytearray | None] = []
    reader = threading.Thread(target=lambda: given.append(console._collect(time.monotonic() + 30, stop)))
    reader.start()
    waiting.until(lambda: console.reading, "nobody reads")
    stop.set()
    os.write(keyboard, b"y\n")
    reader.join(30)
    assert given == [None]
    assert os.read(source, 9) == b"y\n"
    os.close(source)
    os.close(keyboard)


@pytest.mark.parametrize("asked", ["pin", "change", "consent"])
async def test_a_certificate_that_ends_soon_is_told_with_the_question(terminal: Terminal, asked: str) -> None:
    ends = datetime.now(UTC) + timedelta(days=10, hours=1)
    card = structs.replace(CARD, ends=ends)
    status = PinStatus(3, 6, 8)
    question = {
        "pin": PinQuestion(PORTAL, card, status, Verb.SIGN),
        "change": NewPinQuestion(PORTAL, card, status),
        "consent": ConsentQuestion(PORTAL, Verb.SIGN, ending=CertificateEnd(ends, card.kind)),
    }[asked]
    asking = asyncio.create_task(person(terminal).ask(question))
    shown = await terminal.screen("[y/N] " if asked == "consent" else "PIN")
    await settled(terminal, "")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert "憑證還有 10 天到期" in shown and "醫事憑證到期線上插卡換發" in shown


async def test_a_pin_is_asked_in_both_languages_and_never_shown(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(pin_request()))
    await settled(terminal, "PIN: ")
    terminal.type("123456\n")
    pin = await asked
    assert pin is not None
    assert pin.octets == b"123456"
    screen = await terminal.screen("PIN")
    for words in (
        PORTAL,
        "測試人員卡",
        "模擬卡",
        "簽章",
        "sign with the card",
        "還可以試 3 次",
        "Tries left: 3",
    ):
        assert words in screen
    assert "123456" not in screen


@pytest.mark.parametrize(
    ("question", "typed", "answer"),
    [
        (pin_request(), b"123456\n", [b"123456"]),
        (
            NewPinQuestion(None, CARD, PinStatus(3, 6, 8)),
            b"123456\nabcdef\nabcdef\n",
            [b"123456", b"abcdef"],
        ),
    ],
    ids=["one PIN", "three lines"],
)
async def test_what_is_typed_as_soon_as_the_question_shows_is_taken_and_never_shown(
    terminal: Terminal, question: PinQuestion | NewPinQuestion, typed: bytes, answer: list[bytes]
) -> None:
    class Hasty(PosixConsole):
        """A terminal at which somebody types the moment that the first word is there."""

        def write(self, text: str) -> None:
            super().write(text)
            os.write(terminal.keyboard, keys.pop(0)) if keys else None

    keys = [typed]
    interaction = TerminalInteraction(Hasty(terminal.line, terminal.line), seconds=LIMIT)
    given = await interaction.ask(question)
    assert given is not None
    assert [pin.octets for pin in (given if isinstance(given, tuple) else (given,))] == answer
    shown = await terminal.screen("PIN: ")
    assert "123456" not in shown and "abcdef" not in shown


async def test_a_yes_typed_as_soon_as_the_question_shows_is_taken(terminal: Terminal) -> None:
    class Hasty(PosixConsole):
        def write(self, text: str) -> None:
            super().write(text)
            os.write(terminal.keyboard, b"y\n")

    interaction = TerminalInteraction(Hasty(terminal.line, terminal.line), seconds=LIMIT)
    assert await interaction.ask(ConsentQuestion(PORTAL, Verb.READ)) is ConsentReply.YES


async def test_what_was_typed_ahead_is_dropped_after_a_line_that_does_not_fit(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(NewPinQuestion(None, CARD, PinStatus(3, 6, 8))))
    await settled(terminal, "Present PIN: ")
    terminal.type("123\nabcdef\nabcdef\n")
    await settled(terminal, "nothing was sent")
    terminal.type("123456\nabcdef\nabcdef\n")
    pair = await asked
    assert pair is not None
    assert pair[0].octets == b"123456"


async def test_echo_is_back_after_the_pin_and_after_giving_up(terminal: Terminal) -> None:
    interaction = person(terminal)
    asked = asyncio.create_task(interaction.ask(pin_request()))
    await settled(terminal, "PIN: ")
    assert not termios.tcgetattr(terminal.line)[3] & termios.ECHO
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await until(lambda: bool(termios.tcgetattr(terminal.line)[3] & termios.ECHO))


async def test_the_event_loop_runs_on_while_the_person_thinks(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(pin_request()))
    await settled(terminal, "PIN: ")
    await asyncio.sleep(0)  # would never come back if the question held the loop: nobody has typed yet
    assert not asked.done()
    terminal.type("\n")
    assert await asked is None


async def test_a_pin_of_the_wrong_length_is_asked_again_without_the_card(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(pin_request()))
    await answer_in_turn(
        terminal,
        ("PIN: ", "123"),
        ("nothing was sent", "密碼密碼密碼"),
        ("nothing was sent", "123456"),
    )
    pin = await asked
    assert pin is not None
    assert len(pin) == 6


@pytest.mark.parametrize(
    ("answer", "given"), [("yes", True), ("YES", True), ("y", False), ("", False), ("是", False)]
)
async def test_the_last_try_needs_a_yes_typed_in_full(terminal: Terminal, answer: str, given: bool) -> None:
    asked = asyncio.create_task(person(terminal).ask(pin_request(tries=1)))
    await settled(terminal, "> ")
    terminal.type(answer + "\n")
    if given:
        await settled(terminal, "PIN: ")
        terminal.type("123456\n")
    pin = await asked
    assert (pin is not None) is given
    assert "locks the card" in await terminal.screen("yes")


async def test_nobody_answering_in_time_is_no_answer_and_the_next_question_gets_its_own_line(
    terminal: Terminal,
) -> None:
    interaction = person(terminal, seconds=0.3)
    assert await interaction.ask(ConsentQuestion(PORTAL, Verb.READ)) is None
    interaction._seconds = LIMIT
    terminal.type("y\n")
    asked = asyncio.create_task(interaction.ask(ConsentQuestion(PORTAL, Verb.LOGIN)))
    await settled(terminal, "log in with the card")
    terminal.type("n\n")
    assert await asked is ConsentReply.NO


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [("y", True), ("yes", True), ("是", True), ("", False), ("n", False), ("yep", False)],
)
async def test_only_a_yes_is_a_yes(terminal: Terminal, answer: str, allowed: bool) -> None:
    asked = asyncio.create_task(person(terminal).ask(ConsentQuestion(PORTAL, Verb.READ)))
    await settled(terminal, "[y/N]")
    terminal.type(answer + "\n")
    assert bool(await asked) is allowed


@pytest.mark.parametrize("unknown", [True, False])
async def test_none_refuses_all_unknown_sites_where_that_is_offered(
    terminal: Terminal, unknown: bool
) -> None:
    asked = asyncio.create_task(person(terminal).ask(ConsentQuestion(PORTAL, Verb.READ, unknown=unknown)))
    await settled(terminal, "[y/N/none]" if unknown else "[y/N]")
    terminal.type("none\n")
    assert await asked is (ConsentReply.NO_TO_UNKNOWN if unknown else ConsentReply.NO)


async def test_two_questions_at_once_are_asked_one_after_the_other(terminal: Terminal) -> None:
    interaction = person(terminal)
    first = asyncio.create_task(interaction.ask(ConsentQuestion("https://a.example", Verb.READ)))
    second = asyncio.create_task(interaction.ask(ConsentQuestion("https://b.example", Verb.READ)))
    await settled(terminal, "https://a.example")
    assert "https://b.example" not in await terminal.screen("[y/N]")
    terminal.type("y\n")
    assert await first is ConsentReply.YES
    await settled(terminal, "https://b.example")
    terminal.type("n\n")
    assert await second is ConsentReply.NO


@pytest.mark.parametrize(
    ("answer", "chosen"), [("2", OTHER_CARD), ("1", CARD), ("0", None), ("3", None), ("", None), ("１", None)]
)
async def test_a_card_is_chosen_by_its_number(
    terminal: Terminal, answer: str, chosen: CardShown | None
) -> None:
    asked = asyncio.create_task(person(terminal).ask(CardChoiceQuestion(PORTAL, (CARD, OTHER_CARD))))
    await settled(terminal, "[1-2]")
    terminal.type(answer + "\n")
    assert await asked == chosen


async def test_a_hostile_name_on_a_card_cannot_speak_to_the_terminal(terminal: Terminal) -> None:
    evil = CardShown("R", CardKind.PERSONNEL, "1", "\x1b]0;owned\x07\x1b[2J\r王", False)
    asked = asyncio.create_task(
        person(terminal).ask(PinQuestion(PORTAL, evil, PinStatus(3, 6, 8), Verb.SIGN))
    )
    await settled(terminal, "PIN: ")
    terminal.type("\n")
    await asked
    screen = await terminal.screen("王")
    assert "\x1b" not in screen
    assert "\x07" not in screen


async def test_a_pipe_that_ends_is_nobody() -> None:
    source, target = os.pipe()
    os.close(target)
    out = os.open(os.devnull, os.O_WRONLY)
    interaction = TerminalInteraction(PosixConsole(source, out))
    assert await interaction.ask(pin_request()) is None
    assert await interaction.ask(ConsentQuestion(PORTAL, Verb.READ)) is None
    interaction.close()
    os.close(source)
    os.close(out)


async def test_a_line_without_end_is_given_up(terminal: Terminal) -> None:
    source, target = os.pipe()
    os.write(target, b"1" * 1000)
    out = os.open(os.devnull, os.O_WRONLY)
    interaction = TerminalInteraction(PosixConsole(source, out))
    assert await interaction.ask(pin_request()) is None
    interaction.close()
    for descriptor in (source, target, out):
        os.close(descriptor)


@pytest.mark.parametrize("line", [b"123456\n", b"123456\r\n", b"123456", b"\xef\xbb\xbf123456\r\n"])
async def test_a_pin_from_standard_input_is_its_first_line(line: bytes) -> None:
    own = PinQuestion(None, CARD, PinStatus(3, 6, 8), Verb.SIGN)
    given = GivenPin.read(BytesIO(line + (b"more\n" if line.endswith(b"\n") else b"")))
    pin = await given.ask(own)
    assert pin is not None
    assert pin.octets == b"123456"
    assert await given.ask(own) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"\xef\xbb\xbf\n", b"1" * 100, "密碼\n".encode()])
def test_what_is_no_pin_on_standard_input_is_an_error_without_it(line: bytes) -> None:
    with pytest.raises(ValueError, match="PIN"):
        GivenPin.read(BytesIO(line))


async def test_a_pin_from_standard_input_is_never_for_a_page() -> None:
    given = GivenPin(Pin("123456"))
    assert await given.ask(pin_request()) is None
    assert given.available


async def test_the_pin_for_automated_tests_is_given_to_simulated_cards_alone_and_never_for_a_last_try() -> (
    None
):
    given = SimulatedCardsPin(Pin("123456"))
    real, simulated = (structs.replace(CARD, simulated=each) for each in (False, True))
    for _ in range(2):
        pin = await given.ask(PinQuestion(PORTAL, simulated, PinStatus(3, 6, 8), Verb.LOGIN))
        assert pin is not None
        assert pin.octets == b"123456"
    assert await given.ask(CardChoiceQuestion(PORTAL, (simulated, real))) == simulated
    for refused in (
        PinQuestion(PORTAL, real, PinStatus(3, 6, 8), Verb.LOGIN),
        CardChoiceQuestion(PORTAL, (real, simulated)),
        ConsentQuestion(PORTAL, Verb.LOGIN),
        NewPinQuestion(PORTAL, simulated, PinStatus(3, 6, 8)),
    ):
        with pytest.raises(AgentError, match="no screen"):
            await given.ask(refused)
    with pytest.raises(PinLastTryError):
        await given.ask(PinQuestion(PORTAL, simulated, PinStatus(1, 6, 8), Verb.LOGIN))
    given.close()
    assert not given.available


async def answer_in_turn(terminal: Terminal, *turns: tuple[str, str]) -> None:
    """For each prompt, once it is there, what is typed."""
    for prompt, typed in turns:
        await settled(terminal, prompt)
        terminal.seen = b""
        terminal.type(typed + "\n")


async def test_a_new_pin_is_taken_when_typed_twice_alike(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(NewPinQuestion(PORTAL, CARD, PinStatus(3, 6, 8))))
    assert PORTAL in await terminal.screen("change the PIN")
    await answer_in_turn(
        terminal,
        ("Present PIN: ", "123456"),
        ("New PIN: ", "abc"),
        ("New PIN: ", "abcdef"),
        ("Once more: ", "abcdeg"),
        ("New PIN: ", "abcdef"),
        ("Once more: ", "abcdef"),
    )
    pair = await asked
    assert pair is not None
    assert [pin.octets for pin in pair] == [b"123456", b"abcdef"]


@pytest.mark.parametrize(
    "turns",
    [
        [("PUK: ", "")],
        [("PUK: ", "12345678"), ("New PIN: ", "")],
        [("PUK: ", "12345678"), ("New PIN: ", "abcdef"), ("Once more: ", "")],
    ],
)
async def test_an_empty_line_leaves_the_unblocking(terminal: Terminal, turns: list[tuple[str, str]]) -> None:
    request = UnblockQuestion(None, CARD, PinStatus(0, 6, 8), PinStatus(10, 8, 8))
    asked = asyncio.create_task(person(terminal).ask(request))
    assert "0800-364-422" in await terminal.screen("PUK: ")
    await answer_in_turn(terminal, *turns)
    assert await asked is None


async def test_a_puk_and_a_new_pin_are_asked_and_its_last_try_needs_a_yes(terminal: Terminal) -> None:
    request = UnblockQuestion(None, CARD, PinStatus(0, 6, 8), PinStatus(1, 8, 8))
    asked = asyncio.create_task(person(terminal).ask(request))
    await answer_in_turn(
        terminal,
        ("> ", "yes"),
        ("PUK: ", "12345678"),
        ("New PIN: ", "abcdef"),
        ("Once more: ", "abcdef"),
    )
    pair = await asked
    assert pair is not None
    assert [pin.octets for pin in pair] == [b"12345678", b"abcdef"]


async def test_all_that_a_yes_allows_and_the_document_are_named(terminal: Terminal) -> None:
    request = ConsentQuestion(PORTAL, Verb.SIGN, DocumentShown(1234, "SHA-256", b"\xab" * 32), (Verb.READ,))
    asked = asyncio.create_task(person(terminal).ask(request))
    screen = await terminal.screen("[y/N]")
    for words in ("read the card, sign with the card", "1,234 bytes", "SHA-256", "ab" * 32):
        assert words in screen
    await settled(terminal, "[y/N]")
    terminal.type("y\n")
    assert await asked is ConsentReply.YES


async def test_the_keypad_is_pointed_to_and_nothing_is_asked(terminal: Terminal) -> None:
    await person(terminal).ask(KeypadQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.SIGN))
    assert "keypad" in await terminal.screen("keypad")


def session_request(*names: str) -> PinQuestion:
    items = tuple(ItemShown(name, 1234, "emr", bytes(32)) for name in names)
    terms = SessionTerms("7QK2", len(items) or 250, 1800, items)
    return PinQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.SESSION, terms=terms)


async def test_what_a_session_is_stands_before_its_pin(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(session_request()))
    await settled(terminal, "PIN: ")
    screen = await terminal.screen("PIN: ")
    for words in (
        f"網站 {PORTAL}在 30 分鐘內最多可以簽 250 份",
        "up to 250 signatures",
        "拔出卡片",
        "close the page",
    ):
        assert words in screen
    terminal.type("123456\n")
    assert (pin := await asked) is not None and pin.octets == b"123456"


async def test_a_long_list_is_paged_and_searched_before_the_pin(terminal: Terminal) -> None:
    names = [f"record-{number}.xml" for number in range(1, 1001)]
    names[500] = "evil\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}.xml"
    names[501] = "long" + "x" * 5000 + ".xml"
    asked = asyncio.create_task(person(terminal).ask(session_request(*names)))
    await settled(terminal, "cancels.\r\n> ")
    assert "20. record-20.xml" in (first := await terminal.screen("> ")) and "record-21.xml" not in first
    for typed, expected in (
        ("n", "21. record-21.xml"),
        ("/long", f"long{'x' * 56}…{'x' * 55}.xml"),
        ("/evil", "501. evil�[2J�.xml"),
    ):
        terminal.seen = b""
        terminal.type(f"{typed}\n")
        await settled(terminal, "cancels.\r\n> ")
        assert expected in await terminal.screen("> ")
    assert "1 / 1,000 份文件" in await terminal.screen("> ")
    terminal.type("\n")
    await settled(terminal, "PIN: ")
    terminal.type("123456\n")
    assert (pin := await asked) is not None and pin.octets == b"123456"


async def test_a_long_list_can_be_left_without_a_pin(terminal: Terminal) -> None:
    asked = asyncio.create_task(person(terminal).ask(session_request(*(str(each) for each in range(21)))))
    await settled(terminal, "> ")
    terminal.type("q\n")
    assert await asked is None
