"""Every string from outside stays text: in the report, on the terminal, in JSON, in the tray."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    DocumentShown,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    Question,
    UnblockQuestion,
)
from agent.interaction.terminal import TerminalInteraction
from agent.selftest.html_report import page
from agent.selftest.model import Bilingual, ResultRow, RowStatus, Trouble
from agent.tray.messages import ProblemKind, TrayProblem
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.hostile_strings import HOSTILE, squeezed, steering
from tests.support.platforms import WINDOWS
from tests.support.tray import tray_state
from tray.icon_states import face
from tray.menus import Item

STATUS = PinStatus(3, 6, 8)
SGR = re.compile(r"\x1b\[[0-9;]*m")
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


class Elements(HTMLParser):
    """The elements and attributes of a page, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def report(text: str) -> str:
    both = Bilingual(text, f"{text} en")
    trouble = Trouble("card.mute", both, both)
    rows = [
        ResultRow("card.holder", both, RowStatus.PASS, both, both, 1),
        ResultRow("host.ports", both, RowStatus.FAIL, both, both, 1, trouble),
    ]
    return page(rows, simulated=False, time=datetime(2030, 1, 1, tzinfo=UTC), unmasked=True)


@hostile
def test_no_element_of_the_report_is_made_of_what_a_row_says(text: str) -> None:
    made, harmless = Elements(report(text)), Elements(report("harmless"))
    assert made.found == harmless.found
    assert squeezed(text) in squeezed(made.words)


class Screen:
    """A console that keeps what is written, and whose person answers nothing."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> None:
        text.encode()
        self.written += text

    def forget_typed(self) -> None:
        pass

    def unseen(self) -> AbstractContextManager[None]:
        return nullcontext()

    def read_line(self, *, secret: bool, seconds: float, stop: threading.Event) -> bytearray | None:
        return None


@hostile
async def test_no_question_on_the_terminal_says_what_would_steer_it(text: str) -> None:
    card = CardShown(text, CardKind.PERSONNEL, text, text, False)
    document = DocumentShown(1, "SHA-256", bytes(32))
    questions: list[Question[Any]] = [
        ConsentQuestion(text, Verb.SIGN, document),
        PinQuestion(text, card, STATUS, Verb.SIGN, document),
        KeypadQuestion(text, card, STATUS, Verb.SIGN),
        NewPinQuestion(text, card, STATUS),
        UnblockQuestion(text, card, STATUS, STATUS),
        CardChoiceQuestion(text, (card, card)),
    ]
    console = Screen()
    terminal = TerminalInteraction(console)
    try:
        for question in questions:
            await terminal.ask(question)
        await terminal.notify(text, text)
    finally:
        terminal.close()
    assert steering(console.written) == []
    assert squeezed(console.written).count(squeezed(text)) >= len(questions)


def every_label(menu: tuple[Item, ...]) -> list[str]:
    return [label for item in menu for label in (item.label, *every_label(item.items))]


@hostile
def test_the_tray_shows_a_reader_and_a_program_as_text_without_markup_and_without_keys(text: str) -> None:
    problem = TrayProblem(kind=ProblemKind.PORT, detail=f"56440 {text}"[:128])
    shown = face(tray_state(text[:128], problems=(problem,)))
    assert steering("".join((*shown.tooltip, *every_label(shown.menu)))) == []
    # Panels read markup in a tooltip, whatever they are told.
    assert not set("<>&") & set("".join(shown.tooltip))
    if WINDOWS:
        return  # its menu is pystray's: tests/tray/test_tray_portable.py
    from tray import dbusmenu

    for label in every_label(shown.menu):
        if label:
            shown_label = dbusmenu._properties(Item("key", label))["label"].value
            assert "_" not in shown_label.replace("__", "")


def run_at_a_terminal(*words: bytes | str, home: Path) -> str:
    """What a command of ours writes to a terminal."""
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "HCA_AGENT_HOME": str(home), "COLUMNS": "200", "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-m", "agent", *words],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env=environment,
    ):
        os.close(slave)
        written = b""
        try:
            while piece := os.read(master, 65536):
                written += piece
        except OSError:
            pass  # EIO: the program has ended
    os.close(master)
    return written.decode("utf-8", "surrogateescape")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.slow
def test_no_byte_that_steers_the_terminal_comes_from_a_file_name_or_an_argument(
    tmp_path: Path, as_json: bool
) -> None:
    name = b"a\x1b]0;owned\x07\x1b[2J\x9b2J\xff\xe2\x80\xae\xc2\x9b2J[red]<b>.txt"
    (tmp_path / "home").mkdir()
    file = tmp_path / os.fsdecode(name)
    file.write_bytes(b"no signature")
    path = os.fsencode(file)
    json_word: tuple[str, ...] = ("--json",) if as_json else ()
    for words in (
        ("verify", *json_word, path, path),
        ("verify", *json_word, path + b"?", path),
        ("card", *json_word, "--simulate", "hpc", "--reader", name),
        ("card", *json_word, "--simulate", name),
        ("sign", *json_word, "--simulate", "hpc", path, "-o", path),
        ("sign", *json_word, "--simulate", "hpc", path, "-o", path + b"?/x"),
        ("encrypt", *json_word, path, "--certificate", path),
        ("origins", *json_word, "forget", name),
        (name,),
    ):
        written = SGR.sub("", run_at_a_terminal(*words, home=tmp_path / "home"))
        assert written.strip(), words
        assert steering(written) == [], (words, written)
        assert "Traceback" not in written, (words, written)
        if as_json and written.lstrip().startswith("{"):
            json.loads(written)
