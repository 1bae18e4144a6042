"""What holds for every command: words, speed, errors, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import click
import pytest

from agent import desktop
from agent.cli import composition, output
from agent.cli.program import program
from agent.errors import AgentError, ErrorId
from agent.interaction.scripted import ScriptedInteraction
from agent.terminal_text import width_of
from hca_card.errors import PinWrongError
from pcsc.errors import ReaderBusyError
from tests.support.command_line import answer, every_command
from tests.support.log import Log

COMMANDS = every_command()
NAMES = [" ".join(path) for path, _ in COMMANDS]
TRUST = {"trust install", "trust remove", "trust status"}
AUTOSTART = {"autostart on", "autostart off", "autostart status"}
PROCESSES = {"tray", "window", "module", "preview", "read-signatures"}
UPDATE = {"update check", "update download", "update install"}
NO_CARD = (
    TRUST
    | AUTOSTART
    | PROCESSES
    | UPDATE
    | {name for name in NAMES if name.startswith(("windows-setup ", "sessions "))}
    | {
        "open",
        "demo",
        "audit",
        "preserve",
        "queue add",
        "queue list",
        "queue export",
        "submit",
        "simulate",
        "origins list",
        "origins allow",
        "origins forget",
        "card profiles",
        "card import-trace",
        "emr show",
    }
)


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def folder() -> None:
        raise error

    monkeypatch.setattr(composition, "folder", folder)


def test_help_loads_nothing_heavy():
    program_text = (
        "import sys; sys.argv = ['hca-agent', '--help']\n"
        "from agent.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program_text], capture_output=True, text=True, check=True)
    for heavy in (
        "aiohttp",
        "asn1crypto",
        "cryptography",
        "msgspec",
        "pyhanko_certvalidator",
        "rich",
        "smartcard",
    ):
        assert f"'{heavy}'" not in result.stderr


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_every_command_explains_itself_in_both_languages(path: tuple[str, ...], command: click.Command):
    help_text = command.get_help(click.Context(command))
    assert re.search("[\u4e00-\u9fff]", help_text) and re.search("[a-z]{3}", help_text)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"--{parameter.name} of {path} is not explained"
            assert re.search("[\u4e00-\u9fff]", parameter.help), parameter.help


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_every_command_that_needs_a_card_takes_reader_and_simulate(
    path: tuple[str, ...], command: click.Command
):
    options = {option for parameter in command.params for option in parameter.opts}
    assert ({"--reader", "--simulate"} <= options) is (" ".join(path) not in NO_CARD)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_no_command_takes_a_pin_on_the_command_line_or_from_the_environment(
    path: tuple[str, ...], command: click.Command
):
    for parameter in command.params:
        assert parameter.envvar is None
        if any("pin" in option for option in parameter.opts):
            assert isinstance(parameter, click.Option) and parameter.is_flag, path
    assert program.context_settings.get("auto_envvar_prefix") is None


def test_an_unknown_command_is_a_wrong_call(invoke):
    result = invoke("sing")
    assert result.exit_code == 2
    assert "用法有誤" in result.stderr and not result.stdout


def test_a_missing_file_is_a_wrong_call(invoke, tmp_path: Path):
    assert invoke("sign", tmp_path / "none").exit_code == 2


def test_an_unknown_kind_of_card_is_a_wrong_call_that_names_the_kinds(invoke):
    result = invoke("card", "--simulate", "hpc,hps")
    assert result.exit_code == 2
    assert "hps" in result.stderr and "hpc-last-try" in result.stderr


def test_an_error_is_told_in_both_languages_with_the_next_step_and_its_id(
    invoke, monkeypatch: pytest.MonkeyPatch
):
    _raising(monkeypatch, PinWrongError(tries_left=2))
    result = invoke("card")
    assert result.exit_code == 1
    assert "PIN 碼" in result.stderr and "2 tries are left" in result.stderr
    assert "→ " in result.stderr and "(pin.wrong)" in result.stderr
    assert not result.stdout


def test_an_error_is_json_where_json_was_asked_for(invoke, monkeypatch: pytest.MonkeyPatch):
    _raising(monkeypatch, PinWrongError(tries_left=2))
    result = invoke("card", "--json")
    assert result.exit_code == 1
    error = answer(result)["error"]
    assert (error["id"], error["triesLeft"]) == ("pin.wrong", 2)
    assert set(error) == {"id", "zh", "en", "nextZh", "nextEn", "triesLeft"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ReaderBusyError(0x8010000B, reader="ACS ACR39U"), "0x8010000B (ACS ACR39U)"),
        (
            AgentError(ErrorId.CONFIG_INVALID, detail="config.toml: [origins.alow] is not known"),
            "origins.alow",
        ),
    ],
)
def test_the_person_at_the_machine_is_told_the_detail(
    invoke, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
):
    _raising(monkeypatch, error)
    assert words in invoke("card").stderr
    assert words in answer(invoke("card", "--json"))["error"]["detail"]


def test_a_bug_is_told_as_a_bug_without_what_was_being_handled(
    invoke, monkeypatch: pytest.MonkeyPatch, caplog: Log
):
    _raising(monkeypatch, RuntimeError("a PIN such as 876543"))
    result = invoke("card")
    assert result.exit_code == 1
    assert "(internal)" in result.stderr
    assert "RuntimeError" in caplog.text and "test_cli_program.py" in caplog.text
    assert "876543" not in result.output + caplog.text
    assert "Traceback" not in result.output


def test_a_bug_is_logged_where_json_was_asked_for_too(invoke, monkeypatch: pytest.MonkeyPatch, caplog: Log):
    _raising(monkeypatch, RuntimeError("oops"))
    assert answer(invoke("card", "--json"))["error"]["id"] == "internal"
    assert "RuntimeError" in caplog.text


def test_an_interruption_has_its_own_exit_code(invoke, monkeypatch: pytest.MonkeyPatch):
    _raising(monkeypatch, KeyboardInterrupt())
    assert invoke("card").exit_code == 130


def test_a_file_that_cannot_be_written_is_no_bug(invoke, monkeypatch: pytest.MonkeyPatch):
    _raising(monkeypatch, PermissionError(13, "Permission denied", "/root/x"))
    result = invoke("card")
    assert result.exit_code == 1
    assert "/root/x" in result.stderr and "Permission denied" in result.stderr


def test_what_a_card_says_cannot_command_the_terminal():
    hostile = "王\x1b[2J小\x07明\r\u202e\u200b\u2028\x9b31m\ud800"
    assert output.printable(hostile) == "王�[2J小�明�����31m�"


def test_a_table_shows_markup_as_text(capsys: pytest.CaptureFixture[str]):
    output.table(("name",), [("[red]王[/red]\x1b[0m",)])
    output.facts([("name", "[bold]x"), ("nothing", "")])
    shown = capsys.readouterr().out
    assert "[red]王[/red]�[0m" in shown and "[bold]x" in shown and "nothing" not in shown


def test_configuration_that_cannot_be_used_says_where(invoke, home: Path):
    (home / "config.toml").write_text('[origins]\nalow = ["https://x.example"]\n')
    result = invoke("readers", "--simulate", "hpc")
    assert result.exit_code == 1
    assert "(config.invalid" in result.stderr and "alow" in result.stderr


@pytest.mark.parametrize(("words", "shown"), [((), 1), (("--headless",), 0)])
def test_a_daemon_started_where_nobody_reads_shows_why_it_does_not_begin(
    invoke, home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], shown: int
):
    person = ScriptedInteraction()
    monkeypatch.setattr(composition, "at_screen", lambda _config, simulated: nullcontext(person))
    monkeypatch.setattr(desktop, "has_screen", lambda: True)
    (home / "policy.toml").symlink_to(home / "nowhere")
    result = invoke("run", *words)
    assert result.exit_code == 1 and "policy.toml: is there and cannot be read" in result.stderr
    assert len(person.notices) == shown
    assert all("policy.toml" in zh for zh, _ in person.notices)


def test_the_version_is_told(invoke):
    result = invoke("--version")
    assert result.exit_code == 0 and re.search(r"\d+\.\d+", result.stdout)


def test_json_is_one_line_even_with_an_empty_list(invoke):
    assert json.loads(invoke("audit", "--json").stdout) == {"rows": []}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_no_line_of_help_is_wider_than_the_terminal(path: tuple[str, ...], command: click.Command):
    help_text = command.get_help(click.Context(command, terminal_width=80))
    assert max(map(width_of, help_text.splitlines())) <= 80
