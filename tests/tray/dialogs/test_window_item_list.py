"""The window of a batch lists its documents: thousands of them, by keyboard too, with names of any kind."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from typing import Any

import pytest

from agent.interaction import CardShown, ItemShown, PinQuestion, SessionTerms
from agent.interaction.dialog_messages import Opening, line
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.screen import private_screen
from tray.dialogs.item_list import shortened, size_words

CARD = CardShown("reader", CardKind.PERSONNEL, "000000123456", "王小明", simulated=False)
HOSTILE = (
    "cod.\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe",
    "a\nb\x1b[2Jc\t",
    "x" * 5000 + ".xml",
    "",
    "\N{ZERO WIDTH SPACE}" * 9,
    "שלום.xml",
    "a" + "\N{COMBINING DOUBLE VERTICAL LINE ABOVE}" * 300 + ".xml",
    "病歷" * 100 + ".pdf",
)

DRIVE = """
import json, sys, tkinter, time
from agent.interaction.dialog_messages import read_opening
from tray.dialogs.main import make
began = time.perf_counter()
window = make(None, read_opening("pin", sys.stdin.buffer.read()))
root = window.root
root.deiconify()
root.update()
def every(widget):
    yield widget
    for child in widget.winfo_children():
        yield from every(child)
canvases = [each for each in every(root) if isinstance(each, tkinter.Canvas)]
[canvas] = [each for each in canvases if each.cget("takefocus") == "1"]
texts = lambda: [canvas.itemcget(each, "text") for each in canvas.find_all() if canvas.type(each) == "text"]
def labels():
    return "\\n".join(str(each.cget("text")) for each in every(root) if "text" in (each.keys() or ()))
found = {"first": texts(), "labels": labels(), "fits": window.fits, "width": canvas.winfo_width()}
found["over"] = [box for each in canvas.find_all() if (box := canvas.bbox(each))[2] > canvas.winfo_width()]
canvas.focus_force()
root.update()
found["heights"] = []
for _ in range(len(found["first"]) // 4):
    found["heights"].append(root.winfo_reqheight())
    canvas.event_generate("<Down>")
    root.update()
for name, keys in (("end", ["<End>"]), ("up", ["<Home>", "<Next>", "<Down>", "<Up>"])):
    for key in keys:
        canvas.event_generate(key)
        root.update()
    found[name] = texts()
root.event_generate("<Alt-f>")
root.update()
entry = root.focus_get()
for character in sys.argv[1]:
    entry.event_generate("<KeyPress>", keysym=character)
    root.update()
found["searched"], found["after"] = texts(), labels()
entry.delete(0, "end")
entry.insert(0, "nothing has such a name")
root.update()
found["none"] = texts()
print(json.dumps(found))
"""


def shown(items: tuple[ItemShown, ...], size: str = "1600x1000", find: str = "") -> dict[str, Any]:
    """What the window of these documents shows."""
    terms = SessionTerms("1", len(items), 3600, items)
    asked = PinQuestion(None, CARD, PinStatus(3, 6, 8), Verb.SESSION, terms=terms)
    with private_screen(96, size) as screen:
        done = subprocess.run(
            [sys.executable, "-c", DRIVE, find],
            env=screen.environment,
            input=bytes(line(Opening(content=asked))),
            capture_output=True,
            timeout=250,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def item(name: str) -> ItemShown:
    return ItemShown(name, 12_345, "emr", bytes(32))


@pytest.mark.slow
def test_a_list_of_thousands_is_scrolled_and_searched_by_keyboard_and_only_what_is_seen_is_drawn() -> None:
    items = tuple(item(f"record-{number:05}.xml") for number in range(1, 20_001))
    found = shown(items, find="19999")
    assert "20,000 份文件，共 247 MB" in found["labels"]
    words = found["labels"].replace("\n", "").replace(" ", "")
    assert "可以簽列出的20,000份文件" in words and "1小時內" in words
    assert "record-00001.xml" in found["first"] and len(found["first"]) <= 20 * 4
    assert "record-20000.xml" in found["end"] and "20,000" in found["end"]
    assert "record-00001.xml" not in found["end"]
    assert "record-00018.xml" in found["up"]
    assert [name for name in found["searched"] if name.startswith("record")] == ["record-19999.xml"]
    assert "1 / 20,000" in found["after"] and bytes(32).hex()[:32] in found["after"]
    assert found["none"] == [] and found["fits"]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["1600x1000", "800x600"])
def test_hostile_names_neither_move_nor_hide_anything(size: str) -> None:
    found = shown(tuple(item(name) for name in HOSTILE), size)
    for text in [*found["first"], found["labels"]]:
        for character in text.replace("\n", ""):
            assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), ascii(character)
        assert text.count("\N{COMBINING DOUBLE VERTICAL LINE ABOVE}") <= 8
    assert found["over"] == [], "no text is wider than its column"
    assert len(set(found["heights"])) == 1, "the window keeps its size"
    assert any(text.startswith("xxx") and "…" in text for text in found["first"])


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("short.xml", 9, "short.xml"),
        ("discharge-00001.xml", 11, "disch…1.xml"),
        ("病歷摘要第一號.pdf", 6, "病歷摘…df"),
        ("ab", 1, "…"),
    ],
)
def test_a_name_that_is_too_long_keeps_both_its_ends(text: str, room: int, expected: str) -> None:
    cut = shortened(text, room, len)
    assert len(cut) <= max(room, 1)
    assert cut == expected


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (100_000, "100 kB"),
        (999_600, "1.0 MB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes_are_said_as_file_managers_do(octets: int, words: str) -> None:
    assert size_words(octets) == words
