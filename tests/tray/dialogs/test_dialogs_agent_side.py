"""The agent's side of its windows, with programs in their place that do what no window should."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli.composition import at_screen
from agent.config import Config, ConsentSettings
from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    ConsentReply,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    Question,
    UnblockQuestion,
)
from agent.interaction.dialog_messages import SiteShown
from agent.interaction.dialogs import Dialogs, can_open
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.operations import until
from tests.support.platforms import not_on_windows
from tests.support.screen import window_processes

PORTAL = "https://portal.example.tw"
CARD = CardShown("Reader 0", CardKind.PERSONNEL, "000000123456", "王小明", True)
OTHER = CardShown("Reader 1", CardKind.INSTITUTION, "000000654321", "測試醫院", True)
CONSENT = ConsentQuestion(PORTAL, Verb.READ)
PIN = PinQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.SIGN)

QUESTIONS = [
    CONSENT,
    PIN,
    KeypadQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.SIGN),
    NewPinQuestion(None, CARD, PinStatus(3, 6, 8)),
    UnblockQuestion(None, CARD, PinStatus(0, 6, 8), PinStatus(3, 8, 8)),
    CardChoiceQuestion(PORTAL, (CARD, OTHER)),
]
ANSWERS = {
    "decided": {"type": "decided", "reply": "yes"},
    "one secret": {"type": "typed", "pin": [49] * 6},
    "two secrets": {"type": "typed", "pin": [49] * 6, "new": [50] * 6},
    "picked": {"type": "picked", "index": 1},
    "forget": {"type": "forget", "origin": PORTAL},
    "expired": {"type": "expired"},
    "closed": {"type": "closed"},
}
FITTING = {
    ConsentQuestion: ("decided",),
    PinQuestion: ("one secret", "two secrets"),
    NewPinQuestion: ("two secrets",),
    UnblockQuestion: ("two secrets",),
    CardChoiceQuestion: ("picked",),
}

BAD = {
    "ends at once": "",
    "fails": "raise SystemExit(1)",
    "dies": "import os; os.kill(os.getpid(), 9)",
    "says nonsense": "print('yes')",
    "says what is no text": """import os, time
os.write(1, b'{"type":"forget","origin":"\\xff"}\\n'); time.sleep(60)  # a window that stays""",
    "says too much": "print('x' * 100_000)",
    "answers another question": 'print(\'{"type":"picked","index":7}\')',
    "gives no end": 'import sys; sys.stdout.write(\'{"type":"decided","reply":"yes"}\')',
    "says more than there is": 'print(\'{"type":"decided","reply":"yes","really":true}\')',
}


def windows(program: str, seconds: int = 60) -> Dialogs:
    return Dialogs(
        ConsentSettings(seconds=seconds), command=lambda kind: (sys.executable, "-c", program, "window", kind)
    )


@pytest.mark.parametrize("program", BAD.values(), ids=BAD)
async def test_a_window_that_does_not_answer_properly_is_a_no(program: str):
    person = windows(program)
    assert await person.ask(CONSENT) is ConsentReply.NO
    assert await person.ask(PIN) is None
    assert await person.ask(CardChoiceQuestion(PORTAL, (CARD, OTHER))) is None


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).__name__)
@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_counts_for_its_own_question_alone(question: Question[Any], kind: str):
    answer = await windows(f"print({json.dumps(ANSWERS[kind])!r})").ask(question)
    fits = kind in FITTING.get(type(question), ())
    if kind == "expired" or not isinstance(question, ConsentQuestion):
        assert (answer is not None) is fits
    else:
        assert bool(answer) is fits


async def test_a_window_that_cannot_be_started_is_a_no():
    person = Dialogs(ConsentSettings(), command=lambda _kind: ("/nonexistent/program",))
    assert await person.ask(CONSENT) is ConsentReply.NO
    assert await person.ask(PIN) is None


async def test_the_first_answer_counts_and_ends_the_window():
    person = windows(
        "import sys, time\n"
        'print(\'{"type":"decided","reply":"yes"}\', flush=True)\n'
        'print(\'{"type":"decided","reply":"no"}\', flush=True)\n'
        "time.sleep(60)"  # a window that stays
    )
    assert await person.ask(CONSENT) is ConsentReply.YES
    await until(lambda: not window_processes())


async def test_a_new_pin_without_its_second_half_is_none():
    person = windows('print(\'{"type":"typed","pin":[49,49,49,49,49,49]}\')')
    assert await person.ask(NewPinQuestion(None, CARD, PinStatus(3, 6, 8))) is None


async def test_what_a_window_is_told_is_not_in_its_words(tmp_path: Path):
    words = tmp_path / "words"
    person = windows(
        "import sys, pathlib; "
        f"pathlib.Path({str(words)!r}).write_text(repr(sys.argv)); "
        'print(\'{"type":"typed","pin":[49,50,51,52,53,54]}\')'
    )
    pin = await person.ask(PIN)
    assert pin is not None
    with pin:
        assert pin.octets == b"123456"
    assert words.read_text() == "['-c', 'window', 'pin']"


@not_on_windows("counts processes in /proc")
async def test_more_notices_than_a_person_reads_are_not_shown():
    person = windows("import time; time.sleep(60)")  # windows that stay
    for _ in range(50):
        await person.notify("一", "one")
    await until(lambda: len(window_processes()) == 1)  # those of the test before may not have ended yet
    assert len(person._notices) == 4
    assert len(window_processes()) == 1
    await person.close()
    await until(lambda: not window_processes())


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", False),
        ({}, "linux", False),
        ({}, "win32", True),
        ({}, "darwin", True),
    ],
)
def test_windows_open_where_there_is_a_screen_that_tk_knows(
    environment: dict[str, str], platform: str, expected: bool
):
    assert can_open(environment, platform) is expected


@not_on_windows("there is always a screen")
def test_run_asks_by_windows_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", ":99")
    with at_screen(Config(), False) as person:
        assert isinstance(person, Dialogs)
    monkeypatch.delenv("DISPLAY")
    with at_screen(Config(), False) as person:
        assert not isinstance(person, Dialogs)


async def test_a_list_of_a_thousand_sites_reaches_its_window():
    person = windows(
        "import sys, json\n"
        "line = sys.stdin.readline()\n"
        "last = json.loads(line)['content']['sites'][-1]['origin']\n"
        "print(json.dumps({'type': 'forget', 'origin': last}), flush=True)\n"
        "sys.stdin.readline()\n"
    )
    origins = [f"https://site-{number}.example.tw" for number in range(1000)]
    forgotten: list[str] = []
    await person.show_origins(
        lambda: tuple(SiteShown(origin=origin, allowed=True) for origin in origins),
        forgotten.append,
        lambda _address: (False, "", ""),
    )
    assert forgotten == [origins[-1]]
