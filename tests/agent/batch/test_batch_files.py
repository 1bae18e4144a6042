"""One signed file comes of each document, none is torn, and nothing is overwritten unasked."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.batch import files
from agent.batch.choice import Signed
from agent.batch.files import FileBatch, FileItem
from agent.errors import AgentError, ErrorId, error_id
from tests.support.batches import StampSession, batch_of, documents, run, signed_once


class Killed(BaseException):
    """What SIGKILL is to this test: nothing that comes later is done."""


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_file_that_changed_since_it_was_listed_is_an_error_of_its_own(tmp_path: Path) -> None:
    paths = documents(tmp_path, 6)
    with batch_of(tmp_path) as batch:
        paths[2].write_text("another document")
        paths[4].unlink()
        summary, _, _ = await run(batch, StampSession())
        assert batch.failures() == [("00002.txt", "document.changed"), ("00004.txt", "file.unusable")]
    assert (summary.done, summary.failed, summary.stopped) == (4, 2, None)
    paths[2].write_text("record 2")
    paths[4].write_text("record 4")
    session = StampSession()
    with batch_of(tmp_path, resume=True) as batch:
        summary, _, _ = await run(batch, session)
    assert sorted(session.signed) == [b"record 2", b"record 4"]
    signed_once(tmp_path, tmp_path / "signed", 6)


@pytest.mark.skipif(os.name != "posix", reason="links")
async def test_a_file_that_became_a_link_since_it_was_listed_is_not_signed(tmp_path: Path) -> None:
    [path] = documents(tmp_path / "ward", 1)
    (tmp_path / "same.txt").write_text("record 0")
    with batch_of(tmp_path / "ward") as batch:
        path.unlink()
        path.symlink_to(tmp_path / "same.txt")
        summary, _, _ = await run(batch, StampSession())
    assert (summary.done, summary.failed) == (0, 1)


@pytest.mark.parametrize(
    "moment", ["before the journal", "after the journal", "half written", "before the name"]
)
async def test_killed_at_any_moment_of_storing_it_goes_on_with_one_whole_file_for_each(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents(tmp_path, 3)
    batch = batch_of(tmp_path)
    first = await batch.next()
    assert first is not None
    name, fsync = files._name, os.fsync

    def die(*_arguments: object, **_more: object) -> None:
        raise Killed

    if moment == "before the journal":
        monkeypatch.setattr(files.FileBatch, "_mark", die)
    elif moment == "after the journal":
        monkeypatch.setattr(Path, "mkdir", die)
    elif moment == "half written":
        monkeypatch.setattr(files.os, "fsync", die)
    else:
        monkeypatch.setattr(files, "_name", die)
    # A killed process tidies nothing up.
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(Killed):
        batch._store(first, b"signed record 0")
    monkeypatch.undo()
    if moment == "half written":
        [part] = (tmp_path / "signed").glob("*.part")
        part.write_bytes(b"signed rec")
    batch._journal.close()
    assert (files._name, os.fsync) == (name, fsync)
    session = StampSession()
    with batch_of(tmp_path, resume=True) as batch:
        await run(batch, session)
    assert (b"record 0" in session.signed) == (moment != "before the name")  # whole there: not signed again
    signed_once(tmp_path, tmp_path / "signed", 3)


async def test_what_has_its_name_is_not_signed_again_though_the_journal_does_not_say_done(
    tmp_path: Path,
) -> None:
    documents(tmp_path, 5)
    batch = batch_of(tmp_path)
    for _ in range(3):
        item = await batch.next()
        assert item is not None
        await batch.store(item, Signed(b"signed " + f"record {item.number - 1}".encode(), b""))
    batch._journal.close()  # killed: nobody says that the last one is done
    session = StampSession()
    with batch_of(tmp_path, resume=True) as batch:
        assert batch.counts() == (3, 5)
        await run(batch, session)
    assert sorted(session.signed) == [b"record 3", b"record 4"]
    signed_once(tmp_path, tmp_path / "signed", 5)


async def test_a_full_disk_stops_it_in_words_and_what_is_whole_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents(tmp_path, 12)
    written = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with batch_of(tmp_path) as batch:
        monkeypatch.setattr(files.os, "fsync", full)
        summary, _, _ = await run(batch, StampSession())
        monkeypatch.undo()
    assert error_id(summary.stopped or Exception()) == ErrorId.FILE_UNUSABLE
    # What was named and could not be made sure of is found by whoever goes on.
    assert 0 < summary.done <= len(list((tmp_path / "signed").glob("*.sig"))) < 12
    with batch_of(tmp_path, resume=True) as batch:
        await run(batch, StampSession())
    signed_once(tmp_path, tmp_path / "signed", 12)


async def test_a_file_that_appeared_where_a_result_goes_is_not_overwritten_unless_that_was_said(
    tmp_path: Path,
) -> None:
    documents(tmp_path, 3)
    taken = tmp_path / "signed" / "00001.txt.sig"
    session = StampSession()
    with batch_of(tmp_path) as batch:
        taken.write_text("somebody's")
        summary, _, _ = await run(batch, session)
        assert batch.failures() == [("00001.txt", "batch.output_taken")]
    assert taken.read_text() == "somebody's" and b"record 1" not in session.signed
    with batch_of(tmp_path, force=True) as batch:
        summary, _, _ = await run(batch, StampSession())
    assert summary.done == 3
    signed_once(tmp_path, tmp_path / "signed", 3)


async def test_a_result_that_somebody_signed_once_more_is_left_as_it_is(tmp_path: Path) -> None:
    documents(tmp_path, 2)
    with batch_of(tmp_path) as batch:
        await run(batch, StampSession())
    twice = tmp_path / "signed" / "00000.txt.sig"
    twice.write_text("signed twice")
    with FileBatch(tmp_path, tmp_path / "signed", "the folder") as batch:
        assert not batch.unfinished()
    assert twice.read_text() == "signed twice"


async def test_another_folder_does_not_go_on_with_this_journal(tmp_path: Path) -> None:
    documents(tmp_path, 2)
    batch_of(tmp_path).__exit__()
    with FileBatch(tmp_path, tmp_path / "signed", "another") as batch:
        with pytest.raises(AgentError) as info:
            batch.resume()
        assert info.value.error_id == ErrorId.BATCH_OTHER
        with pytest.raises(AgentError) as info:
            FileBatch(tmp_path, tmp_path / "signed", "the folder")
        assert info.value.error_id == ErrorId.JOURNAL_BUSY
    with FileBatch(tmp_path, tmp_path / "signed", "the folder") as batch:
        with pytest.raises(AgentError) as info:
            batch.resume(asked=False)
        assert info.value.error_id == ErrorId.BATCH_UNFINISHED


async def test_no_pin_and_no_document_stands_in_the_journal(tmp_path: Path) -> None:
    documents(tmp_path, 2, "a document about {} nobody else's business")
    with batch_of(tmp_path) as batch:
        await run(batch, StampSession())
    journal = b"".join(path.read_bytes() for path in (tmp_path / "signed").glob(".hca-agent-batch*"))
    assert b"00000.txt" in journal and b"business" not in journal


def test_a_list_is_read_a_few_at_a_time(tmp_path: Path) -> None:
    documents(tmp_path, 300)
    with batch_of(tmp_path) as batch:
        waiting: list[FileItem] = list(batch.waiting())
    assert [item.number for item in waiting] == list(range(1, 301))


@pytest.mark.parametrize("output", ["../out.sig", "/tmp/out.sig", "a/../../out.sig", "evil\x07.sig"])
async def test_a_journal_that_somebody_else_wrote_leads_nowhere_else(tmp_path: Path, output: str) -> None:
    documents(tmp_path / "ward", 2)
    ward = tmp_path / "ward"
    with batch_of(ward) as batch:
        batch._journal.run("UPDATE item SET output = ? WHERE number = 1", (output,))
        with pytest.raises(AgentError) as info:
            batch._journal.run("UPDATE item SET result = x'00' WHERE number = 1")
            batch.resume()
        assert info.value.error_id == ErrorId.JOURNAL_DAMAGED
    with FileBatch(ward, ward / "signed", "the folder") as batch:
        batch._journal.run("UPDATE item SET result = NULL")
        session = StampSession()
        summary, _, _ = await run(batch, session)
        assert error_id(summary.stopped or Exception()) == ErrorId.JOURNAL_DAMAGED
    assert "out.sig" not in names(tmp_path) + names(Path("/tmp"))


@pytest.mark.skipif(os.name != "posix", reason="links")
async def test_a_link_that_appeared_among_the_outputs_is_not_followed(tmp_path: Path) -> None:
    ward = tmp_path / "ward"
    documents(ward / "sub", 1)
    with batch_of(ward) as batch:
        (ward / "signed" / "sub").symlink_to(tmp_path)
        summary, _, _ = await run(batch, StampSession())
    assert error_id(summary.stopped or Exception()) == ErrorId.BATCH_OUTPUT_TAKEN
    assert names(tmp_path) == ["ward"]


async def test_a_choice_that_cannot_be_read_is_a_damaged_journal(tmp_path: Path) -> None:
    documents(tmp_path, 2)
    with batch_of(tmp_path) as batch:
        batch._journal.run("UPDATE item SET choice = ?", (b'{"pin": "1234"}',))
        summary, _, _ = await run(batch, StampSession())
        assert error_id(summary.stopped or Exception()) == ErrorId.JOURNAL_DAMAGED
