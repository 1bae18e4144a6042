"""A card as a trace shows it: it answers what was asked while it was recorded, and nothing else.

It is a `hca_card.model.Channel`, so that whatever reads cards reads it, the draft of a profile above all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hca_card import tlv
from hca_card.errors import CardDataError
from hca_card.iso7816 import MASTER_FILE
from hca_card.traces.dealings import READ_BINARY, Dealing
from pcsc.apdu import LE_SHORT_MAX, Command, Response
from pcsc.status import StatusWord

FILES_MOST: Final = 512
FILE_MOST: Final = 0x8000
KEPT_MOST: Final = 1024 * 1024
"""Bytes of files that are kept in all; more is no HCA card."""

_SFI: Final = 0x88


@dataclass(slots=True)
class RecordedFile:
    """What was read of a file.

    Attributes:
        application: the AID that was selected; empty in the master file.
        path: file identifiers, as far as they were seen.
        sfi: short file identifier, 0 where it is not known.
        fci: what SELECT answered.
        content: what was read, from its beginning on as far as it is without a gap.
        records: by their number.
        refused: status word of a read that gave nothing.
        folder: whether it is a DF, where the trace says so.
    """

    application: bytes
    path: bytes = b""
    sfi: int = 0
    fci: bytes = b""
    pieces: dict[int, bytes] = field(default_factory=dict)
    records: dict[int, bytes] = field(default_factory=dict)
    refused: int = 0
    folder: bool | None = None

    @property
    def content(self) -> bytes:
        """The bytes from offset 0 on, up to the first gap."""
        whole = b""
        for offset in sorted(self.pieces):
            if offset > len(whole):
                break
            whole = whole[:offset] + self.pieces[offset] + whole[offset + len(self.pieces[offset]) :]
        return whole


@dataclass(slots=True)
class RecordedApplication:
    """An application that was selected by its AID."""

    aid: bytes
    sw: int
    fci: bytes


class DataObject(NamedTuple):
    """What GET DATA was asked for: in which application, with which instruction, P1 P2 and command data."""

    application: bytes
    ins: int
    tag: int
    data: bytes


class RecordedCard:
    """Learns from dealings, and answers commands.

    Attributes:
        atr: answer to reset; empty where the trace does not tell it.
        applications: by AID, in the order of their selection.
        files: what was selected or read.
        data_objects: answers of GET DATA.
        contradicted: files and applications whose answers were once others; one may have been rewritten.
    """

    def __init__(self, atr: bytes) -> None:
        self.atr = atr
        self.applications: dict[bytes, RecordedApplication] = {}
        self.files: list[RecordedFile] = []
        self.data_objects: dict[DataObject, bytes] = {}
        self.contradicted: set[bytes | int] = set()
        self._kept = 0
        self._application = b""
        self._path = b""
        self._current: RecordedFile | None = None

    def reset(self) -> None:
        """Nothing is selected any more."""
        self._application, self._path, self._current = b"", b"", None

    def learn(self, dealing: Dealing) -> None:
        """Take one dealing into account."""
        if dealing.secure or dealing.header[:1] == b"\xff":
            return
        match dealing.ins:
            case 0xA4:
                self._selected(dealing)
            case 0xB0:
                self._read(dealing)
            case 0xB2:
                self._read_record(dealing)
            case 0xCA | 0xCB if dealing.ok and self._room(dealing.answer):
                key = DataObject(self._application, dealing.ins, dealing.name, dealing.data)
                self.data_objects.setdefault(key, dealing.answer)

    @property
    def where(self) -> tuple[bytes, RecordedFile | None]:
        """The application and the file that are selected now."""
        return self._application, self._current

    @property
    def read_most(self) -> int:
        """How many bytes were read at a time, where that is less than a short answer can have; else 0."""
        sizes = {
            len(piece)
            for file in self.files
            for offset, piece in file.pieces.items()
            if offset + len(piece) in file.pieces
        }
        return max(sizes) if sizes and max(sizes) < LE_SHORT_MAX else 0

    # --- learning -------------------------------------------------------------------------------------

    def _selected(self, dealing: Dealing) -> None:
        if dealing.sw is None:
            self._current = None  # whatever is selected now, it is not known
        if not dealing.ok:
            return
        if dealing.header[2] == 0x04:
            self._application, self._path, self._current = dealing.data, b"", None
            known = self.applications.get(dealing.data)
            if known is not None and dealing.answer and known.fci and known.fci != dealing.answer:
                self.contradicted.add(dealing.data)
            if len(self.applications) < FILES_MOST and (known is None or not known.fci):
                self.applications[dealing.data] = RecordedApplication(
                    dealing.data, dealing.sw or 0, dealing.answer
                )
            return
        path = self._resolve(dealing.header[2], dealing.data)
        if path == MASTER_FILE:
            self._application = b""
        self._path = path
        if not path:
            self._current = None  # an application's own folder
            return
        found = self._by_path(path)
        if found is None:
            found = RecordedFile(self._application, path)
            if len(self.files) < FILES_MOST:
                self.files.append(found)
        if dealing.header[2] in (0x01, 0x02):
            found.folder = dealing.header[2] == 0x01
        if dealing.answer and not found.fci:
            found.fci = dealing.answer
            found.sfi = found.sfi or _sfi(dealing.answer)
        self._current = found

    def _resolve(self, p1: int, data: bytes) -> bytes:
        """Return the path from the master file, as far as the trace says; within an application, its own."""
        if p1 == 0x08:
            return data if data[:2] == MASTER_FILE else MASTER_FILE + data
        folder = self._path
        if self._current is not None and not _is_folder(self._current):
            folder = folder[:-2]
        if p1 == 0x03 and (folder or self._application):
            return folder[:-2] if self._application else folder[:-2] or MASTER_FILE
        if data[:2] == MASTER_FILE or not data:
            return data or MASTER_FILE
        return folder + data

    def _by_path(self, path: bytes) -> RecordedFile | None:
        for one in self.files:
            if one.path == path and (path[:2] == MASTER_FILE or one.application == self._application):
                return one
        return None

    def _by_sfi(self, sfi: int) -> RecordedFile | None:
        for one in self.files:
            if one.sfi == sfi and one.application == self._application:
                return one
        return None

    def _addressed(self, header: bytes) -> tuple[RecordedFile | None, int]:
        """Return the file that READ BINARY means, and the offset in it."""
        if not header[2] & 0x80:
            return self._current, header[2] << 8 | header[3]
        sfi = header[2] & 0x1F
        found = self._by_sfi(sfi)
        if found is None and len(self.files) < FILES_MOST:
            found = RecordedFile(self._application, sfi=sfi)
            self.files.append(found)
        if found is not None:
            self._current = found
        return found, header[3]

    def _read(self, dealing: Dealing) -> None:
        file, offset = self._addressed(dealing.header)
        if file is None:
            return
        if not dealing.ok:
            file.refused = file.refused or dealing.sw or 0
            return
        known = file.pieces.get(offset, b"")
        common = min(len(known), len(dealing.answer))
        if known[:common] != dealing.answer[:common]:
            self.contradicted.add(id(file))
            return
        if len(dealing.answer) > len(known) and offset < FILE_MOST and self._room(dealing.answer):
            file.pieces[offset] = dealing.answer

    def _read_record(self, dealing: Dealing) -> None:
        sfi = dealing.header[3] >> 3
        file = self._current if not sfi else self._addressed(bytes((0, READ_BINARY, 0x80 | sfi, 0)))[0]
        if file is None:
            return
        if not dealing.ok:
            file.refused = file.refused or dealing.sw or 0
        elif dealing.header[3] & 0x07 == 0x04 and self._room(dealing.answer):
            file.records.setdefault(dealing.header[2], dealing.answer)

    def _room(self, answer: bytes) -> bool:
        self._kept += len(answer)
        return self._kept <= KEPT_MOST

    # --- answering ------------------------------------------------------------------------------------

    def before_end(self, action: Callable[[], None]) -> None:
        """There is never a state to undo: nothing is sent to any card."""

    def send(self, command: Command) -> Response:
        """Answer as the card did; `6A82` for what was not asked while it was recorded."""
        match command.ins:
            case _ if command.secret:
                return Response(b"", StatusWord.INS_NOT_SUPPORTED)
            case 0xA4:
                return self._select(command)
            case 0xB0:
                return self._give(command)
            case 0xB2:
                return self._give_record(command)
            case 0xCA | 0xCB:
                tag = command.p1 << 8 | command.p2
                found = self.data_objects.get(DataObject(self._application, command.ins, tag, command.data))
                sw = StatusWord.REFERENCE_NOT_FOUND if found is None else StatusWord.SUCCESS
                return Response(found or b"", sw)
        return Response(b"", StatusWord.INS_NOT_SUPPORTED)

    def _select(self, command: Command) -> Response:
        if command.p1 == 0x04:
            found = self.applications.get(command.data)
            if found is None:
                return Response(b"", StatusWord.FILE_NOT_FOUND)
            self._application, self._path, self._current = command.data, b"", None
            return Response(found.fci, found.sw)
        path = self._resolve(command.p1, command.data)
        if not path:
            self._path, self._current = path, None
            return Response(b"", StatusWord.SUCCESS)
        file = self._by_path(path) or self._alone(command.data)
        if file is None:
            return Response(b"", StatusWord.FILE_NOT_FOUND)
        self._path, self._current = file.path, file
        return Response(file.fci, StatusWord.SUCCESS)

    def _alone(self, identifier: bytes) -> RecordedFile | None:
        """Return the only file of that identifier, wherever it was selected from."""
        found = [one for one in self.files if one.path[-2:] == identifier] if len(identifier) == 2 else []
        return found[0] if len(found) == 1 else None

    def _give(self, command: Command) -> Response:
        if command.p1 & 0x80:
            self._current, offset = self._by_sfi(command.p1 & 0x1F), command.p2
        else:
            offset = command.p1 << 8 | command.p2
        if self._current is None or not self._current.pieces:
            sw = self._current.refused if self._current is not None else 0
            return Response(b"", sw or StatusWord.FILE_NOT_FOUND)
        content = self._current.content
        if offset >= len(content):
            return Response(b"", StatusWord.OFFSET)
        most = min(command.le or 0, LE_SHORT_MAX) or LE_SHORT_MAX
        chunk = content[offset : offset + most]
        return Response(chunk, StatusWord.SUCCESS if len(chunk) == most else StatusWord.END_OF_FILE)

    def _give_record(self, command: Command) -> Response:
        sfi = command.p2 >> 3
        file = self._by_sfi(sfi) if sfi else self._current
        record = file.records.get(command.p1) if file is not None else None
        if record is None:
            return Response(b"", StatusWord.RECORD_NOT_FOUND)
        return Response(record, StatusWord.SUCCESS)


def _objects(fci: bytes) -> Iterator[tlv.Tlv]:
    try:
        for item in tlv.objects(fci):
            if item.tag in (0x62, 0x6F):
                yield from item.children
    except CardDataError:
        return


def _sfi(fci: bytes) -> int:
    """Return the short identifier in tag 88 of the FCP (ISO/IEC 7816-4 table 11): bits 8 to 4."""
    for item in _objects(fci):
        if item.tag == _SFI and len(item.value) == 1:
            return item.value[0] >> 3
    return 0


def _is_folder(file: RecordedFile) -> bool:
    """Return whether a file is a DF: by its tag 82, else by whether anything was read of it."""
    if file.folder is not None:
        return file.folder
    for item in _objects(file.fci):
        if item.tag == 0x82 and item.value:
            return item.value[0] & 0x38 == 0x38
        if item.tag == 0x84:
            return True
    return not (file.pieces or file.records)
