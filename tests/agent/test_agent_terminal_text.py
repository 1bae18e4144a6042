"""What a terminal shows: signs that its encoding lacks, and lines that it is too narrow for."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.text import Text

from agent.cli import output
from agent.terminal_text import PLAIN, hanging, hanging_words, width_of

LONG = (
    "✔ 讀卡機的驅動程式（CCID）需要更新，請聯絡資訊人員。 The reader's driver needs an update; tell your IT."
)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("big5", "v 王小明 -> x ··"),
        ("latin-1", "v ??? -> x ··"),
        ("ascii", "v ??? -> x --"),
        ("utf-8", "✔ 王小明 → ✘ ··"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_plain_signs(encoding: str, shown: str) -> None:
    written = "✔ 王小明 → ✘ ··".encode(encoding, PLAIN).decode(encoding)
    assert written.replace("→", "->") == shown.replace("→", "->")


@pytest.mark.parametrize("width", [20, 33, 40, 79, 200])
def test_a_line_that_is_too_long_goes_on_below_its_own_words(width: int) -> None:
    lines = hanging(LONG, width).split("\n")
    assert all(width_of(line) <= width for line in lines)
    assert all(line.startswith("  ") and line[2] not in " ，。；" for line in lines[1:])
    assert "".join("".join(lines).split()) == "".join(LONG.split())


def test_a_number_that_begins_a_sentence_is_no_mark() -> None:
    assert hanging("9 of 14 rows passed, do what stands there", 20).split("\n")[1][0] != " "
    assert hanging("✔ 9 rows passed, and do what stands there", 20).split("\n")[1].startswith("    ")


def test_a_word_that_fits_on_no_line_is_cut() -> None:
    path = "/一個很長的資料夾/" + "x" * 100
    lines = hanging(f"→ {path}", 30).split("\n")
    assert all(width_of(line) <= 30 for line in lines)
    assert "".join("".join(lines).split()) == f"→{path}"


def test_styled_lines_break_at_the_same_places() -> None:
    words = hanging_words(Text.assemble((LONG[:5], "red"), LONG[5:], "\n\n", ("   → 短", "dim")), 40)
    assert words.plain == hanging(LONG, 40) + "\n\n   → 短"
    assert any(span.style == "red" for span in words.spans)
    assert hanging_words(Text(LONG), 0).plain == LONG


def test_what_is_no_terminal_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(LONG, LONG)
    output.facts([("名稱 name", LONG * 3)])
    assert capsys.readouterr().out.count("\n") == 2
    assert not Console().is_terminal


def test_values_on_a_terminal_stay_right_of_their_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "_width", lambda _stream: 40)
    output.facts([("名稱 name", "C=TW, O=HCA-AGENT SIMULATOR, OU=模擬政府憑證總管理中心, CN=x")])
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("名稱 name  C=TW")
    assert others and all(line.startswith(" " * 11) and line[11] != " " for line in others)
