"""The table of errors: sentences and numbers of each id, read from `sentences.toml` when first needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from agent.errors.ids import ErrorId

_LINE: Final = re.compile(r"（管理者：hca-agent[^）]*）| \(administrators: hca-agent[^)]*\)")

SENTENCES: Final = Path(__file__).with_name("sentences.toml")


class JsonRpc(IntEnum):
    """Families of errors: the predefined ones of JSON-RPC 2.0 §5.1 and ours in the range left to servers."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    READER = -32001
    CARD = -32002
    PIN = -32003
    PERMISSION = -32004
    CERTIFICATE = -32005
    DATA = -32006
    BUSY = -32007
    SETUP = -32008


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One kind of error.

    Attributes:
        zh: what happened, Traditional Chinese.
        en: what happened, English.
        next_zh: what to do next, one sentence.
        next_en: the same in English.
        servisign: the library or framework number of docs/servisign.md.
        jsonrpc: the JSON-RPC error code; programs tell errors apart by the id.
        selftest_zh: what to do next for whoever runs the self-test; empty where that is `next_zh`.
        selftest_en: the same in English.
        page_zh: what to do next where a page shows it, which names no command; empty where that is the same.
        page_en: the same in English.
        errand: the `agent.vocabulary.Errand` that is the next step; empty where none is.
    """

    id: ErrorId
    zh: str
    en: str
    next_zh: str
    next_en: str
    servisign: int
    jsonrpc: JsonRpc
    selftest_zh: str = ""
    selftest_en: str = ""
    page_zh: str = ""
    page_en: str = ""
    errand: str = ""

    @property
    def on_page(self) -> tuple[str, str]:
        """What to do next where a page shows it, and a line of the command line is no help."""
        zh = self.page_zh or self.selftest_zh or self.next_zh
        en = self.page_en or self.selftest_en or self.next_en
        return without_line(zh), without_line(en)


def without_line(text: str) -> str:
    """Return a sentence without the line that stands in it for administrators."""
    return _LINE.sub("", text)


@cache
def table() -> Mapping[ErrorId, ErrorRow]:
    """Return the row of every id.

    Raises:
        ValueError: if `sentences.toml` is not TOML, has an id too many or too few, or a wrong member.
    """
    return read_table(SENTENCES.read_text("utf-8"))


def read_table(text: str) -> Mapping[ErrorId, ErrorRow]:
    """Return the rows of a table written like `sentences.toml`.

    Raises:
        ValueError: as `table` does.
    """
    import tomllib

    written = tomllib.loads(text)
    steps = written.pop("next", {})
    if different := written.keys() ^ set(ErrorId):
        raise ValueError(f"{SENTENCES.name}: unknown or missing: {', '.join(sorted(different))}")
    return MappingProxyType({each: _row(each, written[each], steps) for each in ErrorId})


def _row(error_id: ErrorId, members: dict[str, Any], steps: dict[str, dict[str, Any]]) -> ErrorRow:
    try:
        family = JsonRpc[members.pop("family").upper()]
        shared = {
            f"{name}_{language}": sentence
            for name in ("next", "selftest", "page")
            if name in members
            for language, sentence in steps[members.pop(name)].items()
        }
        row = ErrorRow(error_id, jsonrpc=family, **shared, **members)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{SENTENCES.name}: {error_id}: {error!r}") from error
    pairs = (
        (row.zh, row.en),
        (row.next_zh, row.next_en),
        (row.selftest_zh, row.selftest_en),
        (row.page_zh, row.page_en),
    )
    if {type(each) for pair in pairs for each in (*pair, row.errand)} != {str} or any(
        bool(zh) != bool(en) for zh, en in pairs
    ):
        raise ValueError(f"{SENTENCES.name}: {error_id}: a sentence is not text, or in one language only")
    if type(row.servisign) is not int:
        raise ValueError(f"{SENTENCES.name}: {error_id}: servisign is not a number")
    return row
