"""Covers each module by the tests that mirror it, and by no others; `make coverage`.

What only some far-off test happens to run is asserted by nobody: what is promised of a module stands in the
tests of its name. Each file of tests runs alone, in a process of its own, under coverage.py. Of a module the
lines inside functions count, since importing it runs all others.

Exit code 1: a line is not run.
"""

from __future__ import annotations

import ast
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

ROOMS: Final = ("agent/access",)
ROOT: Final = Path(__file__).parent.parent

_LEFT_OUT: Final = "not pcscd and not browser and not packages"
_EXCLUDED: Final = r"if TYPE_CHECKING:|^\s*\.\.\.$|raise NotImplementedError"


def modules() -> list[str]:
    """All modules of the rooms that have anything to run."""
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return sorted(str(path.relative_to(ROOT)) for path in found if lines_of(path))


def mirror_of(module: str) -> str:
    """The file of tests that mirrors a module: in the same folder below `tests`, named after it.

    Raises:
        SystemExit: there is none, or there are several.
    """
    path = ROOT / module
    found = sorted((ROOT / "tests" / Path(module).parent).glob(f"test_*_{path.stem}.py"))
    if len(found) != 1:
        raise SystemExit(f"{module}: {len(found)} files of tests are named after it, not one")
    return str(found[0].relative_to(ROOT))


def lines_of(path: Path) -> set[int]:
    """The lines of the statements inside functions."""
    from coverage.parser import PythonParser

    text = path.read_text("utf-8")
    parser = PythonParser(text=text, exclude=_EXCLUDED)
    parser.parse_source()
    inside: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside.update(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    return parser.statements & inside


def _run(test: str, to: Path) -> None:
    """Run in a process of its own: write which lines of which modules the tests in that file ran."""
    import coverage

    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    measured = coverage.Coverage(
        data_file=None, config_file=False, source=[str(ROOT / room) for room in ROOMS]
    )
    measured.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", _LEFT_OUT, str(ROOT / test)])
    measured.stop()
    data = measured.get_data()
    ran = {
        str(Path(name).relative_to(ROOT)): sorted(data.lines(name) or ()) for name in data.measured_files()
    }
    to.write_text(json.dumps({"code": int(code), "ran": ran}), "utf-8")
    os._exit(0)


def run(tests: Iterable[str], jobs: int) -> dict[str, dict[str, set[int]]]:
    """The lines that each file of tests runs, by module.

    Raises:
        SystemExit: tests fail.
    """
    waiting, running = sorted(set(tests), reverse=True), {}
    found: dict[str, dict[str, set[int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                test = waiting.pop()
                to = Path(folder, test.replace("/", "-"))
                process = multiprocessing.get_context("fork").Process(target=_run, args=(test, to))
                process.start()
                running[process.sentinel] = process, test, to
            for sentinel in multiprocessing.connection.wait(list(running)):
                process, test, to = running.pop(sentinel)  # type: ignore[index]
                process.join()
                told = json.loads(to.read_text("utf-8")) if to.exists() else {"code": -1, "ran": {}}
                if told["code"] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                    raise SystemExit(f"{test} fails by itself (code {told['code']})")
                found[test] = {module: set(lines) for module, lines in told["ran"].items()}
    return found


def missed(jobs: int) -> dict[str, list[int]]:
    """The lines of each module that its mirror does not run."""
    mirrors = {module: mirror_of(module) for module in modules()}
    ran = run(mirrors.values(), jobs)
    return {
        module: sorted(lines_of(ROOT / module) - ran[mirror].get(module, set()))
        for module, mirror in mirrors.items()
    }


def main() -> int:
    """Print what each module's mirror leaves out."""
    found = missed(os.cpu_count() or 1)
    for module, lines in found.items():
        words = f"not run: lines {', '.join(map(str, lines))}" if lines else "all of it"
        sys.stdout.write(f"{module}: {words}\n")
    return int(any(found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
