"""Looking at what the command line offers and prints."""

from __future__ import annotations

import json
from typing import Any

import click
from click.testing import Result

from agent.cli.program import program


def answer(result: Result) -> Any:
    """The JSON that a command printed, whose only line it must be."""
    assert result.stdout.count("\n") == 1, result.output
    return json.loads(result.stdout)


def every_command(
    group: click.Group = program, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
        else:
            found.append(((*path, name), command))
    return found
