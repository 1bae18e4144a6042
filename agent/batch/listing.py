"""What a batch is of: the files of a folder or of a manifest, each looked at before anybody is asked.

A name is hostile: nothing outside the folder is read or written, whatever a link, a `..` or a device says,
and no name can steer a terminal. Whatever is wrong is found here, all of it, and nothing is signed then.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Final

from agent import path_safety
from agent.batch.choice import Choice
from hca_card.big5 import printable

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""The largest document: a few are in memory at once."""

FAULTS_MAX: Final = 100
"""So many faults are told; who has more has one of the same kind a hundred times."""

JOURNAL: Final = ".hca-agent-batch.sqlite"
"""The journal lies beside the outputs: on their disk, in their backup, found by whoever goes on with them."""

NAME_MAX: Final = 255


class Fault(Enum):
    """What is wrong with an entry."""

    ROW = ("這一列讀不懂", "this row cannot be read")
    COLUMN = ("沒有這個欄位", "there is no such column")
    NO_FILE = ("沒有寫檔案", "no file is named")
    MISSING = ("沒有這個檔案，或無法讀取", "there is no such file, or it cannot be read")
    OUTSIDE = ("不在這個資料夾裡", "it is not in this folder")
    LINK = ("這是連結，不是檔案", "it is a link and no file")
    NOT_A_FILE = ("這不是一般檔案", "it is no regular file")
    NAME = ("名稱含有控制字元或太長", "its name has control characters or is too long")
    TOO_LARGE = ("檔案超過 256 MB", "it is larger than 256 MB")
    OPTION = ("沒有這種格式或選項", "there is no such format or option")
    SAME_OUTPUT = ("和另一項寫到同一個檔案", "its output is that of another entry")
    OVER_INPUT = ("輸出會蓋掉要簽的檔案", "its output would overwrite a file that is to be signed")
    EXISTS = ("輸出檔已經存在", "its output exists already")


@dataclass(frozen=True, slots=True)
class Faulty:
    """An entry that nothing can be done with.

    Attributes:
        line: of the manifest; 0 for a file of a folder.
        name: the file, printable.
        detail: what exactly, where that is known.
    """

    line: int
    name: str
    fault: Fault
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a manifest, or one file of a folder, not looked at so far.

    Attributes:
        file: relative to the folder.
        output: relative to the folder of outputs; empty for the name that the format gives.
    """

    line: int
    file: str
    choice: Choice
    output: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """One document of the batch, looked at.

    Attributes:
        line: of the manifest; 0 for a file of a folder.
        file: relative to the folder, with `/`.
        output: relative to the folder of outputs, with `/`.
        digest: SHA-256 of the document.
        choice: its format is decided.
    """

    line: int
    file: str
    output: str
    size: int
    digest: bytes
    choice: Choice


class RefusedEntryError(Exception):
    """An entry cannot be used."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault.value[1])
        self.fault = fault
        self.detail = detail


