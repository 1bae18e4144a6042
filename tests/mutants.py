"""Breaks a module on purpose, one small thing at a time, and lists what no test noticed.

    python -m tests.mutants                             the modules of `TARGETS`
    python -m tests.mutants MODULE.py...                some of them
    python -m tests.mutants MODULE.py TEST_PATH...      any other, with the tests that guard it

A mutant is one change of the module's syntax tree: a comparison, `and`/`or`, `not`, an operator or a number
changed, a condition always or never true, a statement, an element of a tuple or a case left out, None
returned. Each gets a forked process, which imports the changed tree (the file is never touched) and all that
depends on it, and runs the tests until one fails: first those that run the changed statement, the quickest
first. Which those are is measured once, and what does not depend on the module is imported once.
A program that a test starts runs the unchanged module. Linux and macOS only.

Exit code 1: a mutant survived that `EQUIVALENT` does not explain, or `EQUIVALENT` names one that is killed.
"""

from __future__ import annotations

import ast
import copy
import gc
import importlib
import importlib.machinery
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import coverage

TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "agent/access/policy.py": ("tests/agent/access/test_access_policy.py",),
    "hca_card/pin_use.py": ("tests/hca_card/test_hca_card_pin_use.py",),
    "signing/guard.py": ("tests/signing/test_signing_guard.py",),
    "agent/operations/pin_entry.py": ("tests/agent/operations/test_operations_pin_entry.py",),
}
"""Modules in which a mistake costs a PIN or lets a stranger in, and the tests that must notice it."""

EQUIVALENT: Final[dict[str, str]] = {
    "agent/operations/pin_entry.py: without element of [Card, bytes] `Card`": "only a type checker reads it",
    "agent/operations/pin_entry.py: without element of [Card, bytes] `bytes`": "only a type checker reads it",
    "agent/operations/pin_entry.py: PinEntry.keep: `0` → `-1`": "VERIFY, which alone is kept, has one PIN",
    "agent/operations/pin_entry.py: PinEntry._failed: `del error` → `pass`": "the name ends there anyway",
    "agent/operations/pin_entry.py: KeypadPin._spent_nothing: `return False` → `return None`": "a condition",
    "agent/operations/pin_entry.py: _renewed: `return False` → `return None`": "a condition",
}
"""Mutants that nobody can tell from the original, `path: function: change`, and why."""

_ROOT: Final = Path(__file__).parent.parent
_LEFT_OUT: Final = "not pcscd and not browser and not packages"
_FEWEST_SECONDS: Final = 20.0
_TEST_SECONDS: Final = 30

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
_STATEMENTS: Final = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)


