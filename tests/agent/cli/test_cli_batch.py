"""`batch`: a list, one PIN for each card, results that openssl verifies, and going on where it stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.batches import documents
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.command_line import answer
from tests.support.openssl import openssl_program

PIN = "123456\n"
HPC = ("--simulate", "hpc", "--pin-stdin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents(tmp_path / "ward", 7)
    return tmp_path / "ward"


def audit(home: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (home / "audit.jsonl").read_text("utf-8").splitlines()]


def openssl_verifies(signature: Path, document: Path) -> bool:
    command = [openssl_program(), "cms", "-verify", "-binary", "-noverify", "-inform", "DER"]
    command += ["-in", str(signature), "-content", str(document), "-out", "/dev/null"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_folder_is_signed_with_one_pin_and_its_own_row_in_the_log_for_each(
    invoke, home: Path, folder: Path
):
    result = invoke("batch", folder, *HPC, input=PIN)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("✔") == 7
    for document in folder.glob("*.txt"):
        assert openssl_verifies(folder / "signed" / f"{document.name}.p7s", document)
    rows = audit(home)
    assert [row["verb"] for row in rows].count("session") == 2  # its beginning and its end
    signatures = [row for row in rows if row["verb"] == "sign"]
    assert len(signatures) == 7 and len({row["session"] for row in rows}) == 1
    assert result.stdout.count("00003.txt →") == 1


def test_what_is_signed_is_not_signed_again(invoke, home: Path, folder: Path):
    assert invoke("batch", folder, *HPC, input=PIN).exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "signed").glob("*.p7s")}
    again = invoke("batch", folder, *HPC, "--resume", "--json")  # no PIN is asked at all
    assert again.exit_code == 0, again.output
    assert answer(again)["done"] == 7
    plain = invoke("batch", folder, *HPC)
    assert plain.exit_code == 1 and "batch.faulty" in plain.stderr
    assert {path: path.read_bytes() for path in (folder / "signed").glob("*.p7s")} == before
    forced = invoke("batch", folder, *HPC, "--force", input=PIN)
    assert forced.exit_code == 0, forced.output


def test_two_cards_are_two_pins_and_share_the_list(invoke, home: Path, folder: Path):
    documents(folder, 30)
    words = ("--simulate", "hpc,hop", "--reader", "hpc 00", "--reader", "01", "--pin-stdin", "--json")
    result = invoke("batch", folder, *words, input=PIN * 2)
    assert result.exit_code == 0, result.output
    assert answer(result)["done"] == 30
    sessions = {row["session"] for row in audit(home) if row["verb"] == "sign"}
    assert len(sessions) == 2


def test_a_manifest_says_format_output_and_options_of_each(invoke, home: Path, folder: Path):
    (folder / "list.csv").write_text(
        "\ufefffile,format,output,options\r\n"
        "00000.txt,cms,one.p7m,hash=SHA-384\r\n"
        '00001.txt,,"sub/two.p7m","detached=false; "\r\n'
        "00002.txt,pkcs1,,\r\n",
        "utf-8",
    )
    result = invoke("batch", folder / "list.csv", *HPC, "--output", folder / "out", "--json", input=PIN)
    assert result.exit_code == 0, result.output
    made = {
        str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*.[ps]*") if path.is_file()
    }
    assert made - {".hca-agent-batch.sqlite"} == {"one.p7m", "sub/two.p7m", "00002.txt.sig"}
    lines = [
        {"file": "00000.txt", "format": "jws", "options": {"serialization": "json"}},
        {"file": "00003.txt"},
    ]
    (folder / "list.jsonl").write_text("\n".join(json.dumps(each) for each in lines), "utf-8")
    result = invoke("batch", folder / "list.jsonl", *HPC, "--output", folder / "other", "--json", input=PIN)
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "other" / "00000.txt.jws.json").read_text("utf-8"))["signatures"]


def test_every_fault_of_a_list_is_told_with_its_line_before_anything_is_asked(
    invoke, home: Path, folder: Path
):
    lines = [
        '{"file": "00000.txt", "format": "pkcs1", "options": {"page": 3}}',
        '{"file": "../secret.txt"}',
        "no json",
        '{"file": "00001.txt", "output": "00002.txt"}',
        '{"file": "00002.txt"}',
    ]
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "list.jsonl").write_text("\n".join(lines), "utf-8")
    result = invoke("batch", folder / "list.jsonl", *HPC, "--output", folder, "--json", "--force", input=PIN)
    assert result.exit_code == 1
    found = answer(result)
    assert found["error"]["id"] == "batch.faulty"
    assert [(each["line"], each["en"].split()[0]) for each in found["faults"]] == [
        (1, "there"),
        (2, "it"),
        (3, "this"),
        (4, "its"),
    ]
    assert not list(folder.glob("*.p7s")) and not (home / "audit.jsonl").exists()
    told = invoke("batch", folder / "list.jsonl", *HPC, "--output", folder, "--force").stderr
    assert "list.jsonl:2: ../secret.txt: 不在這個資料夾裡" in told


def test_a_wrong_pin_ends_it_with_one_try_and_it_is_begun_anew(invoke, home: Path, folder: Path):
    wrong = invoke("batch", folder, *HPC, input="999999\n")
    assert wrong.exit_code == 1 and "pin.wrong" in wrong.stderr
    assert not list((folder / "signed").glob("*.p7s"))
    (folder / "00000.txt").write_text("mended")
    again = invoke("batch", folder, *HPC, "--json", input=PIN)
    assert again.exit_code == 0 and answer(again)["done"] == 7


def test_what_was_begun_is_gone_on_with_only_when_that_is_said(invoke, home: Path, folder: Path):
    (folder / "00003.txt").write_bytes(bytes(range(128)))  # what could be a log-in
    begun = invoke("batch", folder, *HPC, "--json", input=PIN)
    assert begun.exit_code == 1
    assert answer(begun)["failures"] == [{"file": "00003.txt", "error": "document.refused"}]
    refused = invoke("batch", folder, *HPC, input=PIN)
    assert refused.exit_code == 1 and "batch.unfinished" in refused.stderr
    (folder / "00003.txt").write_text("mended")
    changed = invoke("batch", folder, *HPC, "--resume", "--json", input=PIN)
    assert answer(changed)["failures"] == [{"file": "00003.txt", "error": "document.changed"}]


def test_a_file_that_is_no_manifest_is_a_wrong_call(invoke, home: Path, folder: Path):
    assert invoke("batch", folder / "00000.txt", *HPC).exit_code == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a terminal of its own")
async def test_at_a_terminal_the_list_is_searched_before_the_pin_and_a_bar_goes_on(
    home: Path, folder: Path
) -> None:
    from tests.support.terminal import Terminal

    documents(folder, 45)
    simulator_ca()
    assert (home / "simulator").resolve() == simulator_folder().resolve()
    words = [sys.executable, "-m", "agent", "batch", str(folder), "--simulate", "hpc"]
    terminal = Terminal(words, os.environ | {"HCA_AGENT_HOME": str(home), "COLUMNS": "100"})
    try:
        await terminal.expect("45 / 45 份文件")
        await terminal.expect("00019.txt")
        await terminal.answer("> ", "n")
        await terminal.expect("00039.txt")
        await terminal.answer("> ", "/0004")  # the fifth, and those from the 41st on
        await terminal.expect("6 / 45")
        await terminal.answer("> ", "")
        await terminal.answer_unseen("PIN 碼 PIN: ", "123456")
        await terminal.expect("45/45")
        await terminal.expect("已簽 Signed")
        assert "123456" not in terminal.screen
    finally:
        terminal.close()
    assert len(list((folder / "signed").glob("*.p7s"))) == 45
