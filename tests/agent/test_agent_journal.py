"""What stands in a journal survives SIGKILL, and what keeps it from being written is said in words."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import AgentError, ErrorId
from agent.journal import Journal

STEPS = ("CREATE TABLE word (text TEXT PRIMARY KEY)",)
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files and signals")


def words(path: Path) -> list[str]:
    with Journal(path, STEPS) as journal:
        return [text for (text,) in journal.rows("SELECT text FROM word ORDER BY text")]


def refused(path: Path, **options: bool | float) -> ErrorId:
    with pytest.raises(AgentError) as info:
        Journal(path, STEPS, **options).close()  # type: ignore[arg-type]
    assert path.name in str(info.value)
    return info.value.error_id


def test_what_was_written_is_read_again_and_a_body_that_raises_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, STEPS) as journal:
        journal.run("INSERT INTO word VALUES (?)", ("one",))
        journal.run_many("INSERT INTO word VALUES (?)", ((each,) for each in ("three", "two")))
        with pytest.raises(ZeroDivisionError), journal.transaction():
            journal.run("INSERT INTO word VALUES ('half')")
            raise ZeroDivisionError
        with pytest.raises(sqlite3.IntegrityError):
            journal.run_many("INSERT INTO word VALUES (?)", ((each,) for each in ("four", "one")))
    assert words(path) == ["one", "three", "two"]


@posix
def test_only_this_user_can_read_the_file_and_what_lies_beside_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Journal(tmp_path / "journal.sqlite", STEPS) as journal:
            journal.run("INSERT INTO word VALUES ('one')")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert len(modes) == 3 and set(modes.values()) == {0o600}, modes


WRITER = """
import sys
from pathlib import Path
from agent.journal import Journal
journal = Journal(Path(sys.argv[1]), sys.argv[3:], alone=sys.argv[2] == "alone")
for number in range(10**9):
    journal.run("INSERT INTO word VALUES (?)", (f"{number:09}",))
    print(number, flush=True)
"""


@pytest.mark.slow
@posix
@pytest.mark.parametrize("alone", ["alone", "shared"])
def test_after_sigkill_every_row_that_was_said_to_be_written_is_there(tmp_path: Path, alone: str) -> None:
    path = tmp_path / "journal.sqlite"
    for _ in range(2):
        before = len(words(path))
        command = [sys.executable, "-c", WRITER, path, alone, f"{STEPS[0]}"]
        if before:
            path.unlink()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            while (said := int(writer.stdout.readline())) < 20:
                pass
            writer.send_signal(signal.SIGKILL)
            said = max([said, *map(int, writer.stdout.read().split("\n")[:-1])])
        assert words(path)[: said + 1] == [f"{number:09}" for number in range(said + 1)]


def test_a_journal_of_one_process_is_refused_to_another_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, STEPS, alone=True):
        assert refused(path, alone=True) == ErrorId.JOURNAL_BUSY
        assert refused(path, wait=0.01) == ErrorId.JOURNAL_BUSY
    assert words(path) == []


def test_who_writes_keeps_another_from_writing_but_not_from_reading(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, STEPS) as one, Journal(path, STEPS, wait=0.01) as other:
        with one.transaction():
            one.run("INSERT INTO word VALUES ('one')")
            assert other.rows("SELECT * FROM word") == []
            with pytest.raises(AgentError) as info:
                other.run("INSERT INTO word VALUES ('two')")
        assert info.value.error_id == ErrorId.JOURNAL_BUSY
        assert other.rows("SELECT * FROM word") == [("one",)]


FILLER = """
import resource, sys
from pathlib import Path
from agent.errors import AgentError
from agent.journal import Journal
journal = Journal(Path(sys.argv[1]), sys.argv[2:])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(10**6):
        journal.run("INSERT INTO word VALUES (?)", (f"{number:09}" * 100,))
        written = number + 1
except AgentError as error:
    print(written, error.error_id)
"""


@posix
def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    command = [sys.executable, "-c", FILLER, path, *STEPS]
    written, kind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert kind == ErrorId.JOURNAL_FULL
    assert words(path) == [f"{number:09}" * 100 for number in range(int(written))]


def test_a_database_that_may_grow_no_more_is_full(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", STEPS) as journal:
        journal.run("PRAGMA max_page_count = 4")
        with pytest.raises(AgentError) as info:
            journal.run("INSERT INTO word VALUES (?)", ("x" * 100_000,))
        assert info.value.error_id == ErrorId.JOURNAL_FULL
        journal.run("INSERT INTO word VALUES ('one')")
        assert journal.rows("SELECT text FROM word") == [("one",)]


def test_what_is_no_journal_of_this_program_is_left_alone(tmp_path: Path) -> None:
    garbage, foreign, link = tmp_path / "garbage", tmp_path / "foreign", tmp_path / "link"
    garbage.write_bytes(b"no database" * 1000)
    other = sqlite3.connect(foreign)
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    for path in (garbage, foreign):
        before = path.read_bytes()
        assert refused(path) == ErrorId.JOURNAL_DAMAGED
        assert path.read_bytes() == before
    if os.name == "posix":
        link.symlink_to(tmp_path / "elsewhere")
        assert refused(link) == ErrorId.JOURNAL_DAMAGED
        assert not (tmp_path / "elsewhere").exists()
        os.mkfifo(tmp_path / "pipe")
        assert refused(tmp_path / "pipe") == ErrorId.JOURNAL_DAMAGED


def test_torn_pages_are_found_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, STEPS) as journal:
        journal.run_many("INSERT INTO word VALUES (?)", ((f"{number:0200}",) for number in range(500)))
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = bytes(4096)
    path.write_bytes(content)
    assert refused(path) == ErrorId.JOURNAL_DAMAGED


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing" / "journal.sqlite") == ErrorId.JOURNAL_READ_ONLY
    assert refused(tmp_path) == ErrorId.JOURNAL_DAMAGED


def test_a_newer_program_brings_a_journal_on_and_an_older_one_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, STEPS) as journal:
        journal.run("INSERT INTO word VALUES ('one')")
    more = (*STEPS, "ALTER TABLE word ADD COLUMN size INTEGER DEFAULT 3; CREATE INDEX sizes ON word (size)")
    with Journal(path, more) as journal:
        assert journal.rows("SELECT text, size FROM word") == [("one", 3)]
    assert refused(path) == ErrorId.JOURNAL_NEWER