_Steps = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        steps: the way from the top of the tree to the node that is changed.
        instead: what stands there then, None if nothing.
        line: the node's.
        ran: the lines of the statement that it is in, or of that one's head; None outside functions, where it
            counts when the module is imported.
        name: the change in words.
    """

    steps: _Steps
    instead: ast.AST | None
    line: int
    ran: range | None
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
    for mutant in _walk(ast.parse((_ROOT / path).read_text("utf-8")), (), path, 1, None):
        times[mutant.name] = times.get(mutant.name, 0) + 1
        number = f" #{times[mutant.name]}" if times[mutant.name] > 1 else ""
        found.append(replace(mutant, name=mutant.name + number))
    return found


def _walk(node: ast.AST, steps: _Steps, where: str, line: int, ran: range | None) -> Iterator[Mutant]:
    line = getattr(node, "lineno", line)
    function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    if function or isinstance(node, ast.ClassDef):
        where = f"{where}: {node.name}" if where.endswith(".py") else f"{where}.{node.name}"  # type: ignore[attr-defined]
    if ran is not None and isinstance(node, ast.stmt | ast.ExceptHandler):
        ran = _head(node)
    for instead, words in _changes(node):
        yield Mutant(steps, instead, line, ran, f"{where}: {words}")
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        within = range(0) if function and field == "body" else ran
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST):
                continue
            here = (*steps, (field, index))
            if index is not None and (said := _left_out(node, child, len(value))):
                yield Mutant(here, None, getattr(child, "lineno", line), ran, f"{where}: {said}")
            if not _says_nothing(child):
                yield from _walk(child, here, where, line, within)


def _left_out(node: ast.AST, child: ast.AST, size: int) -> str | None:
    """The change in words that leaves one child out, if it may be."""
    if not isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Match):
        return None
    if size < 2 or isinstance(getattr(node, "ctx", None), ast.Store):
        return None
    words = ast.unparse(child).strip().partition("\n")[0]
    what = "case" if isinstance(node, ast.Match) else f"element of {_words(node)}"
    return f"without {what} `{words}`"


def _head(node: ast.stmt | ast.ExceptHandler) -> range:
    """The lines of a statement, without those of the statements in it."""
    if isinstance(node, ast.Match):
        end = node.subject.end_lineno or 0
    elif isinstance(body := getattr(node, "body", None), list):
        end = max(node.lineno, body[0].lineno - 1)
    else:
        end = node.end_lineno or 0
    return range(node.lineno, end + 1)


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
        case _ if isinstance(node, _STATEMENTS):
            yield ast.Pass()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _words(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        return " ".join(["for", ast.unparse(node.target), *(f"if {ast.unparse(test)}" for test in node.ifs)])
    words = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).partition("\n")[0]
    return words if len(words) <= 90 else words[:89] + "…"


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from a tree instead of its file, and is found before all others.

    Args:
        path: the module's.
        tree: None is one that cannot be loaded.
    """

    def __init__(self, path: str, tree: ast.Module | None) -> None:
        super().__init__(path.removesuffix(".py").replace("/", "."), str(_ROOT / path))
        self._tree = tree

    def get_code(self, fullname: str) -> Any:
        if self._tree is None:
            raise _KeptBackError
        return compile(self._tree, self.path, "exec")

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None


class _KeptBackError(Exception):
    """The module is not to be loaded, and nothing that depends on it."""


@dataclass
class _Measured:
    """What the tests did with the unchanged module.

    Attributes:
        modules: all that were loaded.
        ran: the tests that run a line.
        seconds: how long each test takes.
    """

    modules: list[str]
    ran: dict[int, list[str]]
    seconds: dict[str, float]

    def order(self, mutant: Mutant) -> list[str]:
        """All tests, first those that run the changed statement; of what is cached, others may notice it."""
        near = {name for line in mutant.ran or () for name in self.ran.get(line, ())}
        return sorted(self.seconds, key=lambda name: (name not in near, self.seconds[name]))


class _Watch:
    """Notes which test runs which line, and how long each takes."""

    def __init__(self, measuring: coverage.Coverage) -> None:
        self._measuring = measuring
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._measuring.switch_context(item.nodeid)
        begun = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - begun
        return result


class _Order:
    """Runs the tests in the order of their names here."""

    def __init__(self, names: list[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._places.get(item.nodeid, 0))


def _pytest(tests: tuple[str, ...], plugin: object) -> int:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    plugins = (f"-pno:{name}" for name in ("cacheprovider", "xdist", "unraisableexception"))
    arguments = ("-x", "-q", "-m", _LEFT_OUT, *plugins)
    return pytest.main([*arguments, f"--timeout={_TEST_SECONDS}", *tests], plugins=[plugin])


def _measure(path: str, tests: tuple[str, ...], to: multiprocessing.connection.Connection) -> None:
    """Run in a process of its own: send what the tests do, or the code that pytest failed with."""
    import coverage

    file = str(_ROOT / path)
    measuring = coverage.Coverage(data_file=None, config_file=False, include=[file])
    measuring.start()
    watch = _Watch(measuring)
    code = _pytest(tests, watch)
    measuring.stop()
    lines = measuring.get_data().contexts_by_lineno(file)
    ran = {line: [name for name in names if name] for line, names in lines.items()}
    to.send(code or _Measured(list(sys.modules), ran, watch.seconds))
    to.close()
    os._exit(0)


def _run_tests(path: str, tests: tuple[str, ...], mutant: Mutant | None, order: list[str]) -> None:
    """Run in a process of its own; its exit code is pytest's."""
    tree = ast.parse((_ROOT / path).read_text("utf-8"))
    loader = _Loader(path, mutant.apply(tree) if mutant else tree)
    sys.meta_path.insert(0, loader)
    code = _pytest(tests, _Order(order))
    if getattr(sys.modules.get(loader.name), "__loader__", None) is not loader:
        code = pytest.ExitCode.NO_TESTS_COLLECTED
    # Threads that a mutant left behind must not keep the process.
    os._exit(code)


def _start(run: Callable[..., None], *arguments: object) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=run, args=arguments)
    process.start()
    return process


