"""What rows tell people to do: it exists, it is one step further, and it stands in both languages."""

from __future__ import annotations

import re

import click
import pytest

from agent.cli.program import program
from agent.errors import ErrorId, table
from agent.selftest.model import Trouble

COMMAND = re.compile(r"hca-agent((?: [a-z]+)+)")


@pytest.mark.parametrize("error_id", table())
def test_every_command_that_people_are_told_to_run_exists(error_id: ErrorId) -> None:
    row = table()[error_id]
    for text in (row.next_zh, row.next_en, str(Trouble.of(error_id).next)):
        for found in COMMAND.finditer(text):
            command: click.Command = program
            words = found[1].split()
            while words and isinstance(command, click.Group) and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            assert command is not program, found[0]


@pytest.mark.parametrize("error_id", table())
def test_nobody_who_just_ran_the_self_test_is_told_to_run_it_as_the_help(error_id: ErrorId) -> None:
    told = Trouble.of(error_id)
    assert "hca-agent selftest" not in str(told.next)
    assert told.next.zh.endswith("。") and told.next.en.rstrip("”").endswith(".")
