"""The window that asks for a PIN shows the document beside it, where the screen has room for both."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from agent.interaction import CardShown, ConsentQuestion, DocumentShown, PinQuestion
from agent.interaction.dialog_messages import Content, Opening, line
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from signing.preview import Notice, Preview, RecordKind, TextPreview, preview
from tests.support.pdfs import pdf
from tests.support.screen import private_screen

pytestmark = pytest.mark.slow

CARD = CardShown("reader", CardKind.PERSONNEL, "000000123456", "王小明", simulated=False)

# In a process of its own, as every window is: Tk ends the process whose screen goes.
MEASURE = """
import json, sys, tkinter
from agent.interaction.dialog_messages import read_opening
from tray.dialogs.main import make
for line in sys.stdin.buffer.read().splitlines():
    kind, opening = line.split(b" ", 1)
    window = make(None, read_opening(kind.decode(), opening))
    root = window.root
    root.update_idletasks()
    words, pictures = [], [0]
    def look(widget):
        if isinstance(widget, tkinter.Text):
            words.append(widget.get("1.0", "end"))
        elif "text" in (widget.keys() or ()):
            words.append(str(widget.cget("text")))
        image = getattr(widget, "image", None)
        if image is not None:
            pictures.append(image.width())
        for child in widget.winfo_children():
            look(child)
    look(root)
    print(json.dumps({"words": "\\n".join(words), "picture": max(pictures), "fits": window.fits}))
    root.destroy()
"""


def shown(size: str, dpi: int, *contents: Content) -> list[dict[str, Any]]:
    """What the windows of these questions show on a screen of that size."""
    openings = [Opening(content=content) for content in contents]
    told = b"".join(opening.kind.encode() + b" " + bytes(line(opening)) for opening in openings)
    with private_screen(dpi, size) as screen:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE],
            env=screen.environment,
            input=told,
            capture_output=True,
            timeout=250,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(each) for each in done.stdout.splitlines()]


def question(name: str, found: Preview) -> PinQuestion:
    document = DocumentShown(1234, "SHA-256", bytes(32), name, found)
    return PinQuestion(None, CARD, PinStatus(3, 6, 8), Verb.SIGN, document)


@pytest.mark.parametrize(
    ("size", "dpi", "width"),
    [("1600x1000", 96, 494), ("1366x768", 96, 296), ("1024x600", 96, 0), ("3200x2000", 192, 988)],
)
def test_the_first_page_is_as_large_as_the_screen_has_room_for(size: str, dpi: int, width: int) -> None:
    [window] = shown(size, dpi, question("出院病摘.pdf", preview(pdf("one", "two"))))
    assert window["fits"]
    assert abs(window["picture"] - width) <= 6
    assert "出院病摘.pdf · PDF · 2 頁" in window["words"]
    assert ("只顯示第一頁" in window["words"]) == bool(width)


def test_a_text_is_beside_the_question_and_what_is_not_shown_of_it_is_said() -> None:
    record = TextPreview(RecordKind.MEDICAL_RECORD, "出院病摘", ("第二型糖尿病",), (Notice.STYLESHEET,))
    asked = DocumentShown(1, "SHA-256", bytes(32), "", preview("同意".encode()))
    windows = shown(
        "1600x1000",
        96,
        question("record.xml", Preview(text=record)),
        ConsentQuestion("https://portal.example.tw", Verb.SIGN, asked),
        question("a.bin", Preview()),
    )
    for words in ("record.xml · 出院病摘", "第二型糖尿病", "文件指定了樣式表"):
        assert words in windows[0]["words"]
    assert "同意" in windows[1]["words"]
    assert "a.bin" in windows[2]["words"]


def test_where_there_is_no_room_for_a_text_what_has_to_be_known_of_it_is_said() -> None:
    text = TextPreview(RecordKind.TEXT, "", ("a" * 300,) * 300, (Notice.INVISIBLE, Notice.SHORTENED))
    [window] = shown("640x1000", 96, question("a.txt", Preview(text=text)))
    assert "看不見" in window["words"]
    assert "aaa" not in window["words"]
    assert "只顯示開頭" not in window["words"]
