"""What rows tell people to do: it exists, it is one step further, and it stands in both languages."""

from __future__ import annotations

import re

import click

from agent.cli.program import program
from agent.errors import table
from agent.selftest.model import Trouble

COMMAND = re.compile(r"hca-agent((?: [a-z]+)+)")


def test_every_command_that_people_are_told_to_run_exists() -> None:
    for error_id in table():
        row = table()[error_id]
        for text in (row.next_zh, row.next_en, str(Trouble.of(error_id).next)):
            for found in COMMAND.finditer(text):
                command: click.Command = program
                words = found[1].split()
                while words and isinstance(command, click.Group) and words[0] in command.commands:
                    command = command.commands[words.pop(0)]
                assert command is not program, f"{error_id}: {found[0]}"


def test_nobody_who_just_ran_the_self_test_is_told_to_run_it_as_the_help() -> None:
    for error_id in table():
        told = Trouble.of(error_id)
        assert "hca-agent selftest" not in str(told.next), error_id
        assert told.next.zh.endswith("。") and told.next.en.rstrip("”").endswith("."), error_id
