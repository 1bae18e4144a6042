"""The self-test as one HTML file for the help desk: nothing from outside it, no script, printable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from agent import __version__
from agent.selftest.model import GROUP_TITLES, Bilingual, ResultRow, RowStatus
from agent.selftest.schema import ok
from agent.selftest.terminal_report import MARKS, same_cause, summary

STATES: Final = {
    RowStatus.PASS: ("通過", "pass"),
    RowStatus.WARN: ("注意", "warning"),
    RowStatus.FAIL: ("失敗", "failed"),
    RowStatus.SKIP: ("未執行", "not run"),
}

_STYLE: Final = Path(__file__).with_name("page.css")
_HEAD: Final = """<!doctype html>
<html lang="zh-Hant">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>環境檢測 Self-test – HCA Card Agent</title>
<style>
{style}</style>
</head>
<body>
<main>
"""


def page(rows: Sequence[ResultRow], *, simulated: bool, time: datetime, unmasked: bool = False) -> str:
    """Return the whole file.

    Args:
        rows: all rows.
        simulated: whether the card was a simulated one.
        time: when the self-test ended, aware.
        unmasked: leave personal data in.
    """
    shown = rows if unmasked else [row.mask() for row in rows]
    return "".join(_parts(shown, simulated=simulated, time=time, unmasked=unmasked))


def _parts(rows: Sequence[ResultRow], *, simulated: bool, time: datetime, unmasked: bool) -> Iterator[str]:
    yield _HEAD.format(style=_STYLE.read_text("utf-8"))
    yield f'<h1>環境檢測 <span lang="en">Self-test</span></h1>\n<p>HCA Card Agent {escape(__version__)}'
    yield f'　<time datetime="{time.isoformat()}">{time.astimezone():%Y-%m-%d %H:%M:%S %z}</time></p>\n'
    zh, en = summary(rows)
    verdict = "good" if ok(rows) else "bad"
    yield f'<p class="verdict {verdict}">{escape(zh)}<br><span class="en" lang="en">{escape(en)}</span></p>\n'
    if simulated:
        yield _note("【模擬卡】這不是真的卡片。", "SIMULATED: this is no real card.")
    if unmasked:
        yield _note("這份報告含有個人資料。", "This report holds personal data.")
    for group, members in groupby(rows, key=lambda row: row.group):
        title = Bilingual(*GROUP_TITLES[group])
        yield f'<h2 id="{group}">{_both(title)}</h2>\n<table aria-labelledby="{group}">\n'
        yield "<thead><tr><th scope=col>項目 Item<th scope=col>結果 Result<th scope=col>說明 Detail"
        yield "<th scope=col>毫秒 ms</tr></thead>\n<tbody>\n"
        yield from (_row(row) for row in members)
        yield "</tbody>\n</table>\n"
    yield "<footer>這份報告不含 PIN 碼"
    yield "。" if unmasked else "，個人資料已遮蔽。"
    yield ' <span lang="en">This report holds no PIN'
    yield "." if unmasked else "; personal data is masked."
    yield "</span></footer>\n</main>\n</body>\n</html>\n"


def _note(zh: str, en: str) -> str:
    return f'<p class="note">{zh} <span lang="en">{en}</span></p>\n'


def _row(row: ResultRow) -> str:
    mark, _ = MARKS[row.status]
    state = _both(Bilingual(*STATES[row.status]))
    number = f"{row.number}. " if row.number is not None else ""
    return (
        f'<tr id="{row.id}"><th scope=row>{number}{_both(row.title)}</th>'
        f'<td class="state {row.status}"><span aria-hidden="true">{mark}</span> {state}'
        f'</td><td>{_both(row.detail)}{_trouble(row)}</td><td class="ms">{row.ms}</td></tr>\n'
    )


def _trouble(row: ResultRow) -> str:
    if row.error is None:
        return ""
    error = row.error
    if row.repeats is not None:
        same = _both(same_cause(row.repeats))
        return f'<p class="trouble {row.status}">{same} <code>{escape(error.id)}</code></p>'
    return (
        f'<p class="trouble {row.status}">{_both(error.text)} <code>{escape(error.id)}</code></p>'
        f'<p class="next">→ {_both(error.next)}</p>'
    )


def _both(text: Bilingual) -> str:
    if not text.en or text.en == text.zh:
        return escape(text.zh)
    return f'{escape(text.zh)} <span class="en" lang="en">{escape(text.en)}</span>'
