"""The frozen program has every file that the program reads beside its own modules."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_DATA = (".py", ".pyc", ".pyi", ".typed", ".d.ts")


def test_every_file_in_the_rooms_that_is_no_module_is_in_the_frozen_program() -> None:
    spec = ast.parse((ROOT / "installer" / "hca-agent.spec").read_text("utf-8"))
    named = {
        target.id: ast.literal_eval(node.value)
        for node in spec.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("ROOMS", "DATA")
    }
    included = [ROOT / entry for entry in named["DATA"]]
    files = [
        path
        for room in named["ROOMS"]
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not path.name.endswith(NO_DATA)
    ]
    assert len(files) > 20
    missing = [path for path in files if not any(path.is_relative_to(entry) for entry in included)]
    assert not missing
