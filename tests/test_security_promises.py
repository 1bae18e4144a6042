"""SECURITY.md, promise by promise: each names the tests that hold it, and they are there and run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
SECTION, END = "## What is promised\n", "\n## "
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises(text: str) -> tuple[str, list[str]]:
    """Return what stands before the first heading of the section, and its promises, one line each."""
    section = text.partition(SECTION)[2].partition(END)[0]
    preface, *parts = re.split(r"^### .+$", section, flags=re.MULTILINE)
    items: list[str] = []
    for part in parts:
        for line in filter(None, map(str.rstrip, part.splitlines())):
            if line.startswith("- "):
                items.append(line)
            else:
                assert items, f"no promise begins before: {line}"
                assert line.startswith("  "), f"no list item: {line}"
                items[-1] += " " + line.strip()
    return preface.strip(), items


PREFACE, PROMISES = promises(TEXT)


@cache
def functions_that_run(file: str) -> frozenset[str]:
    """Return the names of the test functions of a file, without those that are skipped everywhere."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    marks = [
        each.value
        for each in tree.body
        if isinstance(each, ast.Assign) and "pytestmark" in map(ast.unparse, each.targets)
    ]
    if any(map(_skips, marks)):
        return frozenset()
    return frozenset(
        each.name
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.name.startswith("test_")
        and not any(map(_skips, each.decorator_list))
    )


def _skips(mark: ast.expr) -> bool:
    """Return whether a mark keeps a test from ever running: `skip`, or `xfail`, which may fail unseen."""
    return bool(re.search(r"\bmark\.(skip|xfail)\b", ast.unparse(mark)))


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_the_tests_that_hold_it(promise: str) -> None:
    said, _, named = promise.partition("→")
    assert said.strip("- ").endswith("."), "a promise is a sentence"
    references = REFERENCE.findall(named)
    assert references, "no test is named"
    assert not re.sub(REFERENCE, "", named).strip(" ,"), "after the arrow are tests and nothing else"
    for file, name in references:
        assert (ROOT / file).is_file(), file
        assert name in functions_that_run(file), f"{file}::{name}"


def test_there_are_promises_and_nothing_is_promised_beside_them() -> None:
    assert len(PROMISES) > 40
    assert "\n\n" not in PREFACE, "one paragraph says how to read the list"
    assert "tests/test_security_promises.py" in PREFACE


@pytest.mark.parametrize(
    "text",
    [
        "Something.",
        "- Something",
        "- Something.",
        "- Something. → nothing",
        "- Something. → `tests/test_nowhere.py::test_this`",
        "- Something. → `tests/test_security_promises.py::test_nobody_wrote`",
        "- Something. → `tests/test_security_promises.py::promises`",
    ],
)
def test_a_promise_that_nothing_holds_is_found(text: str) -> None:
    with pytest.raises(AssertionError):
        _, items = promises(f"{SECTION}\n### Against\n\n{text}\n\n## End\n")
        test_a_promise_names_the_tests_that_hold_it(*items)


def test_a_test_that_is_skipped_everywhere_holds_nothing() -> None:
    for mark in ("pytest.mark.skip", "pytest.mark.skip(reason='later')", "pytest.mark.xfail(strict=True)"):
        assert _skips(ast.parse(mark, mode="eval").body)
    assert not _skips(ast.parse("pytest.mark.skipif(WINDOWS, reason='Linux only')", mode="eval").body)
