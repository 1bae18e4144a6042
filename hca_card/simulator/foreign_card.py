"""A card of HCA's contents whose commands are those of no other card here: what a profile has to describe.

It stands for the cards whose commands nobody has published, and is made by itself: nothing of it comes from
profiles or from who reads them, so that it can judge both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hca_card.simulator import templates
from hca_card.simulator.ca import SimulatorCa
from hca_card.simulator.cards import PIN, PIN_TRIES, PUK, PUK_TRIES, today
from hca_card.simulator.der import tlv
from hca_card.simulator.dispatcher import Chip, Handler, RefusalError
from hca_card.simulator.ec import EcKey
from hca_card.simulator.key_commands import CardKey
from hca_card.simulator.nhi_card import AID as NHI_AID
from hca_card.simulator.persons import (
    DOCTOR,
    INSURED,
    card_info_record,
    current_validity,
    insured_record,
    personnel_record,
)
from hca_card.simulator.rsa import RsaKey
from hca_card.simulator.security import PIN_LENGTHS, PUK_LENGTHS, Secret, SecurityCommands
from hca_card.simulator.templates import ISSUING, ROOT, SIBLING
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

ATR: Final = bytes.fromhex("3BF8130000 8131FE45 464F524549474E31 8F")
AID: Final = bytes.fromhex("F0464F524549474E01")
KEYS_AID: Final = bytes.fromhex("F0464F524549474E02")
SIGNATURE_KEY, ENCRYPTION_KEY = 0x85, 0x86

_INS_SELECT, _INS_BINARY, _INS_RECORD, _INS_DATA = 0xA4, 0xB0, 0xB2, 0xCA
_INS_VERIFY, _INS_CHANGE, _INS_UNBLOCK = 0x20, 0x24, 0x2C
_INS_ENVIRONMENT, _INS_PSO, _INS_AUTHENTICATE = 0x22, 0x2A, 0x88
_BLOCK: Final = 8
_FILLER: Final = b"\xff"
_REFERENCES: Final = (0x82, 0x84)

Records = tuple[bytes, ...]


class Signs(Enum):
    """What such a card signs, and by which command."""

    BLOCK = "the whole block, padding included, by PSO"
    DIGEST = "the bare digest, by PSO"
    HASHED = "the digest that PSO: HASH brought, by PSO"
    AUTHENTICATION = "a DigestInfo or an EC key's digest, by INTERNAL AUTHENTICATE"
    PSS = "the bare digest, by PSO, as RSA-PSS"


@dataclass(frozen=True, slots=True)
class ForeignWire:
    """The bytes of the card.

    Attributes:
        file_class: class byte of SELECT, READ and GET DATA.
        key_class: class byte of all others.
        select_p2: the only P2 of SELECT.
        command_most: the most bytes of command data in one APDU; extended length is refused.
        read_most: the most bytes that one READ BINARY gives.
        signs: how.
        environment: what MANAGE SECURITY ENVIRONMENT has to say for the signature key: P1, P2 and data; None
            where the key is chosen without.
        bits: length of its keys, as in `Template`.
        pss: the certificate for signatures is for RSA-PSS alone.
        beside_nhi: the card also has the NHI application.
    """

    file_class: int = 0x80
    key_class: int = 0x80
    select_p2: int = 0x0C
    command_most: int = 0xF0
    read_most: int = 0xC0
    signs: Signs = Signs.BLOCK
    environment: tuple[int, int, bytes] | None = (0x41, 0xB6, bytes((0x84, 1, SIGNATURE_KEY)))
    bits: int = 2048
    pss: bool = False
    beside_nhi: bool = False


@dataclass(slots=True)
class ForeignApplication:
    """What one application holds.

    Attributes:
        files: their bytes, or their records, by short identifier and by file identifier.
        objects: what GET DATA gives, by P1 P2 and command data.
    """

    files: dict[int, bytes | Records] = field(default_factory=dict)
    objects: dict[tuple[int, bytes], bytes] = field(default_factory=dict)


class ForeignCard(Chip):
    """Two applications: one says who and what, the other has PIN and keys.

    Args:
        wire: the bytes of its commands.
        applications: by AID.
        keys: the private keys, for signatures and to decipher.

    Attributes:
        pin: the holder's.
        puk: what unblocks it.
    """

    def __init__(
        self, wire: ForeignWire, applications: Mapping[bytes, ForeignApplication], keys: tuple[CardKey, ...]
    ) -> None:
        self.pin = Secret(PIN, PIN_LENGTHS, PIN_TRIES)
        self.puk = Secret(PUK, PUK_LENGTHS, PUK_TRIES)
        self._wire = wire
        self._applications = applications
        self._keys = keys
        self._security = SecurityCommands(self.pin, self.puk, _REFERENCES)
        guarded = self._security.handlers()
        self._guarded = {ins: _padded(handler) for ins, handler in guarded.items()}
        in_files: dict[int, Handler] = {
            _INS_SELECT: self._select,
            _INS_BINARY: self._read_binary,
            _INS_RECORD: self._read_record,
            _INS_DATA: self._get_data,
        }
        with_keys: dict[int, Handler] = {
            **dict.fromkeys((_INS_VERIFY, _INS_CHANGE, _INS_UNBLOCK), self._present),
            _INS_ENVIRONMENT: self._choose,
            _INS_PSO: self._operate,
            _INS_AUTHENTICATE: self._authenticate,
        }
        self._classes = {
            **dict.fromkeys(in_files, wire.file_class),
            **dict.fromkeys(with_keys, wire.key_class),
        }
        super().__init__(
            ATR,
            in_files | with_keys,
            self._security,
            chained=frozenset((_INS_PSO, _INS_AUTHENTICATE)),
            check_class=lambda _: None,
        )
        self.reset()

    def reset(self) -> None:
        """As after power-up: nothing is selected."""
        super().reset()
        self._selected = b""
        self._file: bytes | Records | None = None
        self._chosen: CardKey | None = None
        self._hash = b""

    def transmit(self, raw: bytes) -> bytes:
        """Return the response APDU to a command APDU: no extended length, and each command its own class."""
        if len(raw) > 5 and (raw[4] == 0 or raw[4] > self._wire.command_most):
            return Response(b"", StatusWord.WRONG_LENGTH).encode()
        if len(raw) >= 2:
            wanted = self._classes.get(raw[1])
            if wanted is not None and raw[0] & ~0x10 != wanted:
                return Response(b"", StatusWord.CLA_NOT_SUPPORTED).encode()
        return super().transmit(raw)

    # Files

    def _select(self, command: Command) -> Response:
        if command.p2 != self._wire.select_p2:
            raise RefusalError(StatusWord.WRONG_P1P2)
        if command.p1 == 0x04:
            if command.data not in self._applications:
                raise RefusalError(StatusWord.FILE_NOT_FOUND)
            self._leave()
            self._selected = command.data
            return Response(b"", StatusWord.SUCCESS)
        if command.p1 not in (0x00, 0x02) or len(command.data) != 2:
            raise RefusalError(StatusWord.WRONG_P1P2)
        self._file = self._by_number(int.from_bytes(command.data, "big"))
        return Response(b"", StatusWord.SUCCESS)

    def _leave(self) -> None:
        """Forget what belongs to the application that is left: the PIN and the key chosen."""
        self._security.reset()
        self._file, self._chosen, self._hash = None, None, b""

    def _by_number(self, number: int) -> bytes | Records:
        found = self._here.files.get(number)
        if found is None:
            raise RefusalError(StatusWord.FILE_NOT_FOUND)
        return found

    @property
    def _here(self) -> ForeignApplication:
        return self._applications.get(self._selected, ForeignApplication())

    def _read_binary(self, command: Command) -> Response:
        if command.data or not 1 <= (command.le or 0) <= self._wire.read_most:
            raise RefusalError(StatusWord.WRONG_LENGTH)
        offset = command.p1 << 8 | command.p2
        if command.p1 & 0x80:
            self._file, offset = self._by_number(command.p1 & 0x1F), command.p2
        if self._file is None:
            raise RefusalError(StatusWord.NO_CURRENT_EF)
        if isinstance(self._file, tuple):
            raise RefusalError(StatusWord.INCOMPATIBLE_FILE)
        if offset >= len(self._file):
            raise RefusalError(StatusWord.OFFSET)
        data = self._file[offset : offset + (command.le or 0)]
        whole = len(data) == command.le
        return Response(data, StatusWord.SUCCESS if whole else StatusWord.END_OF_FILE)

    def _read_record(self, command: Command) -> Response:
        if command.p2 & 0x07 != 0x04:
            raise RefusalError(StatusWord.WRONG_P1P2)
        file = self._by_number(command.p2 >> 3) if command.p2 >> 3 else self._file
        if not isinstance(file, tuple):
            raise RefusalError(StatusWord.INCOMPATIBLE_FILE)
        if not 1 <= command.p1 <= len(file):
            raise RefusalError(StatusWord.RECORD_NOT_FOUND)
        return Response(file[command.p1 - 1], StatusWord.SUCCESS)

    def _get_data(self, command: Command) -> Response:
        found = self._here.objects.get((command.p1 << 8 | command.p2, command.data))
        if found is None:
            raise RefusalError(StatusWord.REFERENCE_NOT_FOUND)
        return Response(found, StatusWord.SUCCESS)

    # PIN and keys

    def _require_keys(self) -> None:
        if self._selected != KEYS_AID:
            raise RefusalError(StatusWord.CONDITIONS)

    def _present(self, command: Command) -> Response:
        self._require_keys()
        if command.p1:  # this card drops a PIN by SELECT alone
            raise RefusalError(StatusWord.WRONG_P1P2)
        return self._guarded[command.ins](command)

    def _choose(self, command: Command) -> Response:
        self._require_keys()
        wire, (signature, *others) = self._wire, self._keys
        said = (command.p1, command.p2, command.data)
        if said == wire.environment:
            self._chosen = signature
        elif others and said == (0x41, 0xB8, bytes((0x84, 1, ENCRYPTION_KEY))):
            self._chosen = others[0]
        else:
            raise RefusalError(StatusWord.REFERENCE_NOT_FOUND)
        return Response(b"", StatusWord.SUCCESS)

    def _key(self) -> CardKey:
        self._require_keys()
        key = self._keys[0] if self._wire.environment is None else self._chosen
        if key is None:
            raise RefusalError(StatusWord.CONDITIONS)
        self._security.require_pin()
        return key

    def _operate(self, command: Command) -> Response:
        match command.p1, command.p2:
            case 0x90, 0xA0 if self._wire.signs is Signs.HASHED:
                self._require_keys()
                if command.data[:1] != b"\x90" or command.data[1:2] != bytes((len(command.data) - 2,)):
                    raise RefusalError(StatusWord.WRONG_DATA)
                self._hash = command.data[2:]
                return Response(b"", StatusWord.SUCCESS)
            case 0x9E, 0x9A if self._wire.signs is not Signs.AUTHENTICATION:
                return self._sign(self._key(), command.data)
            case 0x80, 0x84:
                key = self._key()
                if not isinstance(key, RsaKey):
                    raise RefusalError(StatusWord.CONDITIONS)
                return _answer(key.raw, command.data)
        raise RefusalError(StatusWord.WRONG_P1P2)

    def _authenticate(self, command: Command) -> Response:
        if self._wire.signs is not Signs.AUTHENTICATION:
            raise RefusalError(StatusWord.INS_NOT_SUPPORTED)
        return _answer(self._key().sign, command.data)

    def _sign(self, key: CardKey, data: bytes) -> Response:
        signs = self._wire.signs
        if signs is Signs.HASHED:
            data, self._hash = self._hash, b""
        if isinstance(key, EcKey):
            return _answer(key.sign, data)
        match signs:
            case Signs.BLOCK if len(data) == key.octets:
                return _answer(key.raw, data)
            case Signs.PSS:
                return _answer(key.sign_pss, data)
            case Signs.DIGEST | Signs.HASHED if len(data) == 32:
                return _answer(key.sign, _SHA256_INFO + data)
        raise RefusalError(StatusWord.WRONG_LENGTH)


_SHA256_INFO: Final = bytes.fromhex("3031300D060960864801650304020105000420")  # RFC 8017 §9.2, note 1


def _answer(operation: Callable[[bytes], bytes], data: bytes) -> Response:
    try:
        return Response(operation(data), StatusWord.SUCCESS)
    except ValueError:
        raise RefusalError(StatusWord.WRONG_DATA) from None


def _padded(handler: Handler) -> Handler:
    """PINs and PUKs come padded to eight bytes each; what is not is refused before a try is spent."""

    def strip(command: Command) -> Response:
        data = command.data
        if len(data) % _BLOCK:
            raise RefusalError(StatusWord.WRONG_LENGTH)
        blocks = (data[at : at + _BLOCK].rstrip(_FILLER) for at in range(0, len(data), _BLOCK))
        return handler(Command(command.cla, command.ins, command.p1, command.p2, b"".join(blocks)))

    return strip


@dataclass(frozen=True, slots=True)
class ForeignBlueprint:
    """A personnel card of another kind.

    Attributes:
        number: card number, 12 digits.
        wire: the bytes of its commands.
    """

    number: str
    wire: ForeignWire = ForeignWire()

    def build(self, ca: SimulatorCa) -> ForeignCard:
        """Return the card, with certificates from `ca`."""
        validity = current_validity(today())
        wire = self.wire
        own = templates.of_key(templates.personnel(self.number, validity), wire.bits, pss=wire.pss)
        identities = ca.identities([*own, ISSUING, SIBLING, ROOT])
        mine, (issuing, sibling, root) = identities[: len(own)], identities[len(own) :]
        basic = personnel_record(DOCTOR, "2")
        info = card_info_record(validity, activated=True, terminated=False)
        public = ForeignApplication(
            files={0x05: (basic[:140], basic[140:]), 0x06: bytes(16) + info + _FILLER * 8},
            objects={(0x0101, b""): f"{self.number}/2/P/1".encode()},
        )
        private = ForeignApplication(
            files={0x08: _in_records(issuing.certificate), 0x0D: sibling.certificate, 0x0E: root.certificate},
            objects={(0x7F21, b"\x01"): b"\x7f" + tlv(0x21, tlv(0x53, mine[0].certificate))},
        )
        for identity in mine[1:]:
            packed = zlib.compress(identity.certificate)
            half = len(packed) // 2
            private.files |= {0xE101: packed[:half], 0xE102: packed[half:] + _FILLER * 20}
        applications = {AID: public, KEYS_AID: private}
        if wire.beside_nhi:
            data = insured_record(INSURED, "000000000009", "1100101")
            applications[NHI_AID] = ForeignApplication(objects={(0x1100, b"\0\0"): data})
        return ForeignCard(wire, applications, tuple(identity.card_key() for identity in mine))


def _in_records(content: bytes) -> Records:
    return tuple(content[at : at + 200] for at in range(0, len(content), 200))
