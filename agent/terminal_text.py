"""Text for a terminal whose locale has an encoding of its own: Big5 lacks our marks, Latin-1 all Chinese.

What an encoding lacks is written in plain signs, never a reason to end: what the person asked for goes on,
and the other language of each line is still there.
"""

from __future__ import annotations

import codecs
import io
import locale
import os
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.text import Text as Words

PLAIN: Final = "hca-agent.plain"
"""The name of the way to write what an encoding lacks, as the argument `errors` takes it."""

_SIGNS: Final = {
    "✔": "v",
    "✘": "x",
    "✓": "v",
    "✗": "x",
    "→": "->",
    "·": "-",
    "…": "...",
    "–": "-",
    "—": "-",
    "●": "*",
    "－": "-",
    "！": "!",
    "「": '"',
    "」": '"',
    "，": ", ",
    "。": ". ",
    "：": ": ",
    "；": "; ",
    "、": ", ",
    "（": " (",
    "）": ") ",
    "？": "?",
}


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(letter, "?") for letter in lacking), error.end


codecs.register_error(PLAIN, _in_plain_signs)


def never_fail() -> None:
    """Have this process's standard streams write and read everything.

    On Windows they are UTF-8: its pipes and files get the country's old code page, which lacks words.
    """
    encoding = "utf-8" if sys.platform == "win32" else None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=PLAIN)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")


def encoded(text: str) -> bytes:
    """Return `text` as a terminal of this person's locale shows it."""
    return text.encode(_encoding(), PLAIN)


def decoded(line: bytes | bytearray) -> str:
    """Return what a person of this locale typed."""
    return line.decode(_encoding(), "replace")


def _encoding() -> str:
    # What the standard streams have, if this person says another than the locale's.
    said = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    return said or locale.getpreferredencoding(do_setlocale=False)


def width_of(text: str) -> int:
    """Return how many columns `text` takes: two for each Chinese character (Unicode Standard Annex #11)."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def broken(text: str, width: int, indent: int) -> list[str]:
    """Return `text`, one line, as lines of at most `width` columns.

    Lines break between words and between Chinese characters, never before a closing sign; a word that fits on
    no line is cut.

    Args:
        text: the line.
        width: columns of the terminal.
        indent: columns that later lines leave free, for whoever shows them.
    """
    lines, line, used = [], "", 0
    room = width
    for whole in _PIECE.findall(text):
        piece, taken = whole, width_of(whole.rstrip())
        if line.strip() and used + taken > room:
            lines.append(line.rstrip())
            line, used, room = "", 0, max(width - indent, 1)
        while taken > room:  # a path or an address
            count = next(n for n in range(len(piece), 0, -1) if n == 1 or width_of(piece[:n]) <= room - used)
            lines.append(line + piece[:count])
            line, used, room = "", 0, max(width - indent, 1)
            piece = piece[count:]
            taken = width_of(piece.rstrip())
        line, used = line + piece, used + width_of(piece)
    return [*lines, line.rstrip()]


def hanging(text: str, width: int, indent: int | None = None) -> str:
    """Return one line broken as `broken` does, later lines below the words of the first and not its mark.

    Args:
        text: the line.
        width: columns of the terminal; 0 where it is none, and nothing is broken.
        indent: columns; those before the words when None.
    """
    if not width or width_of(text) <= width:
        return text
    if indent is None:
        found = _BEFORE_WORDS.match(text)
        indent = width_of(found[0]) if found else 0
    indent = min(indent, width // 2)
    return ("\n" + " " * indent).join(broken(text, width, indent))


def hanging_words(words: Words, width: int) -> Words:
    """Return styled lines broken as `hanging` does; `width` is 0 where there is no terminal."""
    shown = []
    for line in words.split("\n", allow_blank=True):
        at = 0
        for piece in hanging(line.plain, width).split("\n"):
            text = piece.lstrip() if at else piece
            start = line.plain.index(text, at)
            at = start + len(text)
            shown.append(
                line[start:at] if piece is text else type(line)(piece[: -len(text)]) + line[start:at]
            )
    return type(words)("\n").join(shown)


_CLOSING: Final = "，。、；：？！）」』】》”’·…"
_WIDE: Final = "\u2e80-\uffef"
# One piece is what no line break goes into, with the spaces behind it.
_PIECE: Final = re.compile(rf"\s+|(?:[{_WIDE}]|[^\s{_WIDE}]+)[{_CLOSING}]*\s*")
_BEFORE_WORDS: Final = re.compile(r"\s*(?:[^\w\s(（「【]\s+(?:[0-9]{1,2} )?)?")
