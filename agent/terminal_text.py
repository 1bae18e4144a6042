"""Text for a terminal whose locale has an encoding of its own: Big5 lacks our marks, Latin-1 all Chinese.

What an encoding lacks is written in plain signs, never a reason to end: what the person asked for goes on,
and the other language of each line is still there.
"""

from __future__ import annotations

import codecs
import io
import locale
import os
import sys
from typing import Final

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
