"""`card probe`, `card trace`, `card profiles`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hca_card import profile
from hca_card.simulator import SimulatedCard
from tests.support.command_line import answer
from tests.support.platforms import WINDOWS
from tests.support.wire import assert_only_reads

REFERENCE = Path(profile.__file__).parent / "profiles" / "reference.toml"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_probing_writes_a_draft_and_a_trace_and_shows_its_progress(invoke, tmp_path: Path):
    target = tmp_path / "probed"
    result = invoke("card", "probe", "--simulate", "hpc", "-o", target)
    assert result.exit_code == 0, result.output
    assert "[1/8]" in result.stderr and "[8/8]" in result.stderr
    assert "完整" in result.stdout and "000000335361" not in result.output
    entry = profile.load(target / "profile.toml")
    assert not entry.draft and entry.aid == profile.reference().aid
    head, *rest = lines(target / "trace.jsonl")
    assert head["trace"] == "hca-agent card probe" and head["masked"]
    assert any(line.get("command", "").startswith("00 A4 04 00") for line in rest)
    assert WINDOWS or (target / "trace.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["hpc", "hpc-foreign", "nhi", "hicos", "pkcs15-p256"])
def test_nothing_that_costs_a_try_or_changes_a_card_leaves_the_program(
    invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    sent: list[bytes] = []
    transmit = SimulatedCard.transmit
    monkeypatch.setattr(
        SimulatedCard, "transmit", lambda card, command: (sent.append(command), transmit(card, command))[1]
    )
    assert invoke("card", "probe", "--simulate", kind, "-o", tmp_path / "x").exit_code == 0
    assert_only_reads(sent)


def test_probing_tells_as_json(invoke, tmp_path: Path):
    told = answer(invoke("card", "probe", "--simulate", "nhi", "--json", "-o", tmp_path / "x"))
    assert told["complete"] is False and told["commands"] < 100
    assert [one["name"] for one in told["applications"]] == ["NHI card (健保卡)"]
    assert Path(told["profile"]).is_file() and Path(told["trace"]).is_file()


def test_results_are_not_overwritten_unasked(invoke, tmp_path: Path):
    words = ("card", "probe", "--simulate", "nhi", "-o", tmp_path / "x")
    assert invoke(*words).exit_code == 0
    again = invoke(*words)
    assert again.exit_code == 2 and "--force" in again.stderr
    assert invoke(*words, "--force").exit_code == 0
    assert invoke("card", "probe", "--simulate", "nhi", "-o", tmp_path / "no" / "x").exit_code == 2


def test_a_mute_card_is_a_sentence_and_leaves_nothing(invoke, tmp_path: Path):
    result = invoke("card", "probe", "--simulate", "hpc-mute", "-o", tmp_path / "x")
    assert result.exit_code == 1
    assert "(card.mute" in result.stderr and not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", ["hpc-hostile", "hpc-torn"])
def test_a_bad_card_ends_with_what_could_be_read(invoke, tmp_path: Path, kind: str):
    result = invoke("card", "probe", "--simulate", kind, "-o", tmp_path / "x")
    assert result.exit_code == 0, result.output
    assert profile.load(tmp_path / "x" / "profile.toml").draft
    assert "待填" in result.stdout and "卡片" in result.stderr


def test_the_card_to_probe_must_be_clear(invoke, tmp_path: Path):
    words = ("card", "probe", "--simulate", "nhi,nhi-new", "-o", tmp_path / "x")
    assert "card.ambiguous" in invoke(*words).stderr
    assert "reader.unavailable" in invoke(*words, "--reader", "ACS").stderr
    assert invoke(*words, "--reader", "nhi-new").exit_code == 0


def test_a_trace_records_our_own_commands_and_nothing_of_the_holder(invoke, tmp_path: Path):
    file = tmp_path / "trace.jsonl"
    result = invoke("card", "trace", "--simulate", "hpc", "-o", file)
    assert result.exit_code == 0, result.output
    found = lines(file)
    assert [line["step"] for line in found if "step" in line] == ["card", "certificates"]
    commands = [line for line in found if "command" in line]
    assert all({"n", "at", "ms", "sw", "length"} <= line.keys() for line in commands)
    assert not any(line["command"].startswith("00 20 00 01 ") for line in commands)
    text = file.read_text("utf-8")
    assert "000000335361" not in text and b"000000335361".hex() not in text.lower().replace(" ", "")


def test_a_trace_of_signing_holds_no_pin(invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "trace.jsonl"
    result = invoke(
        "card", "trace", "--sign", "--pin-stdin", "--simulate", "hpc", "-o", file, input="123456\n"
    )
    assert result.exit_code == 0, result.output
    found = lines(file)
    verify = [line for line in found if line.get("command", "").startswith("00 20 00 01 ")]
    assert [line["command"] for line in verify] == ["00 20 00 01 <secret>"]
    assert any(line.get("command", "").startswith("00 2A 9E 9A") for line in found)
    text = file.read_text("utf-8").replace(" ", "")
    assert "123456" not in text and b"123456".hex() not in text


def test_what_goes_wrong_is_in_the_trace_and_on_the_screen(invoke, tmp_path: Path):
    file = tmp_path / "trace.jsonl"
    result = invoke(
        "card", "trace", "--sign", "--pin-stdin", "--simulate", "hpc", "-o", file, input="999999\n"
    )
    assert result.exit_code == 1 and "(pin.wrong" in result.stderr
    assert lines(file)[-1]["ended"] == "pin.wrong"
    assert "999999" not in file.read_text("utf-8")


def test_a_pin_is_only_taken_to_sign(invoke, tmp_path: Path):
    assert invoke("card", "trace", "--pin-stdin", "-o", tmp_path / "x").exit_code == 2


def test_profiles_are_listed_with_what_is_wrong(invoke, home: Path):
    assert "there are no card profiles" in invoke("card", "profiles").stdout
    folder = home / "profiles"
    folder.mkdir(mode=0o700)
    (folder / "bad.toml").write_text("name = 3")
    (folder / "good.toml").write_text(
        REFERENCE.read_text("utf-8").replace('"reference"', '"good"', 1), "utf-8"
    )
    for file in folder.iterdir():
        file.chmod(0o600)
    shown = invoke("card", "profiles")
    assert shown.exit_code == 1
    assert "✔" in shown.stdout and "good" in shown.stdout and "bad.toml" in shown.stderr
    told = answer(invoke("card", "profiles", "--json"))["profiles"]
    assert [one["used"] for one in told] == [False, True]
    # A bad profile keeps nobody from working.
    assert invoke("card", "--simulate", "hpc").exit_code == 0


def test_a_profile_can_be_checked_wherever_it_is(invoke, tmp_path: Path):
    assert invoke("card", "profiles", REFERENCE).exit_code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text("colour = 3")
    result = invoke("card", "profiles", bad)
    assert result.exit_code == 1 and "unknown key 'colour'" in result.stderr


def test_a_hicos_card_says_which_module_is_missing(invoke, tmp_path: Path):
    shown = invoke("card", "--simulate", "hicos,hicos-2", "--reader", "hicos-2")
    assert shown.exit_code == 0 and "測試國民" in shown.stdout
    file = tmp_path / "letter.txt"
    file.write_text("letter")
    for kind in ("hicos", "hicos-2"):
        assert answer(invoke("card", "--simulate", kind, "--json"))["pin"] is None
        result = invoke("sign", "--simulate", kind, "--pin-stdin", file, input="123456\n")
        assert result.exit_code == 1
        assert "card.hicos_module" in result.stderr and "HiCOSPKCS11.dll" in result.stderr
