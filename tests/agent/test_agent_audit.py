from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent.audit import AuditLog, AuditRow, Repeats, now
from agent.config import AuditSettings
from agent.masking import mask_card, mask_id, mask_name
from agent.vocabulary import Verb
from tests.support.log import Log
from tests.support.platforms import not_under_wine


def row(result: str = "ok", card: str = "********5361") -> AuditRow:
    return AuditRow(
        time=now(),
        origin="https://portal.example.tw",
        verb=Verb.SIGN,
        card=card,
        certificate="0A1B",
        result=result,
        simulated=True,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_what_is_recorded_is_read_the_newest_last(file: Path) -> None:
    log = AuditLog(file, AuditSettings())
    rows = [row(f"r{number}") for number in range(5)]
    for item in rows:
        log.record(item)
    assert log.read(3) == rows[2:]
    assert log.read(100) == rows
    assert log.read(0) == []


def test_a_torn_line_hides_no_other(file: Path) -> None:
    log = AuditLog(file, AuditSettings())
    log.record(row("before"))
    with file.open("ab") as stream:
        stream.write(
            b'{"time":"2026-01-0\n\xff\xfe\n[]\n{"origin":"\xff"}\n' + b'{"more":' + b"[" * 99_999 + b"\n"
        )
    log.record(row("after"))
    assert [item.result for item in log.read(9)] == ["before", "after"]


@pytest.mark.skipif(os.name != "posix", reason="done by the file's descriptor")
def test_a_line_torn_at_its_end_takes_the_next_row_not_along(file: Path) -> None:
    log = AuditLog(file, AuditSettings())
    log.record(row("before"))
    with file.open("ab") as stream:
        stream.write(b'{"time":"2026-01-0')
    log.record(row("after"))
    assert [item.result for item in log.read(9)] == ["before", "after"]


@pytest.mark.parametrize(
    "text", ["F" * 100_000, '"\\' * 9_000, "卡" * 9_000, "\udcff\x1b[2J\n\u202e" * 900, "\U0010ffff" * 9_000]
)
@pytest.mark.parametrize("name", ["origin", "card", "certificate", "result"])
def test_a_text_that_is_too_long_is_shortened_and_its_row_written(file: Path, name: str, text: str) -> None:
    log = AuditLog(file, AuditSettings())
    log.record(msgspec.structs.replace(row(), **{name: f"begin{text}end"}))
    (read,) = log.read(9)
    shown = getattr(read, name)
    assert (
        shown.startswith("begin")
        and shown.endswith("end")
        and "…" in shown
        and shown.isprintable() | ("\U0010ffff" in text)
    )
    assert file.stat().st_size < 2048


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_person_can_read_the_log(file: Path) -> None:
    AuditLog(file, AuditSettings()).record(row())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_full_log_is_put_aside_and_only_so_many_are_kept(file: Path) -> None:
    log = AuditLog(file, AuditSettings(kilobytes=16, keep=2))
    for number in range(400):
        log.record(row(f"r{number}"))
    names = sorted(item.name for item in file.parent.iterdir())
    assert names == ["audit.1.jsonl", "audit.2.jsonl", "audit.jsonl"]
    assert all(item.stat().st_size < 17 * 1024 for item in file.parent.iterdir())
    results = [item.result for item in log.read(400)]
    assert results == [f"r{number}" for number in range(400 - len(results), 400)]


def test_a_full_log_that_cannot_be_put_aside_grows_and_loses_no_row(file: Path, caplog: Log) -> None:
    log = AuditLog(file, AuditSettings(kilobytes=16, keep=1))
    (file.with_name("audit.1.jsonl") / "kept").mkdir(parents=True)
    for number in range(200):
        log.record(row(f"r{number}"))
    assert file.read_bytes().count(b"\n") == 200
    assert "cannot be put aside" in caplog.text


def test_a_lock_left_by_a_dead_process_grows_old(file: Path) -> None:
    log = AuditLog(file, AuditSettings(kilobytes=16, keep=2))
    file.write_bytes(b"x" * 20 * 1024 + b"\n")
    lock = file.with_name("audit.jsonl.lock")
    lock.touch()
    log.record(row())
    assert file.stat().st_size > 20 * 1024
    os.utime(lock, (0, 0))
    log.record(row())
    log.record(row())
    assert file.stat().st_size < 1024


@pytest.mark.slow
@not_under_wine("it adds to files in two steps")
def test_processes_that_write_at_once_tear_no_line(file: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.agent.test_agent_audit import row;"
        "from agent.audit import AuditLog; from agent.config import AuditSettings;"
        "log = AuditLog(Path(sys.argv[1]), AuditSettings(kilobytes=16, keep=50));"
        "[log.record(row(f'p{sys.argv[2]}-{n}')) for n in range(200)]"
    )
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(file), str(number)], cwd=root)
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    written = [item.result for item in AuditLog(file, AuditSettings(kilobytes=16, keep=50)).read(1000)]
    assert sorted(written) == sorted(f"p{number}-{n}" for number in range(3) for n in range(200))


def test_a_log_that_cannot_be_written_is_reported_and_stops_nothing(tmp_path: Path, caplog: Log) -> None:
    AuditLog(tmp_path / "missing" / "audit.jsonl", AuditSettings()).record(row())
    assert "audit log cannot be written" in caplog.text


def test_the_same_row_within_the_time_is_a_repeat_and_a_flood_ends() -> None:
    clock = [0.0]
    repeats = Repeats(10, 3, lambda: clock[0])
    assert [repeats.is_repeat(key) for key in "aabcd"] == [False, True, False, False, True]
    clock[0] = 10
    assert not repeats.is_repeat("d")


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("王小明", "王○明"),
        ("王明", "王○"),
        ("王", "王"),
        ("歐陽小明", "歐○○明"),
        ("TEST CARD", "T*** C***"),
        ("  ", ""),
    ],
)
def test_a_name_shows_its_ends_only(name: str, masked: str) -> None:
    assert mask_name(name) == masked


def test_numbers_show_what_tells_them_apart_and_no_more() -> None:
    assert mask_id("BA00312361") == "B*******61"
    assert mask_id("A12") == "A**"
    assert mask_id("") == ""
    assert mask_card("000000335361") == "********5361"
    assert mask_card("1234") == "***4"
    assert mask_card("1") == "*"
    assert mask_card("") == ""
