"""Simulated HiCOS cards: public data to read, and a counter of what must never be sent to such a card.

Of the second generation only its SELECT is known; where its files are is this simulator's own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hca_card.simulator import pkcs15, templates
from hca_card.simulator.ca import SimulatedIdentity, SimulatorCa
from hca_card.simulator.cards import Stock, today
from hca_card.simulator.der import integer, octets, sequence, tlv
from hca_card.simulator.dispatcher import Chip, Handler, RefusalError
from hca_card.simulator.file_commands import FileCommands
from hca_card.simulator.files import DF_PKCS15, MF_ID, DedicatedFile, ElementaryFile, application
from hca_card.simulator.persons import current_validity
from hca_card.simulator.templates import ISSUING
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

ATR_1: Final = bytes.fromhex("3BB813008131FA524348544D4F494341A5")
ATR_2: Final = bytes.fromhex("3BD8960081B1FE451F0743485447504B494ADD")
AID_2: Final = bytes.fromhex("A0000002830000062201696400010101")

VERSION: Final = "HiCOS PKI Applet SIM"
TRIES: Final = 3

_INS_SELECT, _INS_READ_BINARY = 0xA4, 0xB0
_PIN_COMMANDS: Final = frozenset({0x20, 0x24, 0x2C})
_MOST: Final = 0xC8
_DF, _CERTIFICATES = 0x5030, 0x08F2


class SimulatedHicosCard(Chip):
    """What both generations share: PIN commands come encrypted only, and every plain one costs a try.

    Attributes:
        tries: left of the PIN.
    """

    tries = TRIES

    def transmit(self, raw: bytes) -> bytes:
        """Return the response APDU to a command APDU."""
        if len(raw) >= 2 and raw[1] in _PIN_COMMANDS:
            self.tries = max(0, self.tries - 1)
        return super().transmit(raw)


class FirstGeneration(SimulatedHicosCard):
    """Class byte 80 alone; files by identifier, `80 B0` with at most C8 bytes."""

    def __init__(self, mf: DedicatedFile) -> None:
        self._mf = mf
        handlers: dict[int, Handler] = dict.fromkeys(_PIN_COMMANDS, _refuse)
        handlers |= {_INS_SELECT: self._select, _INS_READ_BINARY: self._read_binary}
        super().__init__(ATR_1, handlers, check_class=_check_class_80)
        self.reset()

    def reset(self) -> None:
        """As after power-up: the master file is current."""
        super().reset()
        self._df = self._mf
        self._ef: ElementaryFile | None = None

    def _select(self, command: Command) -> Response:
        if command.p1 or command.p2 or len(command.data) != 2:
            return Response(b"", StatusWord.WRONG_P1P2)
        fid = int.from_bytes(command.data, "big")
        file = self._mf if fid == MF_ID else self._df.child(fid)
        match file:
            case DedicatedFile():
                self._df, self._ef = file, None
            case ElementaryFile():
                self._ef = file
            case None:
                return Response(b"", StatusWord.FILE_NOT_FOUND)
        return Response(b"", StatusWord.SUCCESS)

    def _read_binary(self, command: Command) -> Response:
        if self._ef is None:
            return Response(b"", StatusWord.NO_CURRENT_EF)
        if command.data or not 0 < (command.le or 0) <= _MOST:
            return Response(b"", StatusWord.WRONG_LENGTH)
        offset = command.p1 << 8 | command.p2
        if offset >= len(self._ef.content):
            return Response(b"", StatusWord.OFFSET)
        return Response(self._ef.content[offset : offset + (command.le or 0)], StatusWord.SUCCESS)


class SecondGeneration(SimulatedHicosCard):
    """Class byte 00 and an application of its own; PIN and key commands answer 6982 in the plain."""

    def __init__(self, files: FileCommands) -> None:
        guarded: dict[int, Handler] = dict.fromkeys((*_PIN_COMMANDS, 0x22, 0x2A), _refuse)
        super().__init__(ATR_2, guarded | dict(files.handlers()), files)


@dataclass(frozen=True, slots=True)
class HicosBlueprint:
    """A citizen's HiCOS card.

    Attributes:
        number: card number, 16 digits.
        generation: 1 or 2.
    """

    number: str
    generation: int

    def build(self, ca: SimulatorCa) -> SimulatedHicosCard:
        """Return the card, with certificates from `ca`."""
        issued = templates.citizen(self.number, current_validity(today()))
        stock = Stock.issue(ca, issued, (ISSUING,))
        if self.generation == 1:
            return FirstGeneration(_first_tree(self.number, stock))
        files = (*stock.files(), *stock.directory("HiCOS", "HiCOS", self.number))
        df = DedicatedFile(DF_PKCS15, files)
        return SecondGeneration(FileCommands(DedicatedFile(MF_ID, (df,)), (application(AID_2, "HiCOS", df),)))


def _refuse(_: Command) -> Response:
    raise RefusalError(StatusWord.SECURITY_STATUS)


def _check_class_80(cla: int) -> None:
    if cla != 0x80:
        raise RefusalError(StatusWord.CLA_NOT_SUPPORTED)


def _first_tree(number: str, stock: Stock) -> DedicatedFile:
    """3F00 with 0900 (number, version) and 5030 (the directory, all certificates in one file)."""
    certificates = [(slot.index, identity, False) for slot, identity, _ in stock.own]
    certificates += [(slot.index, identity, True) for slot, identity in stock.authorities]
    keys = b"".join(
        pkcs15.private_key(
            slot.index,
            f"key {slot.index}",
            slot.private_usage,
            slot.reference,
            bits=2048,
            pin=b"",
            df=_DF.to_bytes(2, "big"),
        )
        for slot, *_ in stock.own
    )
    card = DedicatedFile(
        0x0900, (ElementaryFile(0x0903, number.encode()), ElementaryFile(0x0905, VERSION.encode()))
    )
    directory = DedicatedFile(
        _DF,
        (
            ElementaryFile(0x5032, pkcs15.token_info("HiCOS", number)),
            ElementaryFile(0x4100, keys),
            ElementaryFile(0x4101, b""),
            ElementaryFile(0x4104, _certificate_list(certificates)),
            ElementaryFile(0x4107, b""),
            ElementaryFile(_CERTIFICATES, b"".join(identity.certificate for _, identity, _ in certificates)),
        ),
    )
    return DedicatedFile(MF_ID, (card, directory))


def _certificate_list(certificates: Sequence[tuple[int, SimulatedIdentity, bool]]) -> bytes:
    """EF.CD whose paths name parts of the one file."""
    path = b"".join(part.to_bytes(2, "big") for part in (MF_ID, _DF, _CERTIFICATES))
    entries, offset = [], 0
    for index, identity, authority in certificates:
        size = len(identity.certificate)
        place = sequence(octets(path), integer(offset), tlv(0x80, size.to_bytes(2, "big")))
        entries.append(pkcs15.certificate(index, f"certificate {index}", place, authority=authority))
        offset += size
    return b"".join(entries)
