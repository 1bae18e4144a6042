"""Lines of text in windows: nothing is lost, nothing sticks out, Chinese breaks where it may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray.dialogs.frame import printable
from tray.dialogs.wrapping import wrap


def measure(text: str) -> int:
    return sum(2 if ord(character) >= 0x2E80 else 1 for character in text)


@given(st.text(alphabet="ab. -，。（）中文字\n", max_size=80), st.integers(4, 30))
def test_no_character_is_lost_and_no_line_is_wider(text: str, width: int):
    wrapped = wrap(text, width, measure)
    assert wrapped.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")
    # A line may be one character that is wider by itself.
    assert all(measure(line) <= width or len(line) == 1 for line in wrapped.split("\n"))


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("請在鍵盤輸入 PIN 碼。", 12, "請在鍵盤輸入\nPIN 碼。"),
        ("請輸入新密碼。", 12, "請輸入新密\n碼。"),
        ("wants to log in", 8, "wants to\nlog in"),
        ("https://a.very.long.example", 10, "https://a.\nvery.long.\nexample"),
        ("甲\n\n乙", 10, "甲\n\n乙"),
        ("", 10, ""),
    ],
)
def test_lines_end_where_a_reader_expects(text: str, width: int, expected: str):
    assert wrap(text, width, measure) == expected


@given(st.from_regex(r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?", fullmatch=True), st.integers(8, 60))
def test_every_character_of_an_origin_is_shown(origin: str, width: int):
    assert wrap(origin, width, measure).replace("\n", "") == origin


@pytest.mark.parametrize(
    "hostile", ["a\nb", "a\tb", "\u202egpj.exe", "\x1b[2J", "a\u2066b", "\u200b", "\u2028"]
)
def test_text_of_a_card_or_page_cannot_move_other_text(hostile: str):
    shown = printable(hostile)
    assert shown.isprintable()
    assert "�" in shown


def test_text_of_a_card_that_would_fill_the_screen_is_cut():
    assert len(printable("王" * 10_000)) < 500
