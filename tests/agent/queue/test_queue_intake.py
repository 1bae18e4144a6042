"""Watched folders: each record is taken in exactly once, wherever the agent is killed, and nothing else."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from agent.errors import ErrorId
from agent.queue import Records, folders, intake
from agent.queue.folders import Folder
from agent.queue.intake import TAKEN, Intake
from agent.queue.model import DOCUMENT_BYTES_MAX
from tests.support.log import Log
from tests.support.platforms import not_on_windows
from tests.support.waiting import LIMIT

DAY = timedelta(hours=24)
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A watched folder and what becomes of it."""

    def __init__(self, folder: Path, most: int = 1000) -> None:
        self.folder = folder / "to-sign"
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.clock = Clock()
        self.records = Records(folder / "queue.sqlite", most)
        self.intake = Intake((self.folder,), self.records, self.clock)

    def look(self, times: int = 2) -> list[str]:
        for _ in range(times):
            self.clock.now += intake.SETTLED_SECONDS
            self.intake.look(NOW, DAY)
        return self.names

    @property
    def names(self) -> list[str]:
        return [record.name for record in self.records.all()]

    @property
    def left(self) -> dict[str, ErrorId]:
        return {each.name: each.error for each in self.intake.left}

    def put(self, name: str, content: bytes = b"record") -> Path:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return file


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.records.close()


def test_a_file_is_taken_in_with_its_signer_and_is_gone_from_the_folder(desk: Desk) -> None:
    desk.put("note.txt", b"for anybody")
    desk.put("A123456789/病歷.txt", b"for one")
    assert sorted(desk.look()) == ["note.txt", "病歷.txt"]
    one, other = sorted(desk.records.all(), key=lambda record: record.name)
    assert (one.signer, other.signer) == ("", "A123456789")
    assert (one.due - one.received, one.folder) == (DAY, str(desk.folder))
    assert desk.records.content(other.number) == b"for one"
    assert [each.name for each in desk.folder.rglob("*") if each.is_file()] == []
    assert desk.left == {}


def test_a_file_is_taken_when_it_is_complete_and_not_before(desk: Desk) -> None:
    growing = desk.put("growing.txt", b"1")
    for size in range(2, 5):
        assert desk.look(1) == []
        growing.write_bytes(b"1" * size)
    assert desk.look(1) == [], "it has just changed"
    assert desk.look(1) == ["growing.txt"]
    assert desk.records.content(1) == b"1111"


@pytest.mark.parametrize("name", [".hidden.txt", "note.txt.part", "note.TMP", "note.txt~", "x.crdownload"])
def test_an_unfinished_file_waits_for_its_real_name(desk: Desk, name: str) -> None:
    unfinished = desk.put(name)
    assert (desk.look(4), desk.left) == ([], {})
    unfinished.rename(desk.folder / "done.txt")
    assert desk.look() == ["done.txt"]


def test_two_files_of_one_name_are_two_records(desk: Desk) -> None:
    for content in (b"first", b"second", b"second"):
        desk.put("record.xml.txt", content)
        desk.look()
    assert [desk.records.content(number) for number in (1, 2, 3)] == [b"first", b"second", b"second"]


# --- killed anywhere -------------------------------------------------------------------------------------


class Killed(BaseException):
    """The end of the process, at the moment at which a test wants it."""


@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("move", True),
        ("move", False),
        ("settle", False),
        ("read", False),
        ("add_all", True),
        ("add_all", False),
        ("remove", True),
        ("remove", False),
    ],
)
def test_wherever_the_agent_is_killed_each_file_is_taken_in_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    desk = Desk(tmp_path)
    for number in range(5):
        desk.put(f"{number}.txt", b"%d" % number)
    owner = Records if step == "add_all" else Folder
    whole: Callable[..., object] = getattr(owner, step)
    calls = Counter[str]()

    def torn(*details: object, **more: object) -> object:
        calls[step] += 1
        if before and calls[step] == (1 if step == "add_all" else 3):
            raise Killed
        result = whole(*details, **more)
        if not before and calls[step] == (1 if step in ("add_all", "settle") else 3):
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, torn)
        with pytest.raises(Killed):
            desk.look()
    desk.records.close()
    again = Desk(tmp_path)
    assert sorted(again.look(3)) == [f"{number}.txt" for number in range(5)]
    assert sorted(again.look(3)) == [f"{number}.txt" for number in range(5)]
    assert all(again.records.content(each.number) == each.name[:1].encode() for each in again.records.all())
    assert list((again.folder / TAKEN).iterdir()) == []
    again.records.close()


def work(folder: Path, can_end: Event) -> None:
    """Take in until somebody ends this process, as the agent does, but without its pauses."""
    intake.SETTLED_SECONDS = 0.0  # type: ignore[misc]
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True  # for where nothing can be raised to: in what the interpreter calls by itself
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGTERM, end)
        can_end.set()
        with Records(folder / "queue.sqlite", 10_000) as records:
            watching = Intake((folder / "to-sign",), records)
            while not ended:
                watching.look(NOW, DAY)
    except KeyboardInterrupt:
        pass
    os._exit(0)