def entries_of_folder(folder: Path, choice: Choice, outputs: Path) -> Iterator[Entry]:
    """Return the files of a folder and those below it, in the order of their names.

    Hidden files and the folder of the outputs are no part of it.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        # A link to a folder is listed among the folders and not walked into: it is an entry, to be refused.
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if name[:1] != "." and name not in linked and here / name != outputs
        )
        for name in sorted([*files, *linked]):
            if name[:1] != ".":
                yield Entry(0, (here / name).relative_to(folder).as_posix(), choice)


class Listing:
    """Entries on their way to a list that can be signed.

    Args:
        folder: where the files lie; resolved.
        outputs: where the results go; resolved, need not be there.
        force: whether outputs may be there already.
        aside: files that are no document and that no output may overwrite: the manifest.
    """

    def __init__(self, folder: Path, outputs: Path, *, force: bool, aside: Iterable[Path] = ()) -> None:
        self._folder = folder
        self._outputs = outputs
        self._force = force
        self._taken: set[str] = {_same(str(outputs / JOURNAL))}
        self._inputs: set[str] = {_same(str(each)) for each in aside}
        self.faults: list[Faulty] = []

    def declared(self, entries: Iterable[Entry | Faulty]) -> Iterator[Declared]:
        """Return the documents, one by one; what is wrong with others is in `faults` then.

        Memory holds one document at a time, and the names.
        """
        for entry in entries:
            if len(self.faults) >= FAULTS_MAX:
                return
            if isinstance(entry, Faulty):
                self.faults.append(entry)
                continue
            try:
                yield self._look(entry)
            except RefusedEntryError as refused:
                name = printable(entry.file)[:NAME_MAX]
                self.faults.append(Faulty(entry.line, name, refused.fault, printable(refused.detail)))

    def check_outputs(self, outputs: Iterable[tuple[int, str]]) -> None:
        """Add a fault for each output, given with its line, that is one of the files to be signed."""
        for line, output in outputs:
            if _same(str(self._outputs / output)) in self._inputs and len(self.faults) < FAULTS_MAX:
                self.faults.append(Faulty(line, output, Fault.OVER_INPUT))

    def _look(self, entry: Entry) -> Declared:
        file = inside(entry.file)
        content = _read(self._folder, file)
        try:
            choice = entry.choice.fitted(content, file.name)
            output = inside(entry.output) if entry.output else file.parent / choice.target(content, file.name)
        except ValueError as error:
            raise RefusedEntryError(Fault.OPTION, str(error)) from error
        self._inputs.add(_same(str(self._folder / file)))
        self._take(output)
        digest = hashlib.sha256(content).digest()
        return Declared(entry.line, file.as_posix(), output.as_posix(), len(content), digest, choice)

    def _take(self, output: PurePath) -> None:
        target = self._outputs / output
        key = _same(str(target))
        if key in self._taken:
            raise RefusedEntryError(Fault.SAME_OUTPUT, str(output))
        self._taken.add(key)
        demand_no_link(self._outputs, target)
        if target.is_dir() or (os.path.lexists(target) and not self._force):
            raise RefusedEntryError(Fault.EXISTS, str(output))


def demand_no_link(folder: Path, path: Path) -> None:
    """Refuse a path below a folder that a link leads on the way; neither need be there.

    Raises:
        RefusedEntryError: it does.
    """
    for place in (path, *path.parents):
        if place == folder:
            return
        if place.is_symlink():
            raise RefusedEntryError(Fault.LINK, str(path.relative_to(folder)))


def read_again(folder: Path, file: str) -> bytes:
    """Return the document that an entry named.

    Raises:
        OSError: it is not there any more, or no longer a regular file inside the folder.
    """
    try:
        return _read(folder, PurePath(file))
    except RefusedEntryError as error:
        raise OSError(0, error.fault.value[1], str(folder / file)) from error


def inside(name: str) -> PurePath:
    """Return a relative path that stays where it begins.

    Raises:
        RefusedEntryError: it is none, or its characters are not for a terminal.
    """
    if "\\" in name and os.name == "posix":
        name = name.replace("\\", "/")  # a manifest may come from Windows
    path = PurePath(name)
    if printable(name) != name or any(len(part.encode()) > NAME_MAX for part in path.parts):
        raise RefusedEntryError(Fault.NAME)
    if path.is_absolute() or path.drive or ".." in path.parts or (os.name == "nt" and ":" in name):
        raise RefusedEntryError(Fault.OUTSIDE)
    if not path.name:
        raise RefusedEntryError(Fault.NO_FILE)
    return path


def _read(folder: Path, file: PurePath) -> bytes:
    path = folder / file
    try:
        demand_no_link(folder, path)
        if not path_safety.real(path).is_relative_to(folder):
            raise RefusedEntryError(Fault.OUTSIDE)
        # A pipe would wait for whoever writes it; a terminal would become ours.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
        if not stat.S_ISREG(path.stat().st_mode):
            raise RefusedEntryError(Fault.NOT_A_FILE)
        with os.fdopen(os.open(path, flags), "rb") as opened:
            facts = os.fstat(opened.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise RefusedEntryError(Fault.NOT_A_FILE)
            if facts.st_size > FILE_BYTES_MAX:
                raise RefusedEntryError(Fault.TOO_LARGE)
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise RefusedEntryError(Fault.MISSING, error.strerror or "") from error
    if len(content) > FILE_BYTES_MAX:
        raise RefusedEntryError(Fault.TOO_LARGE)
    return content


def _same(path: str) -> str:
    """Return what two spellings of one file have in common on this system."""
    if sys.platform in ("win32", "darwin"):
        return unicodedata.normalize("NFC", path).casefold()
    return path
