"""Covers each module by the tests that mirror it, by no others: `make coverage`, `make coverage ROOMS=pcsc`.

What only some far-off test happens to run is asserted by nobody: what is promised of a module stands in the
tests of its name. Each file of tests runs alone, in a process of its own, under coverage.py. Of a module the
lines inside functions count, since importing it runs all others.

Exit code 1: a line is not run that `LEFT` does not allow, or `LEFT` allows what no longer is.
"""

from __future__ import annotations

import ast
import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from coverage.parser import PythonParser

ROOMS: Final = ("agent/access", "agent/operations", "hca_card", "pcsc", "signing")
ROOT: Final = Path(__file__).parent.parent

LEFT: Final = {
    "hca_card/certificate_oddities.py": 2,
    "signing/verification/pdf.py": 1,
    "signing/verification/pkcs1.py": 2,
}
"""How many lines of a module its mirror does not run yet. This list only gets shorter."""

_LEFT_OUT: Final = "not pcscd and not browser and not packages"
_EXCLUDED: Final = (
    r"if TYPE_CHECKING:|^\s*\.\.\.$|raise NotImplementedError|if sys\.platform == .(win32|darwin).:"
)
_HEAVY: Final = ("agent.trust.linux", "aiohttp", "cryptography.x509", "hypothesis", "pytest_asyncio")


def modules(below: Iterable[str] = ROOMS) -> list[str]:
    """All modules of these rooms, or parts of rooms, that have anything to run."""
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    names = (str(path.relative_to(ROOT)) for path in found if lines_of(path))
    return sorted(name for name in names if name.startswith(tuple(below)))


def mirrors_of(module: str) -> list[str]:
    """The files of tests that mirror a module: in the same folder below `tests`, named after it.

    `a/b/c_d.py` is mirrored by `test_b_c_d.py` and what goes on so (`test_b_c_d_hostile.py`). Where nothing
    has that name, its family's tests are its own, `test_b_c.py`; of a package within a room at last all.

    Raises:
        SystemExit: there are none.
    """
    path = Path(module)
    words = [] if path.stem == "__init__" else path.stem.split("_")
    of_package = str(path.parent) not in ROOMS or not words
    for count in range(len(words), -1 if of_package else 0, -1):
        name = "_".join(["test", path.parent.name, *words[:count]])
        files = (ROOT / "tests" / path.parent).glob("test_*.py")
        if found := [file for file in files if f"{file.stem}_".startswith(f"{name}_")]:
            return sorted(str(file.relative_to(ROOT)) for file in found)
    raise SystemExit(f"{module}: no file of tests is named after it")


@cache
def _parsed(path: Path) -> PythonParser:
    from coverage.parser import PythonParser

    parser = PythonParser(text=path.read_text("utf-8"), exclude=_EXCLUDED)
    parser.parse_source()
    return parser


@cache
def lines_of(path: Path) -> set[int]:
    """The lines of the statements inside functions; a statement of several lines is its first."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside.update(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    return _parsed(path).statements & inside


def _lines_run_by(work: Callable[[], object]) -> dict[str, set[int]]:
    """The lines of each module that the work runs."""
    import coverage

    measured = coverage.Coverage(
        data_file=None, config_file=False, source=[str(ROOT / room) for room in ROOMS]
    )
    measured.set_option("run:disable_warnings", ["module-not-measured", "no-data-collected"])
    measured.start()
    try:
        work()
    finally:
        measured.stop()
    data = measured.get_data()
    return {str(Path(name).relative_to(ROOT)): set(data.lines(name) or ()) for name in data.measured_files()}


def _run(test: str, to: Path) -> None:
    """Run in a process of its own: write which lines of which modules the tests in that file ran."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=900", "-m", _LEFT_OUT]
    codes: list[int] = []
    ran = _lines_run_by(lambda: codes.append(pytest.main([*arguments, str(ROOT / test)])))
    told = {"code": codes[0], "ran": {module: sorted(lines) for module, lines in ran.items()}}
    to.write_text(json.dumps(told), "utf-8")
    os._exit(0)


def _import_all() -> None:
    """Import what most tests import, once for all processes; first what is no part of the rooms."""
    for module in _HEAVY:
        importlib.import_module(module)
    for path in modules():
        importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def run(tests: Iterable[str], jobs: int) -> dict[str, dict[str, set[int]]]:
    """The lines that each file of tests runs, by module, with those that importing runs.

    Raises:
        SystemExit: tests fail.
    """
    imported = _lines_run_by(_import_all)
    waiting = sorted(set(tests), reverse=True)
    running: dict[int, tuple[ForkProcess, str, Path]] = {}
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
                process, test, to = running.pop(sentinel)  # type: ignore[arg-type]
                process.join()
                told: dict[str, Any] = {"code": -1, "ran": {}}
                if to.exists():
                    told = json.loads(to.read_text("utf-8"))
                if told["code"] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                    raise SystemExit(f"{test} fails by itself (code {told['code']})")
                found[test] = {
                    module: imported.get(module, set()).union(told["ran"].get(module, ()))
                    for module in imported.keys() | told["ran"].keys()
                }
    return found


def missed(below: Iterable[str], jobs: int) -> dict[str, list[int]]:
    """The lines of each module that its mirror does not run."""
    mirrors = {module: mirrors_of(module) for module in modules(below)}
    ran = run({test for tests in mirrors.values() for test in tests}, jobs)
    found = {}
    for module, tests in mirrors.items():
        path, lines = ROOT / module, set().union(*(ran[test].get(module, ()) for test in tests))
        # The first line of a statement need not have any code: `if (` alone has none.
        found[module] = sorted(lines_of(path) - _parsed(path).translate_lines(lines))
    return found


def wrong(found: dict[str, list[int]]) -> dict[str, str]:
    """What is wrong with the modules of which these lines are not run."""
    words = {}
    for module, lines in found.items():
        if len(lines) > LEFT.get(module, 0):
            words[module] = f"not run: lines {', '.join(map(str, lines))}"
        elif module in LEFT and not lines:
            words[module] = "all of it; strike it off `LEFT`"
    return words


def main(below: list[str]) -> int:
    """Print what each module's mirror leaves out."""
    found = missed(below or ROOMS, os.cpu_count() or 1)
    bad = wrong(found)
    for module, lines in found.items():
        fair = f"all but {len(lines)} lines, as listed" if lines else "all of it"
        sys.stdout.write(f"{module}: {bad.get(module, fair)}\n")
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
