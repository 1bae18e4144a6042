"""The process that a preview is made in: the document on standard input, the preview on standard output.

Documents are hostile. Whatever one makes of PDFium or a parser of XML happens here, in a process that holds
no PIN and no card, that may use so much memory and time and write no file, and that ends with its answer.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import Final

from signing.limits import answer_alone, limit_process
from signing.preview import Notice, Preview, preview

DOCUMENT_MAX: Final = 64 << 20
"""Octets of a document of which a preview is made."""

ANSWER_MAX: Final = 900_000
"""Octets of an answer: with it, a window's opening is not too long (`agent.interaction.dialog_messages`)."""

_MEMORY: Final = 2 << 30
_SECONDS: Final = 20


def run() -> int:
    """Answer for the one document; the exit code."""
    limit_process(_SECONDS, _MEMORY)
    with answer_alone() as target:
        document = sys.stdin.buffer.read(DOCUMENT_MAX + 1)
        found = Preview()
        if len(document) <= DOCUMENT_MAX:
            with suppress(MemoryError, RecursionError):
                found = preview(document)
        while len(octets := encoded(found)) > ANSWER_MAX:
            found = _shorter(found)
        target.write(octets)
    return 0


def _shorter(found: Preview) -> Preview:
    """Return a preview with half of its text, and without its picture."""
    text, pdf = found.text, found.pdf
    if text is not None:
        notices = tuple(dict.fromkeys((*text.notices, Notice.SHORTENED)))
        text = replace(text, lines=text.lines[: len(text.lines) // 2], notices=notices)
    return Preview(text, None if pdf is None else replace(pdf, picture=b"", small=b""))


def encoded(found: Preview) -> bytes:
    """Return a preview as `decoded` reads it."""
    import msgspec

    return msgspec.json.encode(found)


def decoded(octets: bytes) -> Preview:
    """Return the preview that a process gave.

    Raises:
        ValueError: it is none.
    """
    import msgspec

    return msgspec.json.decode(octets, type=Preview)
