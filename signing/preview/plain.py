"""Text as it is, with everything that cannot be seen written out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from signing.preview import LINE_MAX, LINES_MAX, Notice, RecordKind, TextPreview

_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def plain_preview(document: bytes) -> TextPreview | None:
    """Return a text, UTF-8; None where it is none: an encoding is not guessed."""
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    return preview_of(_LINE_END.split(text), RecordKind.TEXT)


def preview_of(
    lines: Iterable[str], kind: RecordKind, record_type: str = "", notices: Iterable[Notice] = ()
) -> TextPreview:
    """Return lines as they may be shown, and what is to be said of them."""
    noted = dict.fromkeys(notices)
    shown: list[str] = []
    for line in _folded(lines):
        if len(shown) == LINES_MAX:
            noted[Notice.SHORTENED] = None
            break
        shown.append(visible(line, noted))
    return TextPreview(kind, visible(record_type, noted), tuple(shown), tuple(noted))


def visible(text: str, noted: dict[Notice, None]) -> str:
    """Return a line with characters that cannot be seen, or not by everybody alike, written out."""
    return "".join(_shown(character, noted) for character in text)


def _shown(character: str, noted: dict[Notice, None]) -> str:
    if character == "\t":
        return "    "
    category = unicodedata.category(character)
    if category in ("Co", "Cn"):
        noted[Notice.PRIVATE_USE] = None
    elif category in ("Cc", "Cf", "Cs", "Zl", "Zp") or _is_filler(character):
        noted[Notice.INVISIBLE] = None
    else:
        return character
    return f"[U+{ord(character):04X}]"


def _is_filler(character: str) -> bool:
    """Whether it is a letter or mark that is drawn as nothing (Unicode: Default_Ignorable_Code_Point)."""
    return (
        character in "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
    )


def _folded(lines: Iterable[str]) -> Iterator[str]:
    """Give lines, each at most so long."""
    for line in lines:
        yield line[:LINE_MAX]
        for start in range(LINE_MAX, len(line), LINE_MAX):
            yield line[start : start + LINE_MAX]
