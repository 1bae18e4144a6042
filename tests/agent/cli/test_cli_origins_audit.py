"""`origins` and `audit`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import answer

SITE = "https://portal.example.tw"


def test_a_site_is_allowed_listed_and_forgotten(invoke):
    assert "還沒有" in invoke("origins", "list").stdout
    allowed = invoke("origins", "allow", SITE)
    assert allowed.exit_code == 0, allowed.output
    listed = invoke("origins", "list").stdout
    assert SITE in listed and "允許" in listed
    assert invoke("origins", "forget", SITE).exit_code == 0
    assert SITE not in invoke("origins", "list").stdout
    assert invoke("origins", "forget", SITE).exit_code == 1


@pytest.mark.parametrize("origin", [SITE + "/", "portal.example.tw", "https://*.example.tw", "null", ""])
def test_what_is_no_origin_is_a_wrong_call(invoke, origin: str):
    assert invoke("origins", "allow", origin).exit_code == 2
    assert "還沒有" in invoke("origins", "list").stdout


def test_a_site_without_https_is_for_the_configuration_alone_to_allow(invoke, home: Path):
    site = "http://localhost:8000"
    refused = invoke("origins", "allow", site)
    assert refused.exit_code == 1
    assert "[origins] allow" in refused.stderr
    assert "還沒有" in invoke("origins", "list").stdout
    (home / "config.toml").write_text(f'[origins]\nallow = ["{site}"]\n')
    assert invoke("origins", "allow", site).exit_code == 0


def test_the_configuration_is_listed_and_wins(invoke, home: Path):
    (home / "config.toml").write_text(f'[origins]\ndeny = ["{SITE}"]\nallow = ["https://b.example.tw"]\n')
    listed = invoke("origins", "list").stdout
    assert "設定檔拒絕" in listed and "設定檔允許" in listed
    assert "設定檔" in invoke("origins", "allow", SITE).stderr


def test_what_was_done_is_in_the_log_and_no_pin_or_name(invoke, tmp_path: Path, home: Path):
    document = tmp_path / "document"
    document.write_text("x")
    assert invoke("sign", document, "--simulate", "hpc", "--pin-stdin", input="123456\n").exit_code == 0
    invoke("sign", document, "--force", "--simulate", "hpc", "--pin-stdin", input="999999\n")
    rows = answer(invoke("audit", "--json"))["rows"]
    results = [(row["verb"], row["result"], row["simulated"], row["origin"]) for row in rows]
    assert ("sign", "ok", True, None) in results and ("sign", "pin.wrong", True, None) in results
    shown = invoke("audit").stdout
    assert "sign" in shown and "模擬" in shown
    log = (home / "audit.jsonl").read_text()
    assert not any(secret in log for secret in ("123456", "999999", "測試人員卡", "000000335361"))


def test_only_the_newest_rows_are_told(invoke, tmp_path: Path):
    for _ in range(2):
        invoke("sign", _document(tmp_path), "--force", "--simulate", "hpc", "--pin-stdin", input="123456\n")
    assert len(answer(invoke("audit", "--json", "--count", "1"))["rows"]) == 1
    assert invoke("audit", "--count", "0").exit_code == 2


def _document(folder: Path) -> Path:
    file = folder / "document"
    file.write_text("x")
    return file
