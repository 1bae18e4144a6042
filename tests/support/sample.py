"""A few rows of each table instead of all: `python -m pytest -p tests.support.sample --sample 6`.

What is tried with many values is tried with the first, the last and some between, and what hypothesis
makes up is tried a few times. That is for the inner loop; `make test` tries them all.
"""

from __future__ import annotations

from typing import TypeVar

import pytest

Row = TypeVar("Row")

_LONG = frozenset({"slow", "browser", "pcscd", "packages"})
_EXAMPLES = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of rows."""
    parser.addoption("--sample", type=int, default=0, metavar="N", help="try N rows of each table only")


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> object:
    """Keep so many rows of what the test is to be tried with."""
    result = yield
    most, rows = metafunc.config.getoption("sample"), metafunc._calls
    if most and len(rows) > most:
        metafunc._calls = spread([row for row in rows if not {mark.name for mark in row.marks} & _LONG], most)
    return result


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have hypothesis make up no more than a few examples."""
    function = getattr(item, "function", None)
    chosen = getattr(function, "_hypothesis_internal_use_settings", None)
    if chosen and item.config.getoption("sample"):
        from hypothesis import settings

        few = min(_EXAMPLES, chosen.max_examples)
        function._hypothesis_internal_use_settings = settings(chosen, max_examples=few)


def spread(rows: list[Row], most: int) -> list[Row]:
    """Return at most so many of the rows: the first, the last, and others evenly between."""
    if len(rows) <= most:
        return rows
    return [rows[number * (len(rows) - 1) // (most - 1)] for number in range(most)]
