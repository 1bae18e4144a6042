"""Every command, in one process each: in locales that lack our words, and on a disk that is full."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.every_command_run import HELP_ONLY, calls
from tests.support.ports import free_ports

pytestmark = pytest.mark.slow

if sys.platform != "linux":
    pytest.skip("locales and limits as Linux has them", allow_module_level=True)

PROJECT = Path(__file__).parents[3]


def run_all(home: Path, folder: Path, *words: str, **environment: str) -> list[dict[str, Any]]:
    results = folder / "results.json"
    work = folder / "work"
    work.mkdir()
    # Ports at which no agent of another test answers the self-test.
    native, tls, hipki = free_ports(3)
    (home / "config.toml").write_text(
        f"[ports]\nnative = {native}\n[servisign]\nports = [{tls}]\n[hipki]\nport = {hipki}\n", "utf-8"
    )
    subprocess.run(
        [sys.executable, "-m", "tests.support.every_command_run", str(results), *words],
        cwd=work,
        env={
            **{
                name: value for name, value in os.environ.items() if name not in ("LANG", "LC_ALL", "DISPLAY")
            },
            "HOME": str(folder),
            "HCA_AGENT_HOME": str(home),
            "PYTHONPATH": str(PROJECT),
            **environment,
        },
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        start_new_session=True,  # no terminal to ask at
    )
    found: list[dict[str, Any]] = json.loads(results.read_text("utf-8"))
    assert len(found) == len(calls())
    return found


def unforeseen(found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{' '.join(each['words'])}: {each['raised']}{each['err'][-2000:]}{each['out'][-8000:]}"
        for each in found
        if each["raised"] or "(internal)" in each["err"] + each["out"] or "Traceback" in each["err"]
    ]


@pytest.mark.parametrize(("language", "charset"), [("zh_TW", "BIG5"), ("en_US", "ISO-8859-1")])
def test_no_locale_ends_any_command_and_its_words_are_readable(
    home: Path, tmp_path: Path, language: str, charset: str
):
    name = f"{language}.{charset}"
    subprocess.run(["localedef", "-i", language, "-f", charset, str(tmp_path / name)], check=True)
    found = run_all(home, tmp_path, LC_ALL=name, LOCPATH=str(tmp_path))
    assert unforeseen(found) == []
    shown = {" ".join(each["words"]): each for each in found}
    for group in ("", "pin", "trust", "origins", "autostart"):
        assert "\n  -h, --help" in shown[group]["out"] and not shown[group]["err"]
    for each in found:
        assert "\ufffd" not in each["out"] or "hpc-hostile" in each["words"], each
        assert "\\u" not in each["out"] + each["err"], each
    assert "讀卡機" in shown["readers --help"]["out"] or charset != "BIG5"
    assert "List the readers" in shown["readers --help"]["out"]


def test_on_a_full_disk_every_command_says_so_in_a_sentence(home: Path, tmp_path: Path):
    found = run_all(home, tmp_path, "full")
    assert unforeseen(found) == []
    shown = {" ".join(each["words"]): each for each in found}
    for call in (
        "sign document --simulate hpc --pin-stdin --force",
        "origins allow https://portal.example.tw",
        "report -o report.zip --force --simulate hpc",
        "selftest --html page.html --force --simulate hpc --pin-stdin",
        "autostart on",
        "batch ward --simulate hpc --pin-stdin",
    ):
        assert shown[call]["code"] == 1, shown[call]
        assert re.search("磁碟空間|磁碟滿了", shown[call]["err"]), shown[call]


@pytest.mark.parametrize("command", [["certs", "--simulate", "hpc"], ["--help"], ["readers", "--json"]])
def test_what_cannot_be_printed_is_told_once(home: Path, command: list[str]):
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "agent", *command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    assert ended.returncode == 1
    assert "磁碟空間" in ended.stderr and "Traceback" not in ended.stderr and "Exception" not in ended.stderr


def test_every_command_that_only_shows_its_help_here_has_a_reason():
    assert all(HELP_ONLY.values())
