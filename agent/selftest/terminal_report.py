"""The self-test on a terminal: a progress bar, and each row as it finishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text as Words

from agent.selftest.model import GROUP_TITLES, Bilingual, Group, Probe, ResultRow, RowStatus
from agent.selftest.schema import asked, ended, ok
from agent.terminal_text import hanging_words

MARKS: Final = {
    RowStatus.PASS: ("✔", "green"),
    RowStatus.WARN: ("！", "yellow"),
    RowStatus.FAIL: ("✘", "red"),
    RowStatus.SKIP: ("－", "dim"),
}

_BRIEF: Final = 60


class TerminalReport:
    """Shows rows; a context manager.

    Args:
        console: where; a bar is drawn only on a terminal.
        probes: what will run.
        masked: leave personal data out.
    """

    def __init__(self, console: Console, probes: Sequence[Probe], *, masked: bool) -> None:
        self._console = console
        self._probes = tuple(probes)
        self._masked = masked
        self._done = 0
        self._group: Group | None = None
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=len(self._probes))

    def __enter__(self) -> TerminalReport:
        self._announce()
        return self

    def __exit__(self, *_details: object) -> None:
        self._hide()

    def show(self, row: ResultRow) -> None:
        """Show one row that has just finished."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if row.group is not self._group:
            self._group = row.group
            zh, en = GROUP_TITLES[row.group]
            self._print(Words(f"\n{zh} · {en}", "bold"))
        self._print(Words("\n").join(lines(row.mask() if self._masked else row)))
        self._announce()

    def end(self, rows: Sequence[ResultRow], *, simulated: bool) -> None:
        """Say whether all passed, and what to do if not."""
        self._hide()
        zh, en = summary(rows)
        style = "bold green" if ok(rows) else "bold red"
        if simulated:
            self._print(Words("\n【模擬卡】這不是真的卡片 · SIMULATED: this is no real card", "yellow"))
        self._print(Words(f"\n{zh}\n{en}", style))

    def _announce(self) -> None:
        """Name the row that runs now; while a person may be asked something the bar is out of the way."""
        running = self._probes[self._done] if self._done < len(self._probes) else None
        if running is None or running.seconds is None or not self._console.is_terminal:
            self._hide()
            return
        self._bar.start()
        self._bar.update(self._task, description=str(running.title), refresh=True)

    def _hide(self) -> None:
        # Stopping one that was never drawn prints an empty line.
        if self._bar.live.is_started:
            self._bar.stop()

    def _print(self, words: Words) -> None:
        width = self._console.width if self._console.is_terminal else 0
        self._console.print(hanging_words(words, width), soft_wrap=True)


def lines(row: ResultRow) -> list[Words]:
    """Return a row in words: mark, number, title, value, time; below it what is wrong and what to do."""
    mark, style = MARKS[row.status]
    number = f"{row.number:>2} " if row.number is not None else ""
    title = Words.assemble((f"{mark} ", style), f"{number}{row.title.zh} ", (row.title.en, "dim"))
    detail = str(row.detail)
    brief = cell_len(detail) <= _BRIEF
    if brief and detail:
        title.append(f"  {detail}")
    title.append(f"  {row.ms} ms", "dim")
    shown = [title]
    if not brief:
        shown += [Words(f"     {each}", "" if each == row.detail.zh else "dim") for each in _each(row.detail)]
    if row.error is not None and row.status is not RowStatus.PASS:
        error = row.error
        if row.repeats is not None:
            return [*shown, Words(f"     {same_cause(row.repeats)}  ({error.id})", style)]
        shown.append(Words(f"     {error.text.zh}\n     {error.text.en}", style))
        shown.append(Words(f"   → {error.next.zh}\n     {error.next.en}  ({error.id})"))
    return shown


def same_cause(first: ResultRow) -> Bilingual:
    """Return that a row failed for the same cause as `first`, which tells it."""
    return Bilingual(f"原因同{first.name.zh}。", f"The same cause as {first.name.en}.")


def _each(text: Bilingual) -> list[str]:
    return [text.zh, text.en] if text.en and text.en != text.zh else [text.zh]


def summary(rows: Sequence[ResultRow]) -> tuple[str, str]:
    """Return one sentence on the whole, in both languages."""
    results = asked(rows)
    good = sum(row.status is RowStatus.PASS for row in results)
    elsewhere = [row for row in rows if row.group not in (Group.HCA, Group.NHI)]
    failing = sum(row.status is RowStatus.FAIL for row in elsewhere)
    if ok(rows):
        zh, en = f"檢測結果 {good} 列全部通過。", f"All {good} rows of the results passed."
    else:
        zh = f"檢測結果 {len(results)} 列中通過 {good} 列；請依沒有通過的列「→」後的說明處理。"
        en = f"{good} of {len(results)} rows passed; do what stands after the arrow of each row that did not."
    if ended(rows):
        zh = f"這張卡片的憑證已過期或已廢止，不能再用。{zh}"
        en = f"This card's certificate has expired or is revoked, and the card is of no more use. {en}"
    if failing:
        zh += f"這台電腦另有 {failing} 列需要處理。"
        en += f" {failing} more {'row needs' if failing == 1 else 'rows need'} attention on this computer."
    return zh, en
