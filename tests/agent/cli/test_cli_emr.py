"""`emr sign | verify | show` on simulated cards: the institution first, then the person."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import answer
from tests.support.medical_records import RECORD

PIN = "123456\n"
HOP = ("--simulate", "hop", "--pin-stdin")
HPC = ("--simulate", "hpc", "--pin-stdin")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    file = tmp_path / "病歷.xml"
    file.write_bytes(RECORD)
    return file


def test_institution_and_person_sign_one_after_the_other_and_a_change_is_found(invoke, record: Path):
    assert invoke("emr", "sign", record, *HOP, input=PIN).exit_code == 0
    first = record.with_name("病歷.signed.xml")
    second = record.with_name("person.xml")
    words = ("emr", "sign", first, "-o", second, "--reason", "主治醫師確認")
    assert invoke(*words, *HPC, input=PIN).exit_code == 0
    told = invoke("emr", "verify", second, "--simulate", "hpc")
    assert told.exit_code == 0, told.output
    assert "主治醫師確認" in told.stdout and "2 個簽章全部有效" in told.stdout
    documents = answer(invoke("emr", "verify", second, "--simulate", "hpc", "--json"))["documents"]
    assert [each["signer"]["category"] for each in documents[0]["signatures"]] == ["醫事機構", "醫事人員"]
    second.write_bytes(second.read_bytes().replace("肺炎".encode(), "肺癌".encode()))
    changed = invoke("emr", "verify", second, "--simulate", "hpc")
    assert changed.exit_code == 1
    assert "ContentContainer" in changed.stdout


def test_a_record_is_shown_as_its_text(invoke, record: Path):
    shown = invoke("emr", "show", record)
    assert shown.exit_code == 0, shown.output
    assert "右下葉肺炎，已改善。" in shown.stdout and "樣式表" in shown.stdout
    assert answer(invoke("emr", "show", record, "--json"))["recordType"] == "出院病摘"


@pytest.mark.parametrize("command", ["sign", "show", "verify"])
def test_what_is_no_record_is_said_to_be_none(invoke, tmp_path: Path, command: str):
    other = tmp_path / "other.xml"
    other.write_bytes(b"<order/>")
    words = HPC if command == "sign" else ()
    result = invoke("emr", command, other, *words, input=PIN)
    assert result.exit_code != 0
    assert "neither an exchange package" in result.stderr or "not an exchange package" in result.stderr
    assert not (tmp_path / "other.signed.xml").exists()
