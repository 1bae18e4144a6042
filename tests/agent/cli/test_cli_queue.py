"""`queue add | list | export | sign` on simulated cards."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.command_line import answer

PIN = "123456\n"
HPC = ("--simulate", "hpc", "--pin-stdin")
HOP = ("--simulate", "hop", "--pin-stdin")
DOCTOR = "000000335361"


@pytest.fixture
def enabled(home: Path) -> Path:
    (home / "config.toml").write_text("[queue]\nenabled = true\n", "utf-8")
    return home


@pytest.fixture
def note(tmp_path: Path) -> Path:
    file = tmp_path / "王小明出院病摘.txt"
    file.write_bytes("出院病摘".encode())
    return file


def test_a_record_is_handed_in_signed_and_verified(invoke, enabled: Path, note: Path):
    added = invoke("queue", "add", note, "--signer", DOCTOR, "--key", "1", "--reason", "主治醫師確認")
    assert added.exit_code == 0, added.output
    assert invoke("queue", "add", note, "--signer", DOCTOR, "--key", "1").exit_code == 0
    other = note.with_name("other.txt")
    other.write_bytes(b"for somebody else")
    invoke("queue", "add", other, "--signer", "000000000001")
    signed = invoke("queue", "sign", *HPC, input=PIN)
    assert signed.exit_code == 0, signed.output
    assert "✔ 已簽署 1 份" in signed.stdout
    [file] = (enabled / "signed-records").iterdir()
    assert file.name == "000001-王小明出院病摘.txt.p7m"
    told = invoke("verify", file, "--simulate", "hpc")
    assert told.exit_code == 0
    assert "主治醫師確認" in told.stdout
    assert note.exists(), "a file that was named stays where it is"


def test_lists_and_reports_are_masked_unless_in_full(invoke, enabled: Path, note: Path, tmp_path: Path):
    invoke("queue", "add", note, "--signer", DOCTOR)
    invoke("queue", "sign", *HPC, input=PIN)
    report = tmp_path / "report.csv"
    assert invoke("queue", "export", "-o", report).exit_code == 0
    shown = [
        invoke("queue", "list").stdout,
        invoke("queue", "list", "--json").stdout,
        invoke("queue", "export").stdout,
        invoke("queue", "export", "--format", "jsonl").stdout,
        report.read_text("utf-8"),
    ]
    for text in shown:
        assert "小明" not in text and DOCTOR not in text
    full = invoke("queue", "export", "--full").stdout
    assert "王小明出院病摘.txt" in full and DOCTOR in full
    [record] = answer(invoke("queue", "list", "--json", "--full"))["records"]
    assert (record["name"], record["signer"], record["state"]) == (note.name, DOCTOR, "signed")
    assert invoke("queue", "export", "-o", report).exit_code == 2, "a file that is there stays"


def test_a_wide_sign_begins_no_formula_either(invoke, enabled: Path, tmp_path: Path):
    names = ["＝1+1.txt", "＠SUM(A1).txt", "－2＋3.txt", "＋4.txt"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
        assert invoke("queue", "add", tmp_path / name).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(invoke("queue", "export", "--full").stdout)))
    assert [row["name"] for row in rows] == [f"'{name}" for name in names]


def test_a_cell_is_no_formula_to_a_spreadsheet(invoke, enabled: Path, tmp_path: Path):
    for name in ("=1+1.txt", "@SUM(A1).txt", "-2+3.txt"):
        file = tmp_path / name
        file.write_bytes(name.encode())
        assert invoke("queue", "add", file).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(invoke("queue", "export", "--full").stdout)))
    assert [row["name"] for row in rows] == ["'=1+1.txt", "'@SUM(A1).txt", "'-2+3.txt"]
    lines = invoke("queue", "export", "--full", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["=1+1.txt", "@SUM(A1).txt", "-2+3.txt"]


def test_states_choose_what_is_listed(invoke, enabled: Path, note: Path):
    invoke("queue", "add", note)
    broken = note.with_name("broken.pdf")
    broken.write_bytes(b"%PDF-1.7 nothing more")
    invoke("queue", "add", broken)
    invoke("queue", "sign", *HPC, input=PIN)
    assert [
        [each["record"] for each in answer(invoke("queue", "list", "--json", "--state", state))["records"]]
        for state in ("waiting", "signed", "failed")
    ] == [[], [1], [2]]
    [failed] = answer(invoke("queue", "list", "--json", "--state", "failed"))["records"]
    assert failed["error"] == "document.unusable"
    assert "1 failed" in invoke("queue", "list").stdout


def test_the_institutions_card_signs_nothing_that_still_has_time(invoke, enabled: Path, note: Path):
    invoke("queue", "add", note)
    signed = invoke("queue", "sign", "--institution", *HOP, input=PIN)
    assert (signed.exit_code, "✔ 已簽署 0 份" in signed.stdout) == (0, True)
    wrong = invoke("queue", "sign", "--institution", *HPC, input=PIN)
    assert wrong.exit_code == 1
    assert "card.wrong_kind" in wrong.stderr


def test_without_a_queue_nothing_is_handed_in(invoke, home: Path, note: Path):
    for words in (("add", note), ("sign", *HPC)):
        refused = invoke("queue", *words, input=PIN)
        assert refused.exit_code == 1
        assert "queue.disabled" in refused.stderr
    assert invoke("queue", "add", note, note, "--key", "1").exit_code == 2


def test_only_the_administrator_sets_the_hours(invoke, home: Path):
    (home / "config.toml").write_text("[queue]\nenabled = true\nhours = 700\n", "utf-8")
    refused = invoke("queue", "list")
    assert refused.exit_code == 1
    assert "administrator" in refused.stderr
