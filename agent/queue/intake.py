"""Watched folders: whatever a hospital system puts there becomes a record, exactly once.

    records/notes.pdf          whoever of this computer's people opens a session
    records/A123456789/x.xml   the person of that number: of a card, or in the certificate's subject

A file is taken when it is complete: it has been the same at two looks, a moment apart. A file whose name
begins with a dot or ends as unfinished files do is left alone until it is renamed. Three steps, each on the
disk before the next:

    1. it is moved to `.taken` in the watched folder, under a unique name, which becomes the record's key
    2. it is written to the journal, unless that has the key already
    3. it is removed from `.taken`

Wherever the agent is killed, what lies in `.taken` goes on with step 2 at the next start. Folders are looked
at again and again and not listened to: what another computer puts on a file server announces nothing here.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from agent.errors import AgentError, ErrorId, error_id
from agent.queue.folders import Folder
from agent.queue.model import DOCUMENT_BYTES_MAX, SIGNER, Order, is_name
from agent.queue.records import Records

log = logging.getLogger(__name__)

TAKEN: Final = ".taken"
SETTLED_SECONDS: Final = 1.0

_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 64 * 1024 * 1024
_CLAIMED_MAX: Final = 1_000
_SEEN_MAX: Final = 10_000
_LEFT_MAX: Final = 100
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".filepart", "~")
_Seen = dict[tuple[Path, str], tuple[tuple[int, int, int], float]]
"""What was not complete: what it looked like, and since when."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that lies in a watched folder and is not taken in.

    Attributes:
        folder: where.
        name: its name, as Python writes it: nothing in it acts on a terminal.
        error: why.
    """

    folder: Path
    name: str
    error: ErrorId


class Intake:
    """Takes in what lies in the watched folders. Every method blocks.

    Args:
        folders: the watched folders.
        records: where records go.
        clock: seconds that only grow.
    """

    def __init__(
        self, folders: Sequence[Path], records: Records, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders = folders
        self._records = records
        self._clock = clock
        self._seen: dict[Path, _Seen] = {}
        self._left: dict[tuple[Path, str], ErrorId] = {}

    @property
    def left(self) -> tuple[Left, ...]:
        """What lay there at the last look and was not taken in, a hundred at most."""
        return tuple(Left(folder, name, error) for (folder, name), error in self._left.items())

    @property
    def unsettled(self) -> bool:
        """Whether a file may still be being written."""
        return any(self._seen.values())

    def look(self, received: datetime, time: timedelta) -> int:
        """Take in what is complete; return how many records there are more.

        What cannot be taken in is left where it lies, and so is all of it if the journal cannot be written.
        """
        before, self._left = self._left, {}
        count = 0
        for folder in self._folders:
            try:
                count += self._look_at(folder, received, time)
            except (AgentError, OSError) as error:
                kind = error_id(error) if isinstance(error, AgentError) else ErrorId.QUEUE_FOLDER
                self._leave(folder, "", kind)
        for (folder, name), why in self._left.items() - before.items():
            log.warning("the queue leaves %s in %s: %s", name or "everything", folder, why)
        return count

    def _look_at(self, path: Path, received: datetime, time: timedelta) -> int:
        with Folder(path) as root, root.within(TAKEN, make=True) as taken:
            if root.others_may_write or taken.others_may_write:
                raise AgentError(ErrorId.QUEUE_FOLDER)
            self._claim(root, taken)
            return sum(self._take_in(root, taken, names, received, time) for names in self._portions(taken))

    def _claim(self, root: Folder, taken: Folder) -> None:
        """Move what is complete to `taken`, and have that be on the disk."""
        before, seen = self._seen.get(root.path, {}), _Seen()
        moved = 0
        for signer, folder in self._places(root):
            claimed = 0
            for entry in folder.entries():
                if moved + claimed >= _CLAIMED_MAX or len(seen) >= _SEEN_MAX:
                    seen = {**before, **seen}  # the rest has its turn at the next look
                    break
                if self._complete(folder, entry, before, seen, top=folder is root):
                    try:
                        folder.move(entry.name, taken, f"{secrets.token_hex(8)}@{signer}@{entry.name}")
                    except OSError:
                        self._leave(folder.path, entry.name, ErrorId.QUEUE_ENTRY)
                    else:
                        claimed += 1
            if claimed:
                folder.settle()
            moved += claimed
        if moved:
            taken.settle()
        self._seen[root.path] = seen if len(seen) <= 2 * _SEEN_MAX else {}

    def _places(self, root: Folder) -> Iterator[tuple[str, Folder]]:
        """Give the folder itself, then the one of each signer, open while it is looked at."""
        yield "", root
        for entry in root.entries():
            with suppress(OSError):
                if SIGNER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    with root.within(entry.name) as folder:
                        if folder.others_may_write:
                            self._leave(root.path, entry.name, ErrorId.QUEUE_FOLDER)
                        else:
                            yield entry.name, folder

    def _complete(
        self,
        folder: Folder,
        entry: os.DirEntry[str],
        before: _Seen,
        seen: _Seen,
        *,
        top: bool,
    ) -> bool:
        """Return whether an entry is a file that nobody is writing any more; note it in `seen` otherwise."""
        name, key = entry.name, (folder.path, entry.name)
        if name.startswith(".") or name.lower().endswith(_UNFINISHED):
            return False
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return False  # it has gone
        if stat.S_ISDIR(status.st_mode) and top and SIGNER.fullmatch(name):
            return False
        # A file of two names may be somebody else's; one that is being put in place has two for a moment.
        single = stat.S_ISREG(status.st_mode) and status.st_nlink <= 1
        if not single or not is_name(name) or status.st_size > DOCUMENT_BYTES_MAX:
            self._leave(folder.path, name, ErrorId.QUEUE_ENTRY)
            return False
        now, fingerprint = self._clock(), (status.st_ino, status.st_mtime_ns, status.st_size)
        known, since = before.get(key, (None, now))
        if known == fingerprint and now - since >= SETTLED_SECONDS:
            if status.st_size:
                return True
            self._leave(folder.path, name, ErrorId.QUEUE_ENTRY)
        seen[key] = fingerprint, since if known == fingerprint else now
        return False

    def _portions(self, taken: Folder) -> Iterator[list[str]]:
        """Give what lies in `taken`, as much as is taken in at once."""
        portion: list[str] = []
        size = 0
        for entry in taken.entries():
            with suppress(OSError):
                size += min(entry.stat(follow_symlinks=False).st_size, DOCUMENT_BYTES_MAX)
                portion.append(entry.name)
            if len(portion) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
                yield portion
                portion, size = [], 0
        if portion:
            yield portion

    def _take_in(
        self, root: Folder, taken: Folder, names: Sequence[str], received: datetime, time: timedelta
    ) -> int:
        """Write what was claimed to the journal, then remove it."""
        orders: dict[str, tuple[Order, bytes]] = {}
        where = os.path.realpath(root.path)
        for name in names:
            key, _, rest = name.partition("@")
            signer, _, original = rest.partition("@")
            order = Order(original, signer, key=f"folder:{key}", folder=where)
            try:
                document = taken.read(name, DOCUMENT_BYTES_MAX)
                orders[name] = order.settled(document), document
            except FileNotFoundError:
                continue  # another program of this person works with the same queue
            except (OSError, AgentError):
                self._leave(taken.path, name, ErrorId.QUEUE_ENTRY)
        numbers = self._records.add_all(orders.values(), received, time)
        for name, _number in zip(orders, numbers, strict=False):
            with suppress(FileNotFoundError):
                taken.remove(name)
        if len(numbers) < len(orders):
            self._leave(root.path, "", ErrorId.QUEUE_FULL)
        return len(numbers)

    def _leave(self, folder: Path, name: str, error: ErrorId) -> None:
        if len(self._left) < _LEFT_MAX:
            self._left[folder, repr(name) if name else ""] = error