@not_on_windows("processes are forked, so that twenty of them cost nothing")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS forks no process that has threads")
def test_of_a_thousand_records_none_is_lost_and_none_taken_twice_while_the_agent_is_restarted(
    tmp_path: Path,
) -> None:
    (tmp_path / "to-sign").mkdir(mode=0o755)
    (tmp_path / "writing").mkdir()
    fork, chance = multiprocessing.get_context("fork"), random.Random(16)
    dropped: dict[str, bytes] = {}

    def begin() -> tuple[BaseProcess, Event]:
        can_end = fork.Event()
        process = fork.Process(target=work, args=(tmp_path, can_end))
        process.start()
        return process, can_end

    running, can_end = begin()
    ends = Counter[int | None]()
    for turn in range(20):
        for _ in range(50):
            name, content = f"{len(dropped)}.txt", chance.randbytes(chance.randrange(1, 4000))
            unfinished = tmp_path / "writing" / name
            unfinished.write_bytes(content)
            unfinished.rename(tmp_path / "to-sign" / name)
            dropped[name] = content
        assert turn % 4 or can_end.wait(LIMIT)
        time.sleep(chance.random() / 50)  # somewhere in its work
        (running.kill if turn % 4 else running.terminate)()
        running.join()
        ends[running.exitcode] += 1
        running, can_end = begin()
    running.kill()
    running.join()
    assert ends == {-signal.SIGKILL: 15, 0: 5}
    desk = Desk(tmp_path, 10_000)
    desk.look(3)
    found = list(desk.records.all())
    assert Counter(record.name for record in found) == Counter(dropped.keys())
    assert all(hashlib.sha256(dropped[record.name]).digest() == record.digest for record in found)
    assert all(desk.records.content(record.number) == dropped[record.name] for record in found[::37])
    assert [each for each in desk.folder.rglob("*") if each.is_file()] == []
    desk.records.close()


# --- hostile ---------------------------------------------------------------------------------------------


def link_out(folder: Path) -> None:
    (folder / "link.txt").symlink_to("/etc/passwd")


def two_names(folder: Path) -> None:
    private = folder.parent / "private.txt"
    private.write_bytes(b"somebody's")
    os.link(private, folder / "link.txt")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")


def giant(folder: Path) -> None:
    with (folder / "giant.txt").open("wb") as file:
        file.truncate(DOCUMENT_BYTES_MAX + 1)


def empty(folder: Path) -> None:
    (folder / "empty.txt").touch()


def control_characters(folder: Path) -> None:
    (folder / "a\x1b[31mb.txt").write_bytes(b"x")


def turned(folder: Path) -> None:
    (folder / "a\u202etxt.exe").write_bytes(b"x")


