"""A journal on disk (SQLite): what is written down survives SIGKILL and lost power, or an error says why.

A write-ahead log with synchronous=FULL: one flush to the disk for each transaction, and readers wait for no
writer (https://sqlite.org/wal.html §2.2). A journal of one process alone locks the file as long as it is open
and then needs no shared memory (§8), so that it may lie on a file server too; the lock goes with the process,
however that ends.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Final, Self

from agent.errors import AgentError, ErrorId

Values = Sequence[object] | Mapping[str, object]

WAIT_SECONDS: Final = 10.0
_CACHE_KILOBYTES: Final = 512
_APPLICATION: Final = 0x48434131
"""`HCA1`, which says in a file that it is a journal of this program (PRAGMA application_id)."""

_ERRORS: Final = {
    sqlite3.SQLITE_BUSY: ErrorId.JOURNAL_BUSY,
    sqlite3.SQLITE_LOCKED: ErrorId.JOURNAL_BUSY,
    sqlite3.SQLITE_FULL: ErrorId.JOURNAL_FULL,
    sqlite3.SQLITE_READONLY: ErrorId.JOURNAL_READ_ONLY,
    sqlite3.SQLITE_PERM: ErrorId.JOURNAL_READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: ErrorId.JOURNAL_READ_ONLY,
    sqlite3.SQLITE_CORRUPT: ErrorId.JOURNAL_DAMAGED,
    sqlite3.SQLITE_NOTADB: ErrorId.JOURNAL_DAMAGED,
    sqlite3.SQLITE_IOERR: ErrorId.JOURNAL_FULL,
}
"""What primary result codes mean (https://sqlite.org/rescode.html); a disk that fails is as good as full."""


class Journal:
    """One database, for all threads of this process; a context manager that closes it.

    Args:
        path: the file, made for this user alone where it is missing; its folder must exist.
        steps: SQL that makes the tables. Each step brings a journal from one version to the next: a new
            version of this program adds a step and changes none.
        alone: no other process may have it open at the same time.
        wait: seconds to wait for another process that is writing.

    Raises:
        AgentError: journal.busy, journal.full, journal.read_only, journal.newer, journal.damaged (also a file
            that is none of ours).
    """

    def __init__(
        self, path: Path, steps: Sequence[str], *, alone: bool = False, wait: float = WAIT_SECONDS
    ) -> None:
        self.path: Final = path
        self._lock = RLock()
        with self._worded():
            _make(path)
            self._database = sqlite3.connect(
                path, timeout=0 if alone else wait, isolation_level=None, check_same_thread=False
            )
        try:
            with self._worded():
                self._prepare(steps, alone=alone)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, steps: Sequence[str], *, alone: bool) -> None:
        run = self._database.execute
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA cell_size_check = ON")
        run(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}")
        if alone:
            run("PRAGMA locking_mode = EXCLUSIVE")
        [owner], empty = (
            run("PRAGMA application_id").fetchone(),
            not run("SELECT 1 FROM sqlite_schema").fetchone(),
        )
        if owner != _APPLICATION and not empty:
            raise AgentError(ErrorId.JOURNAL_DAMAGED, detail=str(self.path))
        if run("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise AgentError(ErrorId.JOURNAL_READ_ONLY, detail=str(self.path))
        run("PRAGMA synchronous = FULL")
        with self.transaction():
            [version] = run("PRAGMA user_version").fetchone()
            if run("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise AgentError(ErrorId.JOURNAL_DAMAGED, detail=str(self.path))
            if version > len(steps):
                raise AgentError(ErrorId.JOURNAL_NEWER, detail=str(self.path))
            for step in steps[version:]:
                for statement in filter(str.strip, step.split(";")):
                    run(statement)
            if version < len(steps):
                run(f"PRAGMA application_id = {_APPLICATION}")
                run(f"PRAGMA user_version = {len(steps)}")

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Run the body; what it wrote is on the disk afterwards, or nothing of it where it raised."""
        with self._lock, self._worded():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._database.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already (https://sqlite.org/lang_transaction.html §3).
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def run(self, statement: str, values: Values = ()) -> int:
        """Run one statement, return how many rows it changed; on the disk then, unless in a transaction."""
        with self._lock, self._worded():
            return self._database.execute(statement, values).rowcount

    def run_many(self, statement: str, values: Iterator[Values]) -> None:
        """Run one statement for each of `values`, all or none, however many: they are read one by one."""
        with self.transaction():
            self._database.executemany(statement, values)

    def rows(self, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock, self._worded():
            return self._database.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file; what was written stays. Idempotent."""
        with self._lock, suppress(sqlite3.Error):
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    @contextmanager
    def _worded(self) -> Iterator[None]:
        """Run the body; what SQLite and the system refuse is an error of ours."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The low byte is the primary code. Statements are constants that fit the tables of their version:
            # where one does not, or a text cannot be decoded (SQLite's words of the schema among them), the
            # file is not what it was.
            known = _ERRORS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
            if known is None and isinstance(error, sqlite3.OperationalError | UnicodeDecodeError):
                known = ErrorId.JOURNAL_DAMAGED
            if known is None:
                raise
            detail = f"{self.path}: {getattr(error, 'sqlite_errorname', error)}"
            raise AgentError(known, detail=detail) from error


def _make(path: Path) -> None:
    """Make the file for this user alone; what SQLite puts beside it has the same mode.

    Raises:
        AgentError: journal.read_only, journal.damaged: it is a link, a folder or a device.
    """
    try:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        kind = ErrorId.JOURNAL_DAMAGED if path.is_symlink() or path.is_dir() else ErrorId.JOURNAL_READ_ONLY
        raise AgentError(kind, detail=f"{path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AgentError(ErrorId.JOURNAL_DAMAGED, detail=str(path))
    finally:
        os.close(descriptor)
