"""Rows and columns on a terminal, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Self


@dataclass
class Table:
    """What one part of the benchmark found.

    Attributes:
        broken: the bounds that were not kept, in words.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def left_out(self, reason: str) -> Self:
        """Say why there is nothing in it, and return it."""
        self.notes.append(f"Left out: {reason}.")
        return self

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]

        def written(line: Sequence[str]) -> str:
            first, *others = line
            cells = [first.ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
            return "  ".join(cells)

        ruler = "  ".join("-" * width for width in widths)
        words = [*self.notes, *(f"BROKEN: {bound}" for bound in self.broken)]
        return "\n".join(
            [self.title, "", *map(written, [self.columns]), ruler, *map(written, self.rows), *words, ""]
        )


def timed(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    begin = perf_counter()
    work()
    return perf_counter() - begin


def interleaved(count: int, *works: Callable[[], float]) -> list[float]:
    """The median of what each of `works` gives, done in turn `count` times after a few for nothing."""
    values: list[list[float]] = [[] for _ in works]
    warm_up = min(count // 5 + 1, 50)
    for turn in range(count + warm_up):
        for each, work in zip(values, works, strict=True):
            value = work()
            if turn >= warm_up:
                each.append(value)
    return [median(each) for each in values]


def microseconds(seconds: float) -> str:
    """Whole ones."""
    return f"{seconds * 1e6:.0f} µs"


def milliseconds(seconds: float) -> str:
    """To a tenth."""
    return f"{seconds * 1000:.1f} ms"


def ratio(number: float) -> str:
    """To the hundredth."""
    return f"{number:.2f}"
