"""docs/errors.md, written from the tables: `python -m tests.support.error_page` brings it up to date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from agent.errors import ErrorRow, table
from agent.errors.table import JsonRpc

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "errors.md"

_CLIENT: Final = re.compile(r'^  (?:"([a-z_.]+)"|(busy)): \[\n    "(.+?)",\n    "(.+?)",$', re.MULTILINE)
MARK: Final = "<!-- From here on written by `python -m tests.support.error_page`. -->\n"


def page() -> str:
    """Return what docs/errors.md is to hold; errors of setting up a computer are none that pages meet."""
    head = PAGE.read_text("utf-8").partition(MARK)[0] + MARK
    rows = [row for row in table().values() if row.jsonrpc is not JsonRpc.SETUP]
    groups: dict[str, list[ErrorRow]] = {}
    for row in rows:
        groups.setdefault(row.id.partition(".")[0], []).append(row)
    parts = [head, "## From agent.js itself", _table(_of_client())]
    for name, members in groups.items():
        parts += [
            f"## `{name}`" + ("" if len(members) == 1 and members[0].id == name else ".*"),
            _table([(row.id, str(int(row.jsonrpc)), row.zh, row.en) for row in members]),
        ]
    return "\n".join(parts)


def _of_client() -> list[tuple[str, str, str, str]]:
    script = (ROOT / "agent" / "web" / "agent.js").read_text("utf-8")
    errors = script[script.index("const ERRORS") : script.index("const BLOCKED")]
    return [(quoted or bare, "", zh, en) for quoted, bare, zh, en in _CLIENT.findall(errors)]


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    written = [f"| `{each}` | {code} | {zh} | {en} |" for each, code, zh, en in rows]
    return "\n".join(["", "| id | code | 中文 | English |", "|---|---|---|---|", *written, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
