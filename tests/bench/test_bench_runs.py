"""The benchmark runs, and says when a bound is broken. How fast we are is no test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.tables import Table, interleaved


@pytest.mark.slow
def test_it_measures_a_call_of_each_sort() -> None:
    command = [sys.executable, "-m", "tests.bench", "servisign", "--rounds", "2"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)
    assert done.returncode in (0, 1), done.stderr
    for name in ("Echo", "ATL_GetErrorCode", "ATL_GetHCACardType", "ATL_MakeSignature"):
        assert name in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_a_log_in_and_a_signature_take_no_more_calls_than_they_once_did() -> None:
    command = [sys.executable, "-m", "tests.bench", "calls", "--rounds", "5"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "native log-in" in done.stdout


@pytest.mark.parametrize(("broken", "code"), [([], 0), (["it costs 4 times the echo"], 1)])
def test_it_ends_with_1_when_a_bound_is_broken(
    broken: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    table = Table("A table", ("what", "ratio"), [("a call", "4.00")], broken=broken)
    monkeypatch.setattr(bench, "PARTS", {"part": (lambda _rounds: table, 1)})
    monkeypatch.setattr(sys, "argv", ["bench", "--json", str(tmp_path / "bench.json")])
    assert bench.main() == code
    told = json.loads((tmp_path / "bench.json").read_text())
    assert (told["part"]["rows"], told["part"]["broken"]) == ([["a call", "4.00"]], broken)
    printed = capsys.readouterr().out
    assert "4.00" in printed
    assert ("BROKEN" in printed) is bool(broken)


def test_works_are_done_in_turn_and_the_middle_of_each_counts() -> None:
    seen: list[str] = []
    first, second = iter(range(100)), iter(range(100, 200))

    def work(name: str, values: object) -> float:
        seen.append(name)
        return next(values)  # type: ignore[call-overload, no-any-return]

    assert interleaved(5, lambda: work("a", first), lambda: work("b", second)) == [4, 104]
    assert seen == ["a", "b"] * 7
