"""Text in fields of fixed width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hca_card import big5


@pytest.mark.parametrize(
    ("why", "field", "text"),
    [
        ("padded with spaces", "測試人員卡".encode("cp950") + b"   ", "測試人員卡"),
        ("padded with NUL", "測試".encode("cp950") + b"\0\0", "測試"),
        ("padded with full-width spaces", "測試".encode("cp950") + b"\xa1\x40\xa1\x40", "測試"),
        ("nothing but padding", b"\0" * 12, ""),
        ("a character of Big5-HKSCS only", "堃".encode("big5hkscs"), "堃"),
        ("half a character at the end", "測".encode("cp950") + b"\xb4", "測\ufffd"),
        ("an escape sequence", b"A\x1b[2JB", "A\ufffd[2JB"),
    ],
)
def test_a_field_becomes_text(why: str, field: bytes, text: str):
    assert big5.decode(field) == text


def test_a_direction_mark_cannot_hide_in_a_text():
    assert big5.printable("abc\u202egnp.exe") == "abc\ufffdgnp.exe"


@given(st.binary(max_size=60))
def test_any_bytes_become_text_without_control_characters(field: bytes):
    assert all(letter >= " " for letter in big5.decode(field))


def test_a_text_is_written_as_it_is_read_and_what_does_not_fit_is_refused() -> None:
    assert big5.encode("測試", 8) == "測試".encode("cp950") + b"    "
    assert big5.decode(big5.encode("測試人員卡", 12)) == "測試人員卡"
    with pytest.raises(ValueError, match="needs 4 bytes and the field has 3"):
        big5.encode("測試", 3)
    with pytest.raises(ValueError, match="cp950"):
        big5.encode("한글", 12)
