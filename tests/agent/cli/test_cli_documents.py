"""What README, man page and documentation tell people to type: it is there, and it runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from agent.cli.program import program
from hca_card.simulator import KINDS
from tests.support.command_line import every_command
from tests.support.medical_records import RECORD
from tests.support.pdfs import pdf

PROJECT = Path(__file__).parents[3]
READMES = ("README.md", "README.zh-TW.md")
DOCUMENTS = [*READMES, "CONTRIBUTING.md", "SECURITY.md", "installer/README.md"]
DOCUMENTS += sorted(str(file.relative_to(PROJECT)) for file in (PROJECT / "docs").glob("*.md"))
NOT_RUN = {"run", "demo", "trust install", "card import-trace"}
"""Goes on until it is ended, changes the browsers of whoever runs the tests, or takes a recording of a card;
other tests run them."""


def blocks(document: str) -> list[str]:
    """The lines that are set as code: indented by four, or fenced."""
    text = (PROJECT / document).read_text("utf-8")
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).splitlines()
    return [line.strip() for line in [*(each for each in text.splitlines() if each[:4] == "    "), *fenced]]


def typed(line: str) -> list[str]:
    """The words after `hca-agent` on a line that calls it, without its comment; none on another."""
    found = re.match(r"(?:\$ |sudo )?(?:\S*/)?hca-agent(?:\.exe)? (?=[a-z-])(.*)", line)
    if found is None:
        return []
    command = re.split(r"\s+#|\s{2,}|\s[|>&]|;", found[1])[0]
    return shlex.split(command)


def resolved(words: list[str]) -> tuple[str, click.Command, list[str]]:
    """The command that these words call, and its own words."""
    command, rest, path = program, list(words), []
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no {' '.join([*path, rest[0]])}"
        command = command.commands[rest[0]]
        path.append(rest.pop(0))
    if isinstance(command, click.Group) and "show" in command.commands:
        command = command.commands["show"]
    return " ".join(path), command, rest


@pytest.mark.parametrize("readme", READMES)
def test_every_command_line_of_the_readme_runs(
    invoke, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readme: str
):
    monkeypatch.chdir(tmp_path)
    (home / "config.toml").write_text("[queue]\nenabled = true\n", "utf-8")
    (tmp_path / "report.pdf").write_bytes(pdf("a report"))
    (tmp_path / "record.xml").write_bytes(RECORD)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "record.xml").write_bytes(RECORD)
    calls = [words for line in blocks(readme) if (words := typed(line))]
    assert len(calls) >= 10
    for words in calls:
        name, command, _ = resolved(words)
        options = {option for parameter in command.params for option in parameter.opts}
        if name in NOT_RUN:
            continue
        more = [*(["--simulate", "hpc"] if "--simulate" in options else [])]
        more += ["--pin-stdin"] if "--pin-stdin" in options else []
        ended = invoke(*words, *more, input="123456\n")
        rows_may_fail = name == "selftest"  # this computer is no person's, ready for portals
        assert ended.exit_code == 0 or rows_may_fail, f"{words}: {ended.output}"
        assert "(internal)" not in ended.output
    assert (tmp_path / "report.signed.pdf").exists()


@pytest.mark.parametrize("readme", READMES)
def test_what_the_readme_has_make_do_is_there(readme: str):
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = re.findall(r"(?:^    |`)make ([a-z-]+)", (PROJECT / readme).read_text("utf-8"), re.MULTILINE)
    assert {"demo", "test", "package"} <= set(asked) <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_line_of_a_document_has_a_command_and_options_that_are_there(document: str):
    calls = [words for line in blocks(document) if (words := typed(line))]
    quoted = re.findall(r"`((?:sudo )?hca-agent [a-z][^`]*)`", (PROJECT / document).read_text("utf-8"))
    # `pin status | change` names several; what stands before the first is looked at.
    calls += [words for each in quoted if (words := typed(each))]
    for words in calls:
        name, command, rest = resolved([word for word in words if word != "…"])
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given <= known, f"{name}: {given - known}"
        for kind in re.findall(r"--simulate[ =]([a-z0-9,-]+)", " ".join(rest)):
            assert set(kind.split(",")) <= set(KINDS)


def test_the_man_page_has_every_command():
    page = (PROJECT / "installer/linux/hca-agent.1").read_text("utf-8").replace("\\-", "-")
    named = re.findall(r"^\.TP\n\.B ([a-z -]+)$", page, re.MULTILINE)
    shown = [" ".join(path) for path, command in every_command() if not command.hidden]
    assert sorted(named) == sorted(name for name in shown if not name.startswith("windows-setup"))
