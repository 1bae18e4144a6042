"""Tests in forks come out as they would have in one process, and none is lost with a process that dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import os, pytest, time, warnings

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    yield tmp_path_factory.mktemp("one")
    print("module ended in", os.getpid())

@pytest.mark.parametrize("number", range(40))
def test_good(number, folder):
    time.sleep(0.01)

@pytest.mark.parametrize("number", range(3))
@pytest.mark.xdist_group("together")
def test_together(number):
    with open("together", "a") as file:
        file.write(f"{os.getpid()} ")

def test_bad():
    print("said before it failed")
    warnings.warn("look here")
    assert 1 == 2

@pytest.mark.skip(reason="not today")
def test_skipped():
    pass
"""
DYING = """
def test_dying():
    os._exit(7)
"""


def crew(folder: Path, tests: str, *words: str) -> tuple[int, str]:
    (folder / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.crew", "--crew", "3", "-rA", "-q", *words]
    done = subprocess.run(
        [*command, "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_what_is_told_is_what_happened(tmp_path: Path) -> None:
    code, told = crew(tmp_path, TESTS)
    assert code == 1
    assert "1 failed, 43 passed, 1 skipped" in told
    assert "FAILED test_it.py::test_bad - assert 1 == 2" in told
    assert "Captured stdout call" in told and "said before it failed" in told
    assert "UserWarning: look here" in told
    assert "not today" in told
    assert len(set((tmp_path / "together").read_text().split())) == 1


@pytest.mark.slow
def test_a_process_that_dies_fails_what_it_was_given(tmp_path: Path) -> None:
    code, told = crew(tmp_path, TESTS + DYING)
    assert code == 1
    assert "FAILED test_it.py::test_dying - the process that was to run it ended with 7" in told
    counted = told.splitlines()[-1].replace(",", "").split()
    assert sum(map(int, counted[:6:2])) == 46


@pytest.mark.slow
def test_the_first_failure_ends_it_where_that_is_asked_for(tmp_path: Path) -> None:
    tests = "def test_first():\n    assert 0\n" + TESTS.replace("assert 1 == 2", "pass")
    code, told = crew(tmp_path, tests, "-x")
    assert code == 1
    assert "FAILED test_it.py::test_first" in told and "stopping after 1 failures" in told
    assert "ended with" not in told
