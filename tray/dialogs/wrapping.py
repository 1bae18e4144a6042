"""Lines of a width: Tk breaks at spaces alone, and Chinese has none."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

_NOT_FIRST: Final = "，。、：；？！）」』】·…%"
"""What no line begins with."""

_NOT_LAST: Final = "（「『【"
"""What no line ends with."""

_WIDE_FROM: Final = 0x2E80  # from the CJK radicals on, a line may break between any two characters


def wrap(text: str, width: int, measure: Callable[[str], int]) -> str:
    """Return the text with line ends put in, so that no line is wider than `width`.

    Args:
        text: paragraphs, with a line end between them.
        width: pixels.
        measure: pixels that a text takes in one line.
    """
    return "\n".join("\n".join(_lines(paragraph, width, measure)) for paragraph in text.split("\n"))


def _lines(paragraph: str, width: int, measure: Callable[[str], int]) -> Iterator[str]:
    line = ""
    for word in _words(paragraph):
        if measure((line + word).rstrip()) <= width:
            line += word
            continue
        if line.strip():
            yield line.rstrip()
        line = word.lstrip() if line else word
        # A word that is wider than the line, an address, is broken wherever it must be: all of it is shown.
        while measure(line) > width and len(line) > 1:
            end = max(1, bisect_right(range(1, len(line)), width, key=lambda end: measure(line[:end])))
            yield line[:end]
            line = line[end:]
    yield line.rstrip()


def _words(paragraph: str) -> Iterator[str]:
    """Yield what is not broken: words with the space after them, and single Chinese characters."""
    piece = ""
    for character in paragraph:
        if piece and _may_break(piece[-1], character):
            yield piece
            piece = ""
        piece += character
    yield piece


def _may_break(before: str, after: str) -> bool:
    if after in _NOT_FIRST or before in _NOT_LAST or after == " ":
        return False
    return before == " " or ord(before) >= _WIDE_FROM or ord(after) >= _WIDE_FROM