def no_utf8(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.txt")).write_bytes(b"x")


def long_name(folder: Path) -> None:
    (folder / ("長" * 80 + ".txt")).write_bytes(b"x")


@not_on_windows("links, pipes and names as POSIX has them")
@pytest.mark.parametrize(
    "make",
    [
        *(link_out, two_names, pipe, giant, empty, control_characters, turned, no_utf8, long_name),
    ],
)
def test_what_cannot_be_a_record_is_left_where_it_lies_and_told_in_plain_letters(
    desk: Desk, make: Callable[[Path], None], caplog: Log
) -> None:
    make(desk.folder)
    before = sorted(desk.folder.iterdir())
    desk.put("good.txt")
    assert desk.look(4) == ["good.txt"]
    [(name, error)] = desk.left.items()
    assert error == ErrorId.QUEUE_ENTRY
    assert name.isprintable()
    assert sorted(desk.folder.iterdir()) == sorted([desk.folder / TAKEN, *before])
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == 1, "once, and not at each look"
    assert told[0].isprintable()


@not_on_windows("links as POSIX has them")
def test_a_folder_of_a_signer_that_is_a_link_leads_nowhere(desk: Desk, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "diary.txt").write_bytes(b"not for the queue")
    (desk.folder / "A123456789").symlink_to(private)
    assert desk.look(4) == []
    assert (private / "diary.txt").read_bytes() == b"not for the queue"
    assert "'A123456789'" in desk.left


def test_a_system_that_reaches_nothing_from_an_open_folder_does_the_same_by_paths(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_BY_DESCRIPTOR", False)
    desk.put("note.txt", b"for anybody")
    desk.put("A123456789/x.txt", b"for one")
    assert sorted(desk.look()) == ["note.txt", "x.txt"]
    if os.name == "posix":
        (desk.folder / "B123456789").symlink_to(desk.folder.parent)
        assert len(desk.look()) == 2
        with Folder(desk.folder) as root, pytest.raises(OSError, match="is a link"):
            root.within("B123456789")
    assert [each.name for each in desk.folder.rglob("*") if each.is_file()] == []


@not_on_windows("links as POSIX has them")
def test_a_link_in_place_of_the_folder_of_what_was_taken_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0123456789abcdef@@diary.txt").write_bytes(b"not for the queue")
    (desk.folder / TAKEN).symlink_to(elsewhere)
    desk.put("note.txt")
    assert desk.look(4) == []
    assert list(desk.left.values()) == [ErrorId.QUEUE_FOLDER]
    assert [each.name for each in elsewhere.iterdir()] == ["0123456789abcdef@@diary.txt"]


@not_on_windows("links as POSIX has them")
def test_a_file_exchanged_for_a_link_at_the_last_moment_is_not_followed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = desk.put("note.txt")
    move = Folder.move

    def exchanged(self: Folder, name: str, target: Folder, new: str) -> None:
        note.unlink()
        note.symlink_to("/etc/passwd")
        move(self, name, target, new)

    monkeypatch.setattr(Folder, "move", exchanged)
    assert desk.look(4) == []
    assert list(desk.left.values()) == [ErrorId.QUEUE_ENTRY]


@not_on_windows("a file that is open cannot be moved there, and waits")
def test_a_file_that_is_written_while_it_is_read_is_taken_in_whole_the_next_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, written = os.fstat, list[int]()

    def fstat(descriptor: int) -> os.stat_result:
        status = look(descriptor)
        if stat.S_ISREG(status.st_mode) and not written:
            [file] = (desk.folder / TAKEN).iterdir()
            written.append(file.write_bytes(b"record, and more of it"))
        return status

    desk.put("note.txt", b"record")
    monkeypatch.setattr("agent.queue.folders.os.fstat", fstat)
    assert desk.look() == []
    assert list(desk.left.values()) == [ErrorId.QUEUE_ENTRY]
    assert desk.look(1) == ["note.txt"]
    assert desk.records.content(1) == b"record, and more of it"


@not_on_windows("modes as POSIX has them")
def test_a_folder_where_everybody_may_write_is_not_watched(desk: Desk) -> None:
    desk.put("note.txt")
    desk.folder.chmod(0o777)
    assert (desk.look(4), list(desk.left.values())) == ([], [ErrorId.QUEUE_FOLDER])
    desk.folder.chmod(0o775)
    assert desk.look(4) == ["note.txt"]


@not_on_windows("modes as POSIX has them")
def test_a_signers_folder_where_everybody_may_write_is_left_and_the_others_are_watched(desk: Desk) -> None:
    desk.put("A123456789/forged.txt")
    desk.put("B223456789/note.txt")
    (desk.folder / "A123456789").chmod(0o777)
    assert desk.look(4) == ["note.txt"]
    assert desk.left == {"'A123456789'": ErrorId.QUEUE_FOLDER}


@not_on_windows("modes as POSIX has them")
def test_what_everybody_may_have_put_among_the_files_taken_is_no_record(desk: Desk) -> None:
    desk.put(f"{TAKEN}/0@A123456789@forged.txt")
    (desk.folder / TAKEN).chmod(0o777)
    assert (desk.look(4), list(desk.left.values())) == ([], [ErrorId.QUEUE_FOLDER])


def test_a_folder_that_is_missing_keeps_no_other_from_being_watched(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.intake = Intake((tmp_path / "none", desk.folder), desk.records, desk.clock)
    desk.put("note.txt")
    assert desk.look() == ["note.txt"]
    assert list(desk.left.values()) == [ErrorId.QUEUE_FOLDER]
    desk.records.close()


def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(desk: Desk) -> None:
    database: sqlite3.Connection = desk.records._journal._database
    [[pages]] = database.execute("PRAGMA page_count")
    database.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(3):
        desk.put(f"{number}.txt", os.urandom(20_000))
    assert desk.look(3) == []
    assert list(desk.left.values()) == [ErrorId.JOURNAL_FULL]
    database.execute("PRAGMA max_page_count = 1000000")
    assert sorted(desk.look()) == ["0.txt", "1.txt", "2.txt"]


def test_a_million_files_are_taken_in_a_part_at_each_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_CLAIMED_MAX", 10)
    monkeypatch.setattr(intake, "_SEEN_MAX", 25)
    for number in range(60):
        desk.put(f"{number}.txt", b"%d" % number)
    sizes = [len(desk.look(1)) for _ in range(16)]
    assert max(after - before for before, after in pairwise(sizes)) == 10
    assert sizes[-1] == 60
    assert len(set(desk.names)) == 60


def test_no_more_records_wait_than_are_allowed_and_the_files_stay(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most=2)
    for number in range(3):
        desk.put(f"{number}.txt")
    assert len(desk.look(4)) == 2
    assert list(desk.left.values()) == [ErrorId.QUEUE_FULL]
    assert len(list((desk.folder / TAKEN).iterdir())) == 1
    desk.records.failed(desk.records.find(1), ErrorId.DOCUMENT_UNUSABLE, "failed/1", NOW)
    assert len(desk.look(1)) == 3
    assert desk.left == {}
    desk.records.close()
