"""SELECT and READ BINARY (ISO/IEC 7816-4 §11.2.2 and §11.3.3) over the files of a simulated card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hca_card.simulator.der import tlv
from hca_card.simulator.dispatcher import Handler, RefusalError
from hca_card.simulator.files import MF_ID, Application, DedicatedFile, ElementaryFile
from pcsc.apdu import LE_EXTENDED_MAX, LE_SHORT_MAX, Command, Response
from pcsc.status import StatusWord

_TEMPLATES = {0x00: 0x6F, 0x04: 0x62}  # P2 to the template of the answer: FCI, FCP
_NO_DATA = 0x0C


class FileCommands:
    """What is selected, and what can be read of it.

    Args:
        mf: the root of the tree.
        applications: what SELECT by AID finds.
        terminated: SELECT by AID warns with 6285 that the application has ended.
    """

    def __init__(
        self, mf: DedicatedFile, applications: Sequence[Application], *, terminated: bool = False
    ) -> None:
        self._mf = mf
        self._applications = {application.aid: application for application in applications}
        self._selected = StatusWord.FILE_TERMINATED if terminated else StatusWord.SUCCESS
        self.reset()

    def reset(self) -> None:
        """As after power-up: the MF is current, no EF is."""
        self._df = self._mf
        self._ef: ElementaryFile | None = None

    def handlers(self) -> Mapping[int, Handler]:
        """Return the commands by INS."""
        return {0xA4: self._select, 0xB0: self._read_binary}

    def _select(self, command: Command) -> Response:
        if command.p2 & 0x03:
            raise RefusalError(StatusWord.FILE_NOT_FOUND)  # last, next, previous: there is one of each file
        if command.p2 not in _TEMPLATES and command.p2 != _NO_DATA:
            raise RefusalError(StatusWord.WRONG_P1P2)
        if command.p1 == 0x04:
            return self._select_application(command)
        self._df, self._ef = self._find(command.p1, command.data)
        file = self._ef or self._df
        template = _TEMPLATES.get(command.p2)
        return Response(tlv(template, file.control_parameters()) if template else b"", StatusWord.SUCCESS)

    def _select_application(self, command: Command) -> Response:
        application = self._applications.get(command.data)
        if application is None:
            raise RefusalError(StatusWord.FILE_NOT_FOUND)
        self._df, self._ef = application.root, None
        return Response(b"" if command.p2 == _NO_DATA else application.answer, self._selected)

    def _find(self, p1: int, data: bytes) -> tuple[DedicatedFile, ElementaryFile | None]:
        """Return the DF and EF that SELECT by identifier or path makes current (ISO/IEC 7816-4 §11.2.2)."""
        match p1:
            case 0x00 if not data or _identifiers(data) == [MF_ID]:
                return self._mf, None
            case 0x00:
                return self._by_identifier(data)
            case 0x01 | 0x02:
                df, ef = _walk(self._df, _one_identifier(data))
                if (ef is None) != (p1 == 0x01):
                    raise RefusalError(StatusWord.FILE_NOT_FOUND)
                return df, ef
            case 0x03 if self._df.parent is not None and not data:
                return self._df.parent, None
            case 0x03:
                raise RefusalError(StatusWord.FILE_NOT_FOUND)
            case 0x08:
                path = _identifiers(data)
                return _walk(self._mf, path[1:] if path[:1] == [MF_ID] else path)
            case 0x09:
                return _walk(self._df, _identifiers(data))
            case _:
                raise RefusalError(StatusWord.WRONG_P1P2)

    def _by_identifier(self, data: bytes) -> tuple[DedicatedFile, ElementaryFile | None]:
        """Return a file by its identifier: under the current DF, beside it, or the current DF itself."""
        path = _one_identifier(data)
        if path == [self._df.fid]:
            return self._df, None
        for start in filter(None, (self._df, self._df.parent)):
            if start.child(path[0]):
                return _walk(start, path)
        raise RefusalError(StatusWord.FILE_NOT_FOUND)

    def _read_binary(self, command: Command) -> Response:
        if command.data or command.le is None:
            raise RefusalError(StatusWord.WRONG_LENGTH)
        ef, offset = self._target(command)
        if offset > len(ef.content) or (offset and offset == len(ef.content)):
            raise RefusalError(StatusWord.OFFSET)
        data = ef.content[offset : offset + command.le]
        # 00 and 0000 ask for all there is: fewer than 256 or 65536 bytes deserve no warning then.
        whole = len(data) == command.le or command.le in (LE_SHORT_MAX, LE_EXTENDED_MAX)
        return Response(data, StatusWord.SUCCESS if whole else StatusWord.END_OF_FILE)

    def _target(self, command: Command) -> tuple[ElementaryFile, int]:
        """Return the EF and offset that P1 P2 name; a short identifier makes its EF the current one."""
        if not command.p1 & 0x80:
            if self._ef is None:
                raise RefusalError(StatusWord.NO_CURRENT_EF)
            return self._ef, command.p1 << 8 | command.p2
        if command.p1 & 0x60:
            raise RefusalError(StatusWord.WRONG_P1P2)
        ef = self._df.by_sfi(command.p1 & 0x1F)
        if ef is None:
            raise RefusalError(StatusWord.FILE_NOT_FOUND)
        self._ef = ef
        return ef, command.p2


def _identifiers(data: bytes) -> list[int]:
    """Return the file identifiers of a path."""
    if not data or len(data) % 2:
        raise RefusalError(StatusWord.LC_INCONSISTENT)
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _one_identifier(data: bytes) -> list[int]:
    path = _identifiers(data)
    if len(path) != 1:
        raise RefusalError(StatusWord.LC_INCONSISTENT)
    return path


def _walk(df: DedicatedFile, path: list[int]) -> tuple[DedicatedFile, ElementaryFile | None]:
    """Follow a path down from `df`; only its last step may be an EF."""
    ef: ElementaryFile | None = None
    for fid in path:
        file = df.child(fid) if ef is None else None
        match file:
            case DedicatedFile():
                df = file
            case ElementaryFile():
                ef = file
            case None:
                raise RefusalError(StatusWord.FILE_NOT_FOUND)
    return df, ef
