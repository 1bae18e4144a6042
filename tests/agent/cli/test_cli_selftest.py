"""`selftest` and `report` as a person or a help desk's script calls them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from agent.selftest import schema
from tests.support.command_line import answer
from tests.support.selftest import PERSONAL
from tests.support.waiting import until_unseen

PIN = "123456\n"


def test_all_rows_pass_and_the_exit_code_says_so(invoke):
    done = invoke("selftest", "--simulate", "hpc", "--pin-stdin", input=PIN)
    assert done.exit_code == 0, done.output
    assert "檢測結果 14 列全部通過" in done.stdout and "模擬卡" in done.stdout
    assert "還可以試 3 次" in done.stdout and PIN.strip() not in done.output


def test_output_that_is_no_terminal_is_masked(invoke):
    done = invoke("selftest", "--simulate", "hpc", "--pin-stdin", input=PIN)
    assert not [text for text in PERSONAL["personnel"] if text in done.stdout]
    assert "B*******61" in done.stdout
    plain = invoke("selftest", "--simulate", "hpc", "--pin-stdin", "--unmasked", input=PIN)
    assert all(text in plain.stdout for text in PERSONAL["personnel"])


@pytest.mark.parametrize("words", [("--no-pin",), ()])
def test_without_a_pin_the_other_rows_run_and_the_exit_code_is_one(invoke, words: tuple[str, ...]):
    done = invoke("selftest", "--simulate", "hpc", "--json", *words)
    assert done.exit_code == 1
    rows = {row["id"]: row["status"] for row in answer(done)["rows"]}
    assert rows["hca.holder"] == rows["hca.encrypt"] == "pass"
    assert rows["hca.session"] == rows["hca.sign"] == "skip"


def test_a_broken_card_is_told_in_json_with_its_id_and_next_step(invoke):
    done = invoke("selftest", "--simulate", "hpc-mute", "--json", "--no-pin")
    assert done.exit_code == 1
    told = answer(done)
    row = next(row for row in told["rows"] if row["id"] == "hca.init")
    assert (told["ok"], row["status"], row["error"]["id"]) == (False, "fail", "card.mute")
    assert "晶片" in row["error"]["next"] and "chip" in row["error"]["next"]


def test_json_is_what_the_published_schema_says(invoke):
    import msgspec

    done = invoke("selftest", "--simulate", "hop", "--json", "--pin-stdin", input=PIN)
    told = msgspec.json.decode(done.stdout, type=schema.ReportPart)
    assert told.ok and told.masked and told.simulated
    assert json.loads(schema.PATH.read_bytes())["$defs"]["RowPart"]["required"] == [
        "id", "title", "status", "detail", "ms",
    ]  # fmt: skip


def test_the_nhi_reader_variant_has_thirteen_rows(invoke):
    done = invoke(
        "selftest", "--simulate", "hpc", "--variant", "nhi-reader", "--json", "--pin-stdin", input=PIN
    )
    assert done.exit_code == 0
    assert len([row for row in answer(done)["rows"] if row["id"].startswith("nhi.")]) == 13


def test_the_page_is_written_for_this_user_alone_and_never_over_another_file(invoke, tmp_path: Path):
    page = tmp_path / "selftest.html"
    words = ("selftest", "--simulate", "hpc", "--no-pin", "--html", page)
    assert invoke(*words).exit_code == 1
    assert "<!doctype html>" in page.read_text("utf-8") and "測○○○卡" in page.read_text("utf-8")
    if os.name == "posix":
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert invoke(*words).exit_code == 2
    assert invoke(*words, "--force").exit_code == 1


def test_a_reader_that_is_not_there_is_a_row_and_not_the_end(invoke):
    done = invoke("selftest", "--simulate", "hpc", "--reader", "ACS", "--json", "--no-pin")
    rows = {row["id"]: row for row in answer(done)["rows"]}
    assert rows["hca.init"]["error"]["id"] == "reader.unavailable"
    assert rows["host.clock"]["status"] == "pass"


def test_a_faulty_configuration_is_a_row_and_can_still_be_reported(invoke, home: Path, tmp_path: Path):
    (home / "config.toml").write_text("[orgins]\n")
    done = invoke("selftest", "--simulate", "hpc", "--json", "--no-pin")
    row = next(row for row in answer(done)["rows"] if row["id"] == "host.config")
    assert (row["status"], row["error"]["id"]) == ("fail", "config.invalid")
    assert "config.toml" in row["detail"] and "orgins" in row["detail"]
    assert invoke("report", "--simulate", "hpc", "-o", tmp_path / "report.zip").exit_code == 0


def test_a_pin_and_no_pin_cannot_both_be_meant(invoke):
    assert invoke("selftest", "--simulate", "hpc", "--no-pin", "--pin-stdin", input=PIN).exit_code == 2


def test_a_report_is_one_file_without_anybody_in_it(invoke, tmp_path: Path):
    file = tmp_path / "report.zip"
    done = invoke("report", "--simulate", "hpc", "-o", file)
    assert done.exit_code == 0, done.output
    assert str(file) in done.stdout
    with zipfile.ZipFile(file) as packed:
        assert "selftest.html" in packed.namelist()
        everything = b"".join(packed.read(name) for name in packed.namelist()).decode()
    assert not [text for text in PERSONAL["personnel"] if text in everything]


def test_a_report_without_a_name_is_dated(invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert invoke("report", "--simulate", "hpc").exit_code == 0
    (file,) = tmp_path.glob("hca-agent-report-*.zip")
    assert zipfile.is_zipfile(file)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX terminal")
def test_at_a_terminal_the_tries_are_shown_and_the_pin_is_asked_once_and_not_echoed(home: Path):
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "agent", "selftest", "--simulate", "hpc"])
    seen = b""
    try:
        while b"PIN: " not in seen:
            seen += os.read(terminal, 65536)
        asked_after = seen.decode(errors="replace")
        until_unseen(terminal)
        os.write(terminal, PIN.encode())
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while part := os.read(terminal, 65536):
                seen += part
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    told = seen.decode(errors="replace")
    assert os.waitstatus_to_exitcode(status) == 0, told
    assert "PIN 碼可試次數" in asked_after and "還可以試 3 次" in asked_after
    assert told.count("PIN: ") == 1 and PIN.strip() not in told
    assert "檢測結果 14 列全部通過" in told
    # This person's own screen shows what is on the card; only what leaves it is masked.
    assert all(text in told for text in PERSONAL["personnel"])
