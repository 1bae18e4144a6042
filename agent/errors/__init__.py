"""Every error a page, a program or a person can meet: found in one table by its stable id.

Exceptions of `pcsc`, `hca_card` and `signing` carry their id as `error_id`; what the agent itself refuses is
an `AgentError`. Dialects ask `row_for` for their number and sentence and never word an error themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.errors.table import TABLE, ErrorRow

__all__ = ["TABLE", "AgentError", "ErrorRow", "ErrorText", "describe", "error_id", "facts", "row_for"]

INTERNAL: Final = "internal"

# What an exception knows and a page may know too. Anything else (file names, readers) stays on this machine.
PUBLIC_FACTS: Final = ("tries_left", "retry_after")


class AgentError(Exception):
    """What the agent itself refuses or cannot do.

    Attributes:
        error_id: the id of a row of the table.
        facts: what belongs to this one case: `tries_left`, `retry_after` (seconds), `wanted` (the kinds of
            card needed, in Chinese and English), `detail` (local only).

    Raises:
        KeyError: the table has no such row.
    """

    def __init__(self, error_id: str, **facts: object) -> None:
        row = TABLE[error_id]
        detail = facts.get("detail")
        super().__init__(f"{row.en} ({detail})" if detail else row.en)
        self.error_id = error_id
        self.facts: Mapping[str, object] = facts


@dataclass(frozen=True, slots=True)
class ErrorText:
    """One error as it is told: what happened and what to do next, in both languages.

    Attributes:
        facts: `tries_left` or `retry_after`, where known.
    """

    id: str
    zh: str
    en: str
    next_zh: str
    next_en: str
    facts: Mapping[str, object]


def error_id(error: BaseException) -> str:
    """The stable id of `error`; `internal` for an exception that nobody foresaw."""
    known = getattr(error, "error_id", INTERNAL)
    return known if isinstance(known, str) and known in TABLE else INTERNAL


def row_for(error: BaseException) -> ErrorRow:
    """The row of the table for `error`."""
    return TABLE[error_id(error)]


def facts(error: BaseException) -> dict[str, object]:
    """What a page may know of this one case beside its row: `tries_left`, `retry_after`."""
    source = dict(error.facts) if isinstance(error, AgentError) else {}
    left = getattr(error, "tries_left", None)
    if left is not None:
        source["tries_left"] = left
    return {name: source[name] for name in PUBLIC_FACTS if source.get(name) is not None}


def describe(error: BaseException) -> ErrorText:
    """The sentences for `error`, with the tries that are left where the card said so."""
    row, known = row_for(error), facts(error)
    zh, en, left = row.zh, row.en, known.get("tries_left")
    if isinstance(left, int) and left > 0:
        zh += f"還可以再試 {left} 次。"
        en += f" {left} {'try is' if left == 1 else 'tries are'} left."
    wanted = error.facts.get("wanted") if isinstance(error, AgentError) else None
    if isinstance(wanted, tuple):
        zh += f"這裡要用：{wanted[0]}。"
        en += f" Needed here: {wanted[1]}."
    return ErrorText(row.id, zh, en, row.next_zh, row.next_en, known)
