"""The self-test as JSON: stable members, published as `agent/web/selftest.schema.json` (JSON Schema 2020-12).

`python -m agent.selftest.schema` writes that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from agent import __version__
from agent.errors import ErrorId
from agent.selftest.model import Group, ResultRow, RowStatus

PATH: Final = Path(__file__).parents[1] / "web" / "selftest.schema.json"

RowId = Annotated[str, Meta(pattern=r"^[a-z]+(\.[a-z0-9_]+)+$", description="stable; group.name")]
Milliseconds = Annotated[int, Meta(ge=0, description="whole milliseconds")]
Detail = Annotated[str, Meta(description="what was found: Chinese, then ' · ' and English")]
Next = Annotated[str, Meta(description="what to do next: Chinese, then English after ' · '")]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parts have in common: immutable, nothing unnamed taken."""


class Title(Part, frozen=True):
    """A row's title; for the rows of the HCA page its exact words."""

    zh: str
    en: str


class ErrorPart(Part, frozen=True):
    """What went wrong.

    Attributes:
        id: stable id of the error.
        zh: what happened, Traditional Chinese.
        en: what happened, English.
        same_as: the earlier row that failed for the same cause; absent where there is none.
    """

    id: str
    zh: str
    en: str
    next: Next
    same_as: RowId | UnsetType = UNSET


class RowPart(Part, frozen=True):
    """One row.

    Attributes:
        error: absent where nothing went wrong, and in rows not run because of another row.
        absent: true where this kind of card does not have what the row is about, which is no fault.
    """

    id: RowId
    title: Title
    status: Literal["pass", "warn", "fail", "skip"]
    detail: Detail
    ms: Milliseconds
    error: ErrorPart | UnsetType = UNSET
    absent: bool | UnsetType = UNSET


class AgentPart(Part, frozen=True):
    """The program that ran the self-test."""

    name: str
    version: str


class ReportPart(Part, frozen=True):
    """A whole self-test.

    Attributes:
        ok: whether every row of the HCA page passed, but those that this kind of card does not have: fourteen
            with an ordinary reader (ids `hca.*`), thirteen in the NHI-reader variant (ids `nhi.*`); never
            with a card that is known to be revoked or expired.
        agent: what ran it.
        time: when it ended, UTC.
        simulated: whether the card was a simulated one; such a result says nothing about a real card.
        masked: whether personal data has been masked.
        rows: in the order of the page.
    """

    ok: bool
    agent: AgentPart
    time: datetime
    simulated: bool
    masked: bool
    rows: tuple[RowPart, ...]


def ok(rows: Sequence[ResultRow]) -> bool:
    """Return whether every row of the HCA page that this card has passed, with a card that is in force."""
    rows_asked = asked(rows)
    passed = bool(rows_asked) and all(row.status is RowStatus.PASS for row in rows_asked)
    return passed and not ended(rows)


def asked(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows of the HCA page, without those that this kind of card does not have."""
    return [row for row in rows if row.group in (Group.HCA, Group.NHI) and not row.absent]


def ended(rows: Sequence[ResultRow]) -> bool:
    """Return whether a certificate of the card is known to be revoked or expired."""
    return any(
        row.status is RowStatus.FAIL
        and row.error is not None
        and row.error.id in (ErrorId.CERTIFICATE_REVOKED, ErrorId.CERTIFICATE_EXPIRED)
        for row in rows
    )


def part(row: ResultRow) -> RowPart:
    """Return a row as JSON has it; mask it first where it leaves this person's screen."""
    error: ErrorPart | UnsetType = UNSET
    if row.error is not None:
        text = row.error.text
        same_as = UNSET if row.repeats is None else row.repeats.id
        error = ErrorPart(row.error.id, text.zh, text.en, str(row.error.next), same_as)
    title, absent = Title(row.title.zh, row.title.en), row.absent or UNSET
    return RowPart(row.id, title, row.status.value, str(row.detail), row.ms, error, absent)


def report(
    rows: Sequence[ResultRow], *, simulated: bool, time: datetime, unmasked: bool = False
) -> ReportPart:
    """Return the whole self-test.

    Args:
        rows: all rows.
        simulated: whether the card was a simulated one.
        time: when it ended, aware UTC.
        unmasked: leave personal data in.
    """
    shown = rows if unmasked else [row.mask() for row in rows]
    agent = AgentPart("hca-agent", __version__)
    parts = tuple(part(row) for row in shown)
    return ReportPart(ok(rows), agent, time, simulated, not unmasked, parts)


def schema() -> bytes:
    """Return the schema as JSON text."""
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "HCA Card Agent self-test",
        **msgspec.json.schema(ReportPart),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


if __name__ == "__main__":
    PATH.write_bytes(schema())
