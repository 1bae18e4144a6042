"""The steps of a probe. Each stands alone: what one cannot read hides nothing of the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from hca_card import iso7816, nhi, tlv
from hca_card.errors import CardDataError, CardError
from hca_card.hicos import HicosCard
from hca_card.hicos_select import Generation, generation
from hca_card.pkcs15 import Pkcs15Card
from hca_card.pkcs15_directory import AID as PKCS15_AID
from hca_card.pkcs15_directory import DirectoryKind, ObjectPath, directory_files
from hca_card.probe import atr as answer_to_reset
from hca_card.probe.found import Findings, FoundApplication, FoundFile
from hca_card.probe.names import CHIPS, KNOWN, NHI_FAMILY, SECURITY_DOMAINS
from hca_card.probe.only_reads import (
    CPLC,
    SCANNED,
    SCANNED_FOR_NHI,
    OnlyReads,
    ProbeLimitError,
    StepLimitError,
)
from hca_card.profile_format import Profile
from pcsc.apdu import LE_SHORT_MAX, Command, Response
from pcsc.errors import MalformedResponseError, PcscError
from pcsc.status import StatusError, StatusWord

Progress = Callable[[int, int, str, str], None]
"""Number of the step, number of steps, and its words in Chinese and English."""

APPLICATIONS_MAX: Final = 24
SFIS: Final = range(1, 31)
RECORDS_MAX: Final = 8
FILE_MAX: Final = 8192
OBJECTS_MAX: Final = 32

_CARD_DATA: Final = (
    (0x80, CPLC),
    (0x00, CPLC),
    (0x80, 0x0066),
    (0x80, 0x0067),
    (0x00, 0x5F52),
    (0x00, 0x7F66),
)
_APPLICATION_LIST: Final = 0x2F00
_ISSUER_DATA: Final = tuple(
    (0x80, name) for name in (CPLC, 0x0066, 0x0067, 0x0042, 0x0045, 0x00E0, _APPLICATION_LIST)
)
_ROOT_FILES: Final = {"EF.DIR": b"\x2f\x00", "EF.ATR": b"\x2f\x01"}
_ABSENT: Final = frozenset(
    {
        StatusWord.FILE_NOT_FOUND,
        StatusWord.RECORD_NOT_FOUND,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.WRONG_P1P2,
        StatusWord.OFFSET,
        StatusWord.REFERENCE_NOT_FOUND,
        StatusWord.WRONG_LENGTH,
    }
)
_DEAF: Final = frozenset({StatusWord.INS_NOT_SUPPORTED, StatusWord.CLA_NOT_SUPPORTED})
_LESS: Final = 0x80
_MORE_RECORDS: Final = StatusWord.INCOMPATIBLE_FILE


def probe(
    channel: OnlyReads, atr: bytes, profiles: Sequence[Profile], progress: Progress = lambda *_: None
) -> Findings:
    """Read what the card gives to anybody. Never raises for what the card does: `Findings.ended` says it.

    Args:
        channel: to the card; its limits end the probe.
        atr: answer to reset.
        profiles: card types known, whose applications are asked for.
        progress: called before each step.
    """
    return _Prober(channel, atr, profiles, progress).run()


class _Prober:
    def __init__(
        self, channel: OnlyReads, atr: bytes, profiles: Sequence[Profile], progress: Progress
    ) -> None:
        self._channel = channel
        self._send = channel.send
        self._progress = progress
        self._found = Findings(atr, answer_to_reset.read(atr))
        self._found.chip = next((words for text, words in CHIPS.items() if text in atr), "")
        self._names = {**{entry.aid: f"HCA card, profile {entry.name}" for entry in profiles}, **KNOWN}

    def run(self) -> Findings:
        steps: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("晶片資料（CPLC）", "chip data (CPLC)", lambda: self._get_data("", _CARD_DATA)),
            ("主檔與 EF.DIR", "master file and EF.DIR", self._root),
            ("晶片發行者（ISD）", "issuer security domain", self._issuer),
            ("HiCOS 公開資料", "HiCOS public data", self._hicos),
            ("應用程式", "applications", self._applications),
            ("應用程式的檔案", "files of the applications", self._files),
            ("PKCS#15 目錄", "PKCS#15 directory", self._directory),
            ("目錄所列的檔案", "files that the directory names", self._objects),
        )
        try:
            for number, (zh, en, work) in enumerate(steps, 1):
                self._progress(number, len(steps), zh, en)
                with self._step(zh, en):
                    work()
        except (ProbeLimitError, PcscError) as error:
            self._found.ended = error
        self._found.commands = self._channel.commands
        return self._found

    @contextmanager
    def _step(self, zh: str, en: str) -> Iterator[None]:
        """Note what goes wrong within, unless nothing more can be done at all."""
        try:
            with self._channel.step():
                yield
        except StepLimitError:
            self._note(f"{zh}：卡片沒有止盡，到此為止", f"{en}: the card has no end of it; left there")
        except (MalformedResponseError, CardError, StatusError) as error:
            self._note(f"{zh}：{type(error).__name__}", f"{en}: {error}")

    def _note(self, zh: str, en: str) -> None:
        self._found.notes.append((zh, en))

    def _get_data(self, where: str, names: Sequence[tuple[int, int]]) -> None:
        for cla, name in names:
            answer = self._send(Command(cla, 0xCA, name >> 8, name & 0xFF, le=LE_SHORT_MAX))
            if answer.ok and answer.data:
                self._found.data_objects.setdefault(f"{where}{cla:02X} CA {name:04X}", answer.data)

    def _root(self) -> None:
        for identifier in (iso7816.MASTER_FILE, b""):
            if self._send(Command(0x00, 0xA4, 0x00, 0x00, identifier, le=LE_SHORT_MAX)).ok:
                break
        for name, identifier in _ROOT_FILES.items():
            with self._step(name, name):
                found = self._by_path(iso7816.MASTER_FILE + identifier)
                if found is not None and found.content:
                    self._found.directory_files[name] = found.content
        self._list(self._found.directory_files.get("EF.DIR", b""))

    def _issuer(self) -> None:
        """Ask what is selected by an empty name, which is the issuer's (GlobalPlatform 2.3 §11.9.2)."""
        answer = self._send(Command(0x00, 0xA4, 0x04, 0x00, le=LE_SHORT_MAX))
        if not answer.ok:
            return
        where = "issuer: "
        self._get_data(where, _ISSUER_DATA)
        aid = tlv.find(answer.data, 0x6F, 0x84)
        if aid:
            self._add(aid)
        self._list(self._found.data_objects.get(f"{where}80 CA {_APPLICATION_LIST:04X}", b""))

    def _list(self, templates: bytes) -> None:
        """Take down the AIDs in application templates (ISO/IEC 7816-4 §12.2.3)."""
        for template in tlv.objects(templates):
            aid = tlv.find(template.value, 0x4F) if template.tag == 0x61 else None
            if aid:
                self._add(aid)

    def _add(self, aid: bytes) -> None:
        if 5 <= len(aid) <= 16 and aid not in self._found.listed:
            self._found.listed.append(aid)

    def _hicos(self) -> None:
        found = generation(self._channel)
        if found is None:
            return
        self._found.hicos = 1 if found is Generation.FIRST else 2
        card = HicosCard.open(self._channel, found)
        self._found.hicos_version = card.version_text()
        for one in card.certificates():
            self._found.objects[b"\x08\xf2" + bytes((one.index,))] = FoundFile(
                0, b"", one.der, len(one.der), 0, StatusWord.SUCCESS
            )

    def _applications(self) -> None:
        wanted = list(dict.fromkeys((*self._found.listed, *self._names)))[:APPLICATIONS_MAX]
        for aid in wanted:
            with self._step(f"SELECT {aid.hex().upper()}", f"SELECT {aid.hex().upper()}"):
                answer = iso7816.select_aid(self._channel, aid)
                if answer.sw == StatusWord.CLA_NOT_SUPPORTED:
                    return
                there = answer.ok or answer.sw in iso7816.FOUND
                if aid == nhi.AID:
                    # Some cards refuse every SELECT and give their data all the same.
                    there = there or self._is_nhi()
                if not there:
                    continue
                found = FoundApplication(aid, self._names.get(aid, ""), answer.sw, answer.data)
                self._found.applications.append(found)
                if aid in SECURITY_DOMAINS:
                    self._get_data(f"{aid.hex().upper()}: ", _ISSUER_DATA)

    def _is_nhi(self) -> bool:
        answer = self._send(Command(0x00, 0xCA, 0x11, 0x00, b"\x00\x00", le=LE_SHORT_MAX))
        return answer.ok and len(answer.data) == nhi.BASIC_DATA_LENGTH

    def _files(self) -> None:
        for application in self._found.applications:
            if application.aid in SECURITY_DOMAINS:
                continue
            name = application.aid.hex().upper()
            with self._step(f"{name} 的檔案", f"files of {name}"):
                iso7816.select_aid(self._channel, application.aid)
                if application.aid != nhi.AID:
                    self._by_short_identifiers(application)
                self._by_get_data(application)

    def _by_get_data(self, application: FoundApplication) -> None:
        """Ask for what applications of the NHI have, and for the first that any application may have."""
        for_nhi = [(name, b"\x00\x00") for name in SCANNED_FOR_NHI]
        for_all = [(name, b"") for name in SCANNED]
        for name, data in for_nhi if application.aid in NHI_FAMILY else [*for_all, *for_nhi]:
            answer = self._send(Command(0x00, 0xCA, name >> 8, name & 0xFF, data, LE_SHORT_MAX))
            if answer.sw in _DEAF:
                return
            if answer.ok and answer.data:
                application.objects[name, data] = answer.data

    def _by_short_identifiers(self, application: FoundApplication) -> None:
        for sfi in SFIS:
            with self._broken_files():
                first = self._read_binary(0x80 | sfi, 0x00)
                if first.sw in _DEAF:
                    return
                if first.sw == _MORE_RECORDS:
                    application.files.append(self._records(sfi))
                elif first.ok or first.sw == StatusWord.END_OF_FILE:
                    content = self._rest(first)
                    application.files.append(FoundFile(sfi, b"", content, len(content), 0, first.sw))
                elif first.sw not in _ABSENT:
                    application.files.append(FoundFile(sfi, b"", b"", None, 0, first.sw))

    def _read_binary(self, p1: int, p2: int) -> Response:
        """READ BINARY as much as a short command may ask for; a card that refuses that is asked for less."""
        answer = self._send(Command(0x00, 0xB0, p1, p2, le=self._found.read_most or LE_SHORT_MAX))
        if answer.sw == StatusWord.WRONG_LENGTH and not self._found.read_most:
            less = self._send(Command(0x00, 0xB0, p1, p2, le=_LESS))
            if less.sw != StatusWord.WRONG_LENGTH:
                self._found.read_most = _LESS
                return less
        return answer

    @contextmanager
    def _broken_files(self) -> Iterator[None]:
        """One answer that is none ends one file, not all of them."""
        try:
            yield
        except MalformedResponseError as error:
            self._note("卡片回應殘缺", str(error))

    def _records(self, sfi: int) -> FoundFile:
        content, count, sw = b"", 0, int(StatusWord.SUCCESS)
        for number in range(1, RECORDS_MAX + 1):
            answer = self._send(Command(0x00, 0xB2, number, sfi << 3 | 0x04, le=LE_SHORT_MAX))
            sw = answer.sw
            if not answer.ok:
                break
            content, count = content + answer.data, count + 1
        return FoundFile(sfi, b"", content, len(content), count, sw)

    def _rest(self, first: Response) -> bytes:
        """All of the file that is current, up to `FILE_MAX`."""
        content = first.data
        most = self._found.read_most or LE_SHORT_MAX
        while first.ok and most <= len(content) < FILE_MAX and len(content) % most == 0:
            more = self._read_binary(len(content) >> 8, len(content) & 0xFF)
            if not more.data or not (more.ok or more.sw == StatusWord.END_OF_FILE):
                break
            content += more.data
        return content

    def _by_path(self, path: bytes, *, index: int = 0) -> FoundFile | None:
        """SELECT and read; None where there is no such file."""
        try:
            fci = iso7816.select_file(self._channel, path)
        except StatusError as error:
            if error.sw in _ABSENT or error.sw in _DEAF:
                return None
            return FoundFile(0, path, b"", None, 0, error.sw)
        try:
            size = iso7816.file_size(fci)
        except CardDataError:
            size = None
        first = self._read_binary(index >> 8 & 0x7F, index & 0xFF)
        if not first.ok and first.sw != StatusWord.END_OF_FILE:
            return FoundFile(0, path, b"", size, 0, first.sw)
        content = first.data if index else self._rest(first)
        return FoundFile(0, path, content, size if size is not None else len(content), 0, first.sw)

    def _directory(self) -> None:
        if self._found.hicos == 1:
            return
        card = Pkcs15Card.open(self._channel)
        if card is None:
            return
        self._found.directory = card.directory()

    def _objects(self) -> None:
        directory = self._found.directory
        if directory is None:
            return
        iso7816.select_aid(self._channel, PKCS15_AID)
        self._structures()
        named = [entry.place for entry in directory.certificates] + [entry.place for entry in directory.data]
        places = [place for place in named if place and not place.index and place.length is None]
        for place in places[:OBJECTS_MAX]:
            with self._broken_files():
                found = self._by_path(place.path)
                if found is not None:
                    self._found.objects[place.path] = found

    def _structures(self) -> None:
        """Return the files of the directory themselves, for the trace: EF.ODF says which."""
        odf = self._by_path(b"\x50\x31")
        if odf is None or not odf.content:
            return
        self._found.structures["ODF"] = odf.content
        for kind, place in directory_files(odf.content):
            if isinstance(place, ObjectPath) and len(self._found.structures) <= len(DirectoryKind):
                found = self._by_path(place.path)
                if found is not None:
                    self._found.structures[kind.name] = found.content
