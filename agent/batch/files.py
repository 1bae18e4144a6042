"""A batch of files: its journal, and results that are written whole, once, whatever ends this process.

The order, for each document: the card signs; the SHA-256 of the result is committed to the journal; the
result goes to a file of its own beside its place and to the disk; that file gets its name. Whoever goes on
later finds the result under its name, or finds it whole beside its place and gives it its name, or finds
neither and has the document signed: one signed file comes of each document, and none is torn.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, Self

import msgspec

from agent.batch.choice import Choice, Signed, Signs
from agent.batch.engine import ItemError
from agent.batch.listing import (
    JOURNAL,
    Entry,
    Faulty,
    Listing,
    RefusedEntryError,
    demand_no_link,
    inside,
    read_again,
)
from agent.errors import AgentError, ErrorId, error_id
from agent.interaction import ItemShown
from agent.journal import Journal
from hca_card.decoding import UNREADABLE
from signing.errors import DocumentChangedError

_STEPS: Final = (
    """
    CREATE TABLE batch (source TEXT NOT NULL, force INTEGER NOT NULL);
    CREATE TABLE item (
        number INTEGER PRIMARY KEY,
        line INTEGER NOT NULL,
        file TEXT NOT NULL,
        output TEXT NOT NULL,
        size INTEGER NOT NULL,
        digest BLOB NOT NULL,
        choice BLOB NOT NULL,
        result BLOB,
        done INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT ''
    )
    """,
)
"""`result` is the SHA-256 of what was signed, there before any of it is on the disk. `done` says that it has
its name; it comes with a later result, for until then the file says so itself."""

_PAGE: Final = 256
_PART: Final = ".hca-agent-{:08}.part"


class FaultyListError(Exception):
    """The list has faults, and nobody was asked. The sentence is that of `batch.faulty`."""

    error_id = ErrorId.BATCH_FAULTY

    def __init__(self, faults: list[Faulty]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class FileItem:
    """One document of the batch; paths are relative, with `/`."""

    number: int
    file: str
    output: str
    size: int
    digest: bytes
    choice: Choice

    @property
    def kind(self) -> str:
        """What it takes to sign it."""
        return self.choice.kind


class FileBatch:
    """A batch of files; a context manager, for no other process can work at it meanwhile.

    Args:
        folder: where the documents lie; resolved.
        outputs: where the results and the journal go; resolved, made where it is missing.
        source: what the batch is of, as the journal names it.

    Raises:
        AgentError: journal.*.
        OSError: the folder of the outputs cannot be made.
    """

    def __init__(self, folder: Path, outputs: Path, source: str) -> None:
        outputs.mkdir(parents=True, exist_ok=True)
        self.folder: Final = folder
        self.outputs: Final = outputs
        self._source = source
        self._journal = Journal(outputs / JOURNAL, _STEPS, alone=True)
        self._waiting: deque[FileItem] = deque()
        self._last = 0
        self._paging = asyncio.Lock()
        self._writing = Lock()
        self._named: list[tuple[int]] = []
        self._force = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        with suppress(AgentError):
            self._note_named()
        self._journal.close()

    def unfinished(self) -> bool:
        """Return whether the journal has documents that wait to be signed."""
        return bool(self._journal.rows("SELECT 1 FROM item WHERE done = 0 LIMIT 1"))

    def begun(self) -> bool:
        """Return whether any document was signed."""
        return bool(self._journal.rows("SELECT 1 FROM item WHERE done OR result NOT NULL LIMIT 1"))

    def declare(
        self, entries: Iterable[Entry | Faulty], most: int, *, force: bool = False, aside: Iterable[Path] = ()
    ) -> None:
        """Take down what the batch is of, hashes included; what the journal had before is forgotten.

        Args:
            entries: of a folder or a manifest.
            most: so many at most.
            force: overwrite outputs that are there.
            aside: files that no output may overwrite.

        Raises:
            FaultyListError: with everything that is wrong; nothing was taken down.
            AgentError: batch.too_many, batch.empty; nothing was taken down. journal.*.
            OSError: the manifest cannot be read.
        """
        listing = Listing(self.folder, self.outputs, force=force, aside=aside)
        for number, output, _ in self._begun():
            self._part(number, output).unlink(missing_ok=True)
        with self._journal.transaction():
            self._journal.run("DELETE FROM batch")
            self._journal.run("DELETE FROM item")
            self._journal.run("INSERT INTO batch VALUES (?, ?)", (self._source, force))
            count = 0
            for count, each in enumerate(listing.declared(entries), 1):
                if count > most:
                    raise AgentError(ErrorId.BATCH_TOO_MANY, detail=f"> {most}")
                self._journal.run(
                    "INSERT INTO item (number, line, file, output, size, digest, choice)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        count,
                        each.line,
                        each.file,
                        each.output,
                        each.size,
                        each.digest,
                        msgspec.json.encode(each.choice),
                    ),
                )
            listing.check_outputs(
                (line, output) for line, output in self._journal.rows("SELECT line, output FROM item")
            )
            if listing.faults:
                raise FaultyListError(listing.faults)
            if not count:
                raise AgentError(ErrorId.BATCH_EMPTY, detail=str(self.folder))
        self._force = force

    def resume(self, *, asked: bool = True) -> None:
        """Bring the journal and the disk together again; what failed before waits once more.

        Raises:
            AgentError: batch.other: the journal is of another folder or manifest; batch.unfinished: nobody
                `asked` for it. journal.*.
            OSError: a result cannot be given its name.
        """
        [(source, force)] = self._journal.rows("SELECT source, force FROM batch")
        if source != self._source:
            raise AgentError(ErrorId.BATCH_OTHER, detail=str(self.outputs / JOURNAL))
        if not asked:
            raise AgentError(ErrorId.BATCH_UNFINISHED, detail=str(self.outputs))
        self._force = bool(force)
        for number, output, result in self._begun():
            target, part = self._target(output), self._part(number, output)
            if _digest_of(target) == result:
                part.unlink(missing_ok=True)
            elif _digest_of(part) == result:
                _name(part, target)
            else:
                part.unlink(missing_ok=True)
                continue
            self._named.append((number,))
        self._note_named()
        self._journal.run("UPDATE item SET error = '' WHERE done = 0")

    def waiting(self) -> Iterator[FileItem]:
        """Return the documents that wait, in their order, however many, a few in memory at a time."""
        last = 0
        while page := self._page(last):
            yield from page
            last = page[-1].number

    def shown(self) -> tuple[ItemShown, ...]:
        """Return the documents that wait, as the person is shown them."""
        return tuple(
            ItemShown(item.file, item.size, sys.intern(str(item.choice.format)), item.digest)
            for item in self.waiting()
        )

    def counts(self) -> tuple[int, int]:
        """Return how many documents are signed, and how many there are."""
        [(done, of)] = self._journal.rows("SELECT total(done), count(*) FROM item")
        return int(done) + len(self._named), of

    def failures(self) -> list[tuple[str, str]]:
        """Return the files that could not be signed, and the id of why."""
        return [
            (file, error)
            for file, error in self._journal.rows("SELECT file, error FROM item WHERE error <> ''")
        ]

    async def next(self) -> FileItem | None:
        """Return the next document that waits, None after the last."""
        async with self._paging:
            if not self._waiting:
                self._waiting.extend(await asyncio.to_thread(self._page, self._last))
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._last = item.number
            return item

    async def sign(self, item: FileItem, session: Signs) -> Signed:
        """Return the document signed, if it is still the one that was listed.

        Raises:
            DocumentChangedError: it is not.
            ItemError: file.unusable; batch.output_taken: nobody said that what is there may be overwritten.
        """
        document = await asyncio.to_thread(self._read, item)
        return await item.choice.sign(session, document, Path(item.file).name)

    async def store(self, item: FileItem, signed: Signed) -> None:
        """Write the result, in the order that the module names; it is on the disk under its name then."""
        await asyncio.to_thread(self._store, item, signed.content)

    async def failed(self, item: FileItem, error: Exception) -> None:
        """Take down which kind of error it was."""
        statement = "UPDATE item SET error = ? WHERE number = ?"
        await asyncio.to_thread(self._journal.run, statement, (error_id(error).value, item.number))

    def _begun(self) -> list[tuple[int, str, bytes]]:
        """Return number, output and digest of results whose file may lie beside its place."""
        rows = self._journal.rows(
            "SELECT number, output, result FROM item WHERE result NOT NULL AND done = 0"
        )
        return [(number, output, result) for number, output, result in rows]

    def _target(self, output: str) -> Path:
        """Return where a result goes: the journal may lie where others can write, and so may a link."""
        try:
            target = self.outputs / inside(output)
        except RefusedEntryError as error:
            raise AgentError(ErrorId.JOURNAL_DAMAGED, detail=str(self._journal.path)) from error
        try:
            demand_no_link(self.outputs, target)
        except RefusedEntryError as error:
            raise AgentError(ErrorId.BATCH_OUTPUT_TAKEN, detail=output) from error
        return target

    def _part(self, number: int, output: str) -> Path:
        return self._target(output).with_name(_PART.format(number))

    def _page(self, last: int) -> list[FileItem]:
        rows = self._journal.rows(
            "SELECT number, file, output, size, digest, choice FROM item"
            " WHERE number > ? AND done = 0 AND error = '' ORDER BY number LIMIT ?",
            (last, _PAGE),
        )
        try:
            return [
                FileItem(number, file, output, size, digest, msgspec.json.decode(choice, type=Choice))
                for number, file, output, size, digest, choice in rows
            ]
        except UNREADABLE as error:
            raise AgentError(ErrorId.JOURNAL_DAMAGED, detail=str(self._journal.path)) from error

    def _read(self, item: FileItem) -> bytes:
        if not self._force and os.path.lexists(self._target(item.output)):
            raise ItemError(ErrorId.BATCH_OUTPUT_TAKEN, detail=item.output)
        try:
            document = read_again(self.folder, item.file)
        except OSError as error:
            raise ItemError(ErrorId.FILE_UNUSABLE, detail=f"{item.file}: {error.strerror}") from error
        if hashlib.sha256(document).digest() != item.digest:
            raise DocumentChangedError(item.file)
        return document

    def _store(self, item: FileItem, content: bytes) -> None:
        with self._writing:
            named, self._named = self._named, []
            with self._journal.transaction():
                self._journal.run(
                    "UPDATE item SET result = ? WHERE number = ?",
                    (hashlib.sha256(content).digest(), item.number),
                )
                self._mark(named)
        target, part = self._target(item.output), self._part(item.number, item.output)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _name(part, target)
        except BaseException as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(target)  # a write does not know where it goes
            raise
        with self._writing:
            self._named.append((item.number,))

    def _note_named(self) -> None:
        with self._writing:
            named, self._named = self._named, []
            if named:
                with self._journal.transaction():
                    self._mark(named)

    def _mark(self, named: list[tuple[int]]) -> None:
        for numbers in named:
            self._journal.run("UPDATE item SET done = 1, error = '' WHERE number = ?", numbers)


def _name(part: Path, target: Path) -> None:
    """Give a whole file its name, and have the folder say so on the disk."""
    part.replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file; of what is none, the empty text."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
