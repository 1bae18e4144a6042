"""The list of mutants that nobody can tell from the original is true: `make mutants` goes by it."""

from __future__ import annotations

import ast
from pathlib import Path

from tests import mutants

ROOT = Path(__file__).parent.parent


def test_what_is_explained_is_made_of_a_target_and_has_a_reason() -> None:
    made = {mutant.name for path in mutants.TARGETS for mutant in mutants.mutants(path)}
    assert mutants.EQUIVALENT.keys() <= made
    assert all(mutants.EQUIVALENT.values())


def test_each_mutant_is_one_change_of_its_own_that_compiles() -> None:
    path = "signing/guard.py"
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    unchanged = ast.dump(tree)
    found = mutants.mutants(path)
    changed = [mutant.apply(tree) for mutant in found]
    assert len({unchanged, *map(ast.dump, changed)}) == len(found) + 1
    assert ast.dump(tree) == unchanged
    for each in changed:
        compile(each, path, "exec")


def test_a_target_has_tests() -> None:
    for path, tests in mutants.TARGETS.items():
        assert (ROOT / path).is_file()
        assert tests and all((ROOT / test).is_file() for test in tests)
