"""The process that a preview is made in: the document on standard input, the preview on standard output.

Documents are hostile. Whatever one makes of PDFium or a parser of XML happens here, in a process that holds
no PIN and no card, that may use so much memory and time and write no file, and that ends with its answer.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Final

from signing.preview import Notice, Preview, preview

DOCUMENT_MAX: Final = 64 << 20
"""Octets of a document of which a preview is made."""

ANSWER_MAX: Final = 600_000
"""Octets of an answer: with it, a window's opening is not too long (`agent.interaction.dialog_messages`)."""

_MEMORY: Final = 2 << 30
_SECONDS: Final = 20


def run() -> int:
    """Answer for the one document; the exit code."""
    _limit()
    # PDFium and others may print: the answer has a descriptor of its own.
    answers = os.dup(1)
    os.dup2(2, 1)
    document = sys.stdin.buffer.read(DOCUMENT_MAX + 1)
    found = Preview()
    if len(document) <= DOCUMENT_MAX:
        with suppress(MemoryError, RecursionError):
            found = preview(document)
    while len(octets := encoded(found)) > ANSWER_MAX:
        found = _shorter(found)
    with os.fdopen(answers, "wb") as target:
        target.write(octets)
    return 0


def _shorter(found: Preview) -> Preview:
    """Return a preview with half of its text, and without its picture."""
    text, pdf = found.text, found.pdf
    if text is not None:
        notices = tuple(dict.fromkeys((*text.notices, Notice.SHORTENED)))
        text = replace(text, lines=text.lines[: len(text.lines) // 2], notices=notices)
    return Preview(text, None if pdf is None else replace(pdf, picture=b""))


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


def _limit() -> None:
    """Bound what this process may take, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))
