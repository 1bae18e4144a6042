"""The audit log: what was done with cards, for whom, with what result. Append-only JSON lines, mode 0600.

Never a PIN, a name or a full number. Several processes write to it at once (the daemon and the command line):
each row is one `write` on a descriptor opened for appending.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from agent.config import AuditSettings
from agent.vocabulary import Verb
from hca_card.big5 import printable
from hca_card.decoding import UNREADABLE

log = logging.getLogger(__name__)
# For shipping (agent.logs): each row as it stands in the file, heard by nobody unless that is configured.
_rows = logging.getLogger("agent.audit.rows")
_rows.propagate = False
_rows.addHandler(logging.NullHandler())
_rows.setLevel(logging.CRITICAL)

OK: Final = "ok"
_LOCK_SECONDS: Final = 60
_TEXT_MAX: Final = 256
"""Characters of one text in a row: what is longer is shortened, for no row is left out."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One thing done or refused.

    Attributes:
        time: aware UTC.
        origin: the page's origin; None for this person's own command or local program.
        verb: the kind of work.
        card: masked card number; empty when no card was reached.
        certificate: serial number of the certificate used, hexadecimal; empty when none was.
        result: `ok` or the stable id of an error; of the end of a signing session, `ended.` and its reason.
        simulated: whether the card was a simulated one.
        unattended: whether the PIN came from the keyring, and nobody was asked.
        session: the number of the signing session; empty for none.
        elsewhere: whether a worker in another computer wrote it, and sent it back with the result.
    """

    time: datetime
    origin: str | None
    verb: Verb
    card: str
    certificate: str
    result: str
    simulated: bool
    unattended: bool = False
    session: str = ""
    elsewhere: bool = False


_TEXTS: Final = ("origin", "card", "certificate", "result", "session")


class AuditLog:
    """The log in one file and those put aside: `audit.jsonl`, `audit.1.jsonl` (the newest) and so on.

    Args:
        path: the file; its folder must exist.
        settings: when to put the file aside and how many to keep.
    """

    def __init__(self, path: Path, settings: AuditSettings) -> None:
        self._path = path
        self._most = settings.kilobytes * 1024
        self._keep = settings.keep

    def record(self, row: AuditRow) -> None:
        """Append one row; a log that cannot be written is reported and never stops a person's work."""
        line = msgspec.json.encode(_fitting(row)) + b"\n"
        if _rows.isEnabledFor(logging.INFO):
            _rows.info("%s", line[:-1].decode())
        try:
            if not self._append(line, unless_full=True):
                try:
                    self._rotate()
                except OSError as error:
                    why = "the audit log cannot be put aside and grows: %s: %s"
                    log.error(why, self._path, error.strerror)  # noqa: TRY400  (a full disk is no bug)
                self._append(line)
        except OSError as error:
            why = "the audit log cannot be written: %s: %s"
            log.error(why, self._path, error.strerror)  # noqa: TRY400  (a full disk is no bug)

    def _append(self, line: bytes, *, unless_full: bool = False) -> bool:
        """Add a line, and say whether it was added."""
        if sys.platform == "win32":
            from agent.win32.append_to_file import append

            if unless_full and self._is_full():
                return False
            append(self._path, line)
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if unless_full and size >= self._most:
                return False
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # a line torn by a full disk or lost power takes no other along
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return True
        finally:
            os.close(descriptor)

    def read(self, count: int) -> list[AuditRow]:
        """Return the newest `count` rows, the oldest of them first; lines that are no rows are left out."""
        return list(islice(self._newest_first(), max(count, 0)))[::-1]

    def _newest_first(self) -> Iterator[AuditRow]:
        for number in range(self._keep + 1):
            with suppress(FileNotFoundError):
                for line in reversed(self._file(number).read_bytes().splitlines()):
                    with suppress(*UNREADABLE):
                        yield msgspec.json.decode(line, type=AuditRow)

    def _file(self, number: int) -> Path:
        return (
            self._path
            if number == 0
            else self._path.with_name(f"{self._path.stem}.{number}{self._path.suffix}")
        )

    def _is_full(self) -> bool:
        try:
            return self._path.stat().st_size >= self._most
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except (FileExistsError, PermissionError):  # Windows says the latter of a lock that is just going
            # Another process is at it, or died at it; then its lock grows old and goes.
            with suppress(FileNotFoundError, PermissionError):
                if abs(time.time() - lock.stat().st_mtime) > _LOCK_SECONDS:  # or the clock was set back
                    lock.unlink()
            return
        try:
            # Looked at again under the lock: another process may just have done it.
            if self._is_full():
                self._put_aside()
        finally:
            with suppress(PermissionError):  # on Windows, while another process looks at it; it grows old
                lock.unlink(missing_ok=True)

    def _put_aside(self) -> None:
        for number in range(self._keep - 1, -1, -1):
            try:
                self._file(number).replace(self._file(number + 1))
            except FileNotFoundError:
                continue
            except PermissionError:
                return  # Windows renames nothing that somebody reads: the file grows until the next row


def _fitting(row: AuditRow) -> AuditRow:
    """Return the row with every text cut to its two ends where it is too long."""
    texts = {name: getattr(row, name) or "" for name in _TEXTS}
    odd = {name: text for name, text in texts.items() if not text.isprintable() or len(text) > _TEXT_MAX}
    return msgspec.structs.replace(row, **{name: _fitted(odd[name]) for name in odd}) if odd else row


def _fitted(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX // 2]}…{text[1 - _TEXT_MAX // 2 :]}"


class Repeats:
    """Which rows say what was just said: a page that asks all day must not push real work out of the log.

    Args:
        seconds: within how many seconds an equal row is a repeat.
        most: how many different rows may be new within that time; a flood of made-up origins ends there.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._seen: dict[tuple[object, ...], float] = {}
        self._full = False

    def is_repeat(self, *key: object) -> bool:
        """Whether `key` was seen within the time, or too much else was."""
        now = self._clock()
        self._seen = {item: at for item, at in self._seen.items() if now - at < self._seconds}
        if key in self._seen:
            return True
        if len(self._seen) >= self._most:
            if not self._full:
                log.warning("too many different rows of strangers for the audit log; more are left out")
            self._full = True
            return True
        self._full = False
        self._seen[key] = now
        return False


def now() -> datetime:
    """Return the time of a row."""
    return datetime.now(UTC)
