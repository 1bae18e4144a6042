"""A manifest: a CSV file with a line of titles, or JSON Lines; file, format, output, options.

file,format,output,options
records/0001.xml,xades,0001.signed.xml,level=B-T;reason=出院病摘

{"file": "records/0001.pdf", "format": "pades", "options": {"level": "B-T", "page": -1}}
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.batch.choice import Choice
from agent.batch.listing import NAME_MAX, Entry, Fault, Faulty
from hca_card.big5 import printable
from hca_card.decoding import UNREADABLE

SUFFIXES: Final = (".csv", ".jsonl", ".ndjson")
LINE_MAX: Final = 64 * 1024
_COLUMNS: Final = ("file", "format", "output", "options")


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    format: str = ""
    output: str = ""
    options: dict[str, Any] = {}


def entries_of_manifest(manifest: Path, choice: Choice) -> Iterator[Entry | Faulty]:
    """Return the rows, one by one; what a row leaves out is as in `choice`.

    Raises:
        OSError: the manifest cannot be read.
    """
    with manifest.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = _csv_rows if manifest.suffix.lower() == ".csv" else _json_rows
        for line, row in rows(_lines(file)):
            yield row if isinstance(row, Faulty) else _entry(line, row, choice)


def _lines(file: Any) -> Iterator[str]:
    """Return lines; one that is too long is cut, and then no row."""
    while line := file.readline(LINE_MAX):
        yield line
        while len(line) == LINE_MAX and not line.endswith("\n"):
            line = file.readline(LINE_MAX)


def _json_rows(lines: Iterator[str]) -> Iterator[tuple[int, _Row | Faulty]]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            yield number, msgspec.json.decode(text.encode("utf-8", "surrogateescape"), type=_Row)
        except UNREADABLE as error:
            yield number, Faulty(number, "", Fault.ROW, printable(str(error)))


def _csv_rows(lines: Iterator[str]) -> Iterator[tuple[int, _Row | Faulty]]:
    reader = csv.reader(lines, strict=True)
    titles: list[str] | None = None
    while True:
        row: list[str] | None = None
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, Faulty(reader.line_num, "", Fault.ROW, printable(str(error)))
            return  # where the next row begins is not known any more
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if titles is None:
            titles = [cell.strip().lower() for cell in row]
            strange = [title for title in titles if title not in _COLUMNS]
            if strange or "file" not in titles or len(set(titles)) < len(titles):
                detail = printable(", ".join(strange or titles))[:NAME_MAX]
                yield reader.line_num, Faulty(reader.line_num, "", Fault.COLUMN, detail)
                return
            continue
        if len(row) > len(titles):
            yield reader.line_num, Faulty(reader.line_num, printable(row[0])[:NAME_MAX], Fault.ROW)
            continue
        cells = dict(zip(titles, row, strict=False))
        options = _options(cells.pop("options", ""))
        yield reader.line_num, _Row(cells.pop("file", ""), **cells, options=options)


def _options(cell: str) -> dict[str, Any]:
    """Return `name=value;name=value` as a mapping; what has no `=` is the name of an option without value."""
    parts = (part.partition("=") for part in cell.split(";") if part.strip())
    return {name.strip(): value.strip() for name, _, value in parts}


def _entry(line: int, row: _Row, choice: Choice) -> Entry | Faulty:
    name = printable(row.file)[:NAME_MAX]
    if not row.file.strip():
        return Faulty(line, "", Fault.NO_FILE)
    members: dict[str, Any] = msgspec.to_builtins(choice)
    if row.format:
        members["format"] = row.format.strip().lower()
    try:
        made = msgspec.convert(members | row.options, Choice, strict=False)
    except UNREADABLE as error:
        return Faulty(line, name, Fault.OPTION, printable(str(error)))
    return Entry(line, row.file.strip(), made, row.output.strip())
