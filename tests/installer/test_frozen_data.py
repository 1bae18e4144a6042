"""The frozen program has every file that the program reads beside its own modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NO_DATA = (".py", ".pyc", ".pyi", ".typed", ".d.ts")


def named_in_spec(*names: str) -> list[Any]:
    spec = ast.parse((ROOT / "installer" / "hca-agent.spec").read_text("utf-8"))
    found = {
        target.id: node.value
        for node in spec.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [ast.literal_eval(found[name]) for name in names]


def imported(file: Path) -> Iterator[str]:
    """The modules that a file of Python asks for, wherever in it."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_what_the_frozen_program_leaves_out_is_what_no_module_of_ours_asks_for() -> None:
    rooms, left_out = named_in_spec("ROOMS", "LEFT_OUT")
    asked = {
        (name, str(file.relative_to(ROOT)))
        for room in rooms
        for file in (ROOT / room).rglob("*.py")
        for name in imported(file)
    }
    assert len(asked) > 1000
    missing = sorted(each for each in asked if any(f"{each[0]}.".startswith(f"{out}.") for out in left_out))
    assert not missing


def test_every_file_in_the_rooms_that_is_no_module_is_in_the_frozen_program() -> None:
    rooms, data = named_in_spec("ROOMS", "DATA")
    included = [ROOT / entry for entry in data]
    files = [
        path
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not path.name.endswith(NO_DATA)
    ]
    assert len(files) > 20
    missing = [path for path in files if not any(path.is_relative_to(entry) for entry in included)]
    assert not missing
