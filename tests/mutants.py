"""Breaks a module on purpose, one small thing at a time, and lists what no test noticed.

    python -m tests.mutants                                  the modules of `TARGETS`
    python -m tests.mutants MODULE.py TEST_PATH...           one module, with the tests that guard it

A mutant is one change of the module's syntax tree: a comparison, `and`/`or`, `not`, an operator or a number
changed, a condition always or never true, a statement, an element of a tuple or a case left out, None
returned. The tests run in a forked process that imports the changed tree; the file is never touched.
A program that a test starts runs the unchanged module. Linux and macOS only.

Exit code 1: a mutant survived that `EQUIVALENT` does not explain, or `EQUIVALENT` names one that is killed.
"""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.machinery
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import pytest

TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "agent/access/policy.py": ("tests/agent/access/test_access_policy.py",),
    "hca_card/pin_use.py": ("tests/hca_card/test_hca_card_pin_use.py",),
    "signing/guard.py": ("tests/signing/test_signing_guard.py",),
}
"""Modules in which a mistake costs a PIN or lets a stranger in, and the tests that must notice it."""

EQUIVALENT: Final[dict[str, str]] = {}
"""Mutants that nobody can tell from the original, `path: function: change`, and why."""

_ROOT: Final = Path(__file__).parent.parent
_HEAVY: Final = ("aiohttp", "asn1crypto.x509", "cryptography.x509", "hypothesis", "msgspec", "pytest_asyncio")
_FEWEST_SECONDS: Final = 20.0

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_LEFT_OUT: Final = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)


@dataclass(frozen=True)
class Mutant:
    """One change: the node at `steps` from the top of the tree, and what stands there instead."""

    steps: tuple[tuple[str, int | None], ...]
    instead: ast.AST | None
    line: int
    name: str

    def apply(self, tree: ast.Module) -> ast.Module:
        """The changed copy of `tree`; what is None is left out of its list."""
        tree = copy.deepcopy(tree)
        *way, (field, index) = self.steps
        node: Any = tree
        for step, place in way:
            node = getattr(node, step) if place is None else getattr(node, step)[place]
        if index is None:
            setattr(node, field, self.instead)
        elif self.instead is None:
            del getattr(node, field)[index]
        else:
            getattr(node, field)[index] = self.instead
        return ast.fix_missing_locations(tree)


def mutants(path: str) -> list[Mutant]:
    """All mutants of a module, in its order; those of one name are numbered."""
    found: list[Mutant] = []
    times: dict[str, int] = {}
    for mutant in _walk(ast.parse((_ROOT / path).read_text("utf-8")), (), path, 1):
        times[mutant.name] = times.get(mutant.name, 0) + 1
        number = f" #{times[mutant.name]}" if times[mutant.name] > 1 else ""
        found.append(Mutant(mutant.steps, mutant.instead, mutant.line, mutant.name + number))
    return found


def _walk(
    node: ast.AST, steps: tuple[tuple[str, int | None], ...], where: str, line: int
) -> Iterator[Mutant]:
    line = getattr(node, "lineno", line)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        where = f"{where}: {node.name}" if where.endswith(".py") else f"{where}.{node.name}"
    for instead, words in _changes(node):
        yield Mutant(steps, instead, line, f"{where}: {words}")
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST):
                continue
            here = (*steps, (field, index))
            if index is not None and isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Match):
                yield from _element(node, child, len(value), here, where)
            if not _says_nothing(child):
                yield from _walk(child, here, where, line)


def _element(
    node: ast.AST, child: ast.AST, size: int, steps: tuple[tuple[str, int | None], ...], where: str
) -> Iterator[Mutant]:
    if size > 1 and not isinstance(getattr(node, "ctx", None), ast.Store):
        words = ast.unparse(child).strip().partition("\n")[0]
        what = "case" if isinstance(node, ast.Match) else f"element of {_words(node)}"
        yield Mutant(steps, None, getattr(child, "lineno", 0), f"{where}: without {what} `{words}`")


def _says_nothing(node: ast.AST) -> bool:
    """Whether a node is a docstring, an import, or what only a type checker reads."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal)


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What may stand in the place of `node`, and the change in words."""
    for instead in _instead(node):
        yield (
            ast.copy_location(instead, node) if hasattr(node, "lineno") else instead,
            (f"`{_words(node)}` → `{_words(instead)}`"),
        )


