"""Every number that a ServiSign call can end in has words, and the words are the documentation's."""

from __future__ import annotations

import re
from pathlib import Path

from agent.dialects.servisign import codes, dialect
from agent.dialects.servisign.codes import LibraryCode
from agent.errors import table
from agent.errors.numbers.words import number_words

SERVISIGN = Path(codes.__file__).parent
PAGE = (Path(__file__).parents[3] / "docs" / "servisign-codes.md").read_text("utf-8")

# The numbers of the protocol: library, NHI reader, framework.
PROTOCOL = {
    13, *range(5001, 5009), *range(5010, 5018), *range(5020, 5027), 5028,
    *range(5030, 5033), *range(5034, 5039),
    *range(5040, 5046), *range(5050, 5054), *range(5060, 5066), 5070, 5071, 5080, 5081,
    *range(5204, 5207), 5401,
    *range(5410, 5426), *range(5500, 5506), 5509, 5510, 5901, 5902, *range(5906, 5909), *range(9001, 9084),
    *range(9100, 9103), *range(9110, 9113), 9999, 30037, *range(61001, 61016), *range(61102, 61106),
    *range(61201, 61205), 61902, *range(61904, 61907), 61908,
}  # fmt: skip


def test_every_number_of_the_protocol_has_a_row() -> None:
    assert set(number_words("servisign")) == PROTOCOL


def test_a_row_has_two_sentences_in_both_languages() -> None:
    for row in number_words("servisign").values():
        for chinese in (row.zh, row.next_zh):
            assert re.search(r"[\u4e00-\u9fff]", chinese)
            assert chinese.endswith("。")
        for english in (row.en, row.next_en):
            assert re.fullmatch(r"[A-Z].*[^.]\.", english)


def test_what_a_call_can_end_in_has_a_row() -> None:
    """A call ends in a code of this dialect, or in the number of a row of the table of errors."""
    of_the_library = {int(code) for code in LibraryCode if code is not LibraryCode.OK}
    of_the_framework = {value for name, value in vars(codes).items() if name.isupper() and type(value) is int}
    of_the_reader = {dialect._NO_CARD, dialect._NO_CARD_NHI}
    of_the_table = {row.servisign for row in table().values()}
    assert of_the_library and of_the_framework >= {61005, 61010, 61012, 61013, 61908}
    assert of_the_library | of_the_framework | of_the_reader | of_the_table <= set(number_words("servisign"))


def test_no_function_invents_a_number() -> None:
    """Numbers enter by name alone, so that the test above sees all of them."""
    for file in SERVISIGN.glob("*.py"):
        source = file.read_text("utf-8")
        assert not re.findall(r"(?:LibraryError|FrameworkError)\(\s*\d", source), file.name
        raised = re.findall(r"LibraryError\(([^()]*)\)", source)
        assert all(
            re.fullmatch(r"LibraryCode\.[A-Z0-9_]+|_UNKNOWN\[kind\]|Exception", each) for each in raised
        ), raised


def test_the_documentation_has_the_same_words() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
    assert rows == [
        f"| {row.number} | {row.zh} | {row.en} | {row.next_zh} | {row.next_en} |"
        for row in number_words("servisign").values()
    ]
