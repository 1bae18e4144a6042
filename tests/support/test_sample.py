"""The inner loop tries a few rows of each table, and no test is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sample import spread

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
from hypothesis import given, settings, strategies

@pytest.mark.parametrize("number", [*range(9), pytest.param(9, marks=pytest.mark.slow)])
@pytest.mark.parametrize("letter", "abc")
def test_table(letter, number):
    print(f"row {letter}{number}.")

def test_alone():
    pass

count = 0

@settings(max_examples=300)
@given(strategies.integers())
def test_made_up(number):
    global count
    count += 1

def test_made_up_few():
    assert 0 < count < 50
"""


def test_a_spread_has_both_ends_and_no_row_twice() -> None:
    for rows in range(2, 100):
        table = list(range(rows))
        kept = spread(table, 8)
        assert kept == sorted(set(kept)) and set(kept) <= set(table)
        assert len(kept) == min(rows, 8)
        assert {kept[0], kept[-1]} == {0, rows - 1}


@pytest.mark.slow
def test_a_few_rows_of_each_table_are_tried_and_each_test(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: long\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.support.sample",
            "--sample",
            "5",
            "-rA",
            "-q",
            "-m",
            "not slow",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "8 passed" in done.stdout, done.stdout
    assert "row a0." in done.stdout and "row c8." in done.stdout