def _instead(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, comparators):
            for at, operator in enumerate(ops):
                for other in _COMPARISONS[type(operator)]:
                    yield ast.Compare(left, [*ops[:at], other(), *ops[at + 1 :]], comparators)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.If(test, body, orelse) | ast.While(test, body, orelse):
            for always in (True, False) if isinstance(node, ast.If) else (False,):
                yield type(node)(ast.Constant(always), body, orelse)
        case ast.comprehension(target, source, ifs, is_async) if ifs:
            yield ast.comprehension(target, source, [], is_async)
        case ast.Return(value) if value is not None and not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.AnnAssign(target, _, value) if value is not None and not _is_none(value):
            yield ast.Assign([target], ast.Constant(None))
        case _ if isinstance(node, _LEFT_OUT):
            yield ast.Pass()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _words(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        return " ".join(["for", ast.unparse(node.target), *(f"if {ast.unparse(test)}" for test in node.ifs)])
    words = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).partition("\n")[0]
    return words if len(words) <= 90 else words[:89] + "…"


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from a tree instead of its file, and is found before all others."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        super().__init__(path.removesuffix(".py").replace("/", "."), str(_ROOT / path))
        self._code = compile(tree, str(_ROOT / path), "exec")

    def get_code(self, fullname: str) -> Any:
        return self._code

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None


def _run_tests(path: str, mutant: Mutant | None, tests: tuple[str, ...]) -> None:
    """Run in a process of its own; its exit code is pytest's."""
    tree = ast.parse((_ROOT / path).read_text("utf-8"))
    finder = _Loader(path, tree if mutant is None else mutant.apply(tree))
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])
    if sys.modules.get(finder.name) is None:
        code = pytest.ExitCode.NO_TESTS_COLLECTED
    # Threads that a mutant left behind must not keep the process.
    os._exit(code)


def _start(path: str, mutant: Mutant | None, tests: tuple[str, ...]) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_run_tests, args=(path, mutant, tests))
    process.start()
    return process


def survivors(path: str, tests: tuple[str, ...], jobs: int) -> list[Mutant]:
    """The mutants of `path` with which all tests pass; one that hangs is killed.

    Raises:
        SystemExit: the tests fail with the unchanged module, or never import it.
    """
    begun = time.monotonic()
    unchanged = _start(path, None, tests)
    unchanged.join()
    if unchanged.exitcode:
        raise SystemExit(f"{path}: the tests must import it and pass first (code {unchanged.exitcode})")
    seconds = max(_FEWEST_SECONDS, 10 * (time.monotonic() - begun))
    waiting = mutants(path)[::-1]
    _say(f"{path}: {len(waiting)} mutants")
    running: dict[BaseProcess, tuple[Mutant, float]] = {}
    survived: list[Mutant] = []
    hung: list[Mutant] = []
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[_start(path, mutant, tests)] = mutant, time.monotonic() + seconds
        multiprocessing.connection.wait([process.sentinel for process in running], timeout=1)
        for process, (mutant, deadline) in list(running.items()):
            if process.is_alive():
                if time.monotonic() > deadline:
                    process.kill()
                    hung.append(mutant)
                continue
            process.join()
            del running[process]
            if process.exitcode == 0:
                survived.append(mutant)
                reason = EQUIVALENT.get(mutant.name)
                _say(f"  survived, line {mutant.line}: {mutant.name}" + (f" ({reason})" if reason else ""))
    for mutant in dict.fromkeys(hung):
        _say(f"  killed by the clock after {seconds:.0f} s, line {mutant.line}: {mutant.name}")
    return survived


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the targets, or the one module given with its tests."""
    for name in _HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    targets = {arguments[0]: tuple(arguments[1:])} if arguments[1:] else TARGETS
    survived = {
        mutant.name
        for path, tests in targets.items()
        for mutant in survivors(path, tests, jobs=os.cpu_count() or 1)
    }
    killed = {name for name in EQUIVALENT if name.partition(":")[0] in targets} - survived
    for name in sorted(killed):
        _say(f"EQUIVALENT names what is killed or not made: {name}")
    unexplained = survived - EQUIVALENT.keys()
    _say(f"{len(unexplained)} mutants survived that nothing explains")
    return int(bool(unexplained or killed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
