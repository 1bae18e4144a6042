"""Every error a page, a program or a person can meet: its stable id, its sentences, its numbers.

Exceptions of `pcsc`, `hca_card` and `signing` carry their id as `error_id`; what the agent itself refuses is
an `AgentError`. Dialects ask `row_for` for their number and sentence and never word an error themselves.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent.errors.ids import ErrorId
from agent.errors.table import ErrorRow, table

__all__ = [
    "AgentError",
    "ErrorId",
    "ErrorRow",
    "ErrorText",
    "describe",
    "error_id",
    "facts",
    "row_for",
    "table",
    "where",
]

# What an exception knows and a page may know too. Anything else (file names, readers) stays on this machine.
PUBLIC_FACTS: Final = ("tries_left", "retry_after")


class AgentError(Exception):
    """What the agent itself refuses or cannot do.

    Attributes:
        error_id: the kind of error.
        facts: what belongs to this one case: `tries_left`, `retry_after` (seconds), `wanted` (the kinds of
            card needed, in Chinese and English), `until` (the moment from which it can be tried
            again, aware), `detail` (local only).

    Raises:
        ValueError: if there is no such kind of error.
    """

    def __init__(self, error_id: ErrorId, **facts: object) -> None:
        super().__init__(error_id)
        self.error_id = ErrorId(error_id)
        self.facts: Mapping[str, object] = facts

    def __str__(self) -> str:
        sentence, detail = table()[self.error_id].en, self.facts.get("detail")
        return f"{sentence} ({detail})" if detail else sentence


@dataclass(frozen=True, slots=True)
class ErrorText:
    """One error in words: what happened and what to do next, in both languages.

    Attributes:
        facts: `tries_left` or `retry_after`, where known.
    """

    id: ErrorId
    zh: str
    en: str
    next_zh: str
    next_en: str
    facts: Mapping[str, object]


_DISK: Final = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO)
"""What is wrong with a disk, of whichever file."""


def error_id(error: BaseException) -> ErrorId:
    """Return the id of `error`; `ErrorId.INTERNAL` for an exception that nobody foresaw."""
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK):
        return ErrorId.FILE_UNUSABLE
    try:
        return ErrorId(getattr(error, "error_id", ErrorId.INTERNAL))
    except ValueError:
        return ErrorId.INTERNAL


def row_for(error: BaseException) -> ErrorRow:
    """Return the row of the table for `error`."""
    return table()[error_id(error)]


def facts(error: BaseException) -> dict[str, object]:
    """Return what a page may know of this one case beside its row: `tries_left`, `retry_after`."""
    known = dict(error.facts) if isinstance(error, AgentError) else {}
    left = getattr(error, "tries_left", None)
    if left is not None:
        known["tries_left"] = left
    return {name: known[name] for name in PUBLIC_FACTS if known.get(name) is not None}


def where(error: BaseException) -> str:
    """Return the type of `error` and the places it came through, the innermost first.

    Its own words stay out: those of an unforeseen exception could be anything that was being handled.
    """
    frames = reversed(traceback.extract_tb(error.__traceback__))
    places = (f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__} at {' < '.join(places)}"


def describe(error: BaseException) -> ErrorText:
    """Return the sentences for `error`, with the tries that are left where the card said so."""
    row, known = row_for(error), facts(error)
    zh, en, left = row.zh, row.en, known.get("tries_left")
    if isinstance(left, int) and left > 0:
        zh += f"還可以再試 {left} 次。"
        en += f" {left} {'try is' if left == 1 else 'tries are'} left."
    wanted = error.facts.get("wanted") if isinstance(error, AgentError) else None
    if isinstance(wanted, tuple):
        zh += f"這裡要用：{wanted[0]}。"
        en += f" Needed here: {wanted[1]}."
    until = error.facts.get("until") if isinstance(error, AgentError) else None
    if isinstance(until, datetime):
        zh += f"到 {until.astimezone():%H:%M} 為止。"
        en += f" This holds until {until.astimezone():%H:%M}."
    return ErrorText(row.id, zh, en, row.next_zh, row.next_en, known)