def _told(run: Callable[..., None], *arguments: object) -> Any:
    """What `run` sends from a process of its own.

    Raises:
        SystemExit: it ends without a word.
    """
    ours, theirs = multiprocessing.get_context("fork").Pipe(duplex=False)
    _start(run, *arguments, theirs)
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise SystemExit(2) from None


def _measured(path: str, tests: tuple[str, ...]) -> _Measured:
    """What the tests do with the unchanged module; what they load and does not depend on it is loaded here.

    Raises:
        SystemExit: they fail.
    """
    told = _told(_measure, path, tests)
    if isinstance(told, _Measured):
        sys.meta_path.insert(0, _Loader(path, None))
        for name in told.modules:
            with suppress(Exception):
                importlib.import_module(name)
        del sys.meta_path[0]
        gc.collect()
        gc.freeze()  # what stays is not looked through again in each fork, and not copied for being looked at
        again = _start(_run_tests, path, tests, None, list(told.seconds))
        again.join()
        told = again.exitcode or told
    if not isinstance(told, _Measured):
        raise SystemExit(f"{path}: the tests must import it and pass first (code {told})")
    return told


def _survivors(path: str, tests: tuple[str, ...], to: multiprocessing.connection.Connection) -> None:
    """Run in a process of its own: send the names of the mutants with which all tests pass.

    Raises:
        SystemExit: the tests fail with the unchanged module.
    """
    begun, jobs = time.monotonic(), os.cpu_count() or 1
    measured = _measured(path, tests)
    seconds = _FEWEST_SECONDS + 5 * sum(measured.seconds.values())
    waiting = mutants(path)[::-1]
    _say(f"{path}: {len(waiting)} mutants, {len(measured.seconds)} tests")
    running: dict[BaseProcess, tuple[Mutant, float]] = {}
    survived: list[str] = []
    hung: list[Mutant] = []
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            process = _start(_run_tests, path, tests, mutant, measured.order(mutant))
            running[process] = mutant, time.monotonic() + seconds
        multiprocessing.connection.wait([process.sentinel for process in running], timeout=1)
        for process, (mutant, deadline) in list(running.items()):
            if process.is_alive():
                if time.monotonic() > deadline:
                    process.kill()
                    hung.append(mutant)
                continue
            process.join()
            del running[process]
            if process.exitcode == pytest.ExitCode.OK:
                survived.append(mutant.name)
                reason = EQUIVALENT.get(mutant.name)
                _say(f"  survived, line {mutant.line}: {mutant.name}" + (f" ({reason})" if reason else ""))
    for mutant in dict.fromkeys(hung):
        _say(f"  killed by the clock, line {mutant.line}: {mutant.name}")
    _say(f"  {len(survived)} survived; {time.monotonic() - begun:.0f} s")
    to.send(survived)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the targets, or the modules given, or one that is none of them with its tests."""
    os.chdir(_ROOT)
    if arguments and all(argument in TARGETS for argument in arguments):
        targets = {path: TARGETS[path] for path in arguments}
    else:
        targets = {arguments[0]: tuple(arguments[1:])} if arguments else TARGETS
    survived = {name for path, tests in targets.items() for name in _told(_survivors, path, tests)}
    killed = {name for name in EQUIVALENT if name.partition(":")[0] in targets} - survived
    for name in sorted(killed):
        _say(f"EQUIVALENT names what is killed or not made: {name}")
    unexplained = survived - EQUIVALENT.keys()
    _say(f"{len(unexplained)} mutants survived that nothing explains")
    return int(bool(unexplained or killed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
