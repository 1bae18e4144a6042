"""HiCOS cards of Chunghwa Telecom (自然人憑證, 工商憑證): what can be read of them without a PIN.

Their PIN and key commands are encrypted under keys of the maker, which this program does not have. A plain
VERIFY could only cost a try: nothing here can send one. Signing and PIN need the maker's own PKCS#11 module.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, Protocol, Self

from hca_card import iso7816, tlv
from hca_card import pkcs15_directory as contents
from hca_card.big5 import printable
from hca_card.certificate import CertificateDescription, describe
from hca_card.errors import CardDataError, HicosModuleError, ObjectMissingError, UnsupportedError
from hca_card.hicos_select import Generation, select
from hca_card.model import (
    Card,
    CardCertificate,
    CardKind,
    Channel,
    Citizen,
    Metadata,
)
from hca_card.pkcs15_directory import DirectoryKind, PrivateKey
from hca_card.pkcs15_roles import ListedCertificates
from pcsc.apdu import Command
from pcsc.status import StatusError, StatusWord

CHUNK: Final = 0xC8
"""Le of READ BINARY on generation 1."""

MASTER_FILE: Final = b"\x3f\x00"
CARD_NUMBER: Final = MASTER_FILE + b"\x09\x00\x09\x03"
VERSION_TEXT: Final = MASTER_FILE + b"\x09\x00\x09\x05"
DIRECTORY: Final = MASTER_FILE + b"\x50\x30"
TOKEN_INFO: Final = b"\x50\x32"
ODF: Final = b"\x50\x31"
PRIVATE_KEYS: Final = b"\x41\x00"
CERTIFICATES: Final = b"\x41\x04"
CERTIFICATE_FILE: Final = b"\x08\xf2"


class _Files(Protocol):
    """How the files of one generation are found and read."""

    def number(self) -> str: ...

    def version(self) -> str: ...

    def private_keys(self) -> bytes: ...

    def certificates(self) -> bytes: ...

    def certificate(self, place: contents.ObjectPath) -> bytes: ...


class HicosCard(Card):
    """A HiCOS card, read-only. Its directory is read when first needed."""

    def __init__(self, files: _Files, serial: str) -> None:
        """Use `open`."""
        self._files = files
        self.serial = serial
        self.kind = CardKind.PKCS15
        facts = self._facts
        if facts is not None and facts.subject_type == "natural-person":
            self.kind = CardKind.CITIZEN

    @classmethod
    def open(cls, channel: Channel, generation: Generation) -> Self:
        """Return the card that `hca_card.hicos_select.generation` has just found.

        Raises:
            HicosModuleError: it keeps even its number to its maker's programs.
            CardDataError: what it says of itself cannot be.
        """
        files = _FirstGeneration(channel) if generation is Generation.FIRST else _SecondGeneration(channel)
        try:
            serial = files.number()
        except StatusError as error:
            raise HicosModuleError from error
        if not serial.isalnum() or not serial.isascii():
            raise CardDataError("the HiCOS card has no card number")
        return cls(files, serial)

    def metadata(self) -> Metadata:
        """Return the card's number, and the holder as the certificate names them."""
        facts = self._facts
        name = None if facts is None else facts.common_name
        return Metadata(self.kind, "", self.serial, None if name is None else Citizen(name))

    def version_text(self) -> str:
        """Return what the card says of its own version; empty if it does not."""
        try:
            return self._files.version()
        except (StatusError, CardDataError):
            return ""

    def certificate_indexes(self) -> tuple[int, ...]:  # noqa: D102
        return self._certificates.numbers()

    def certificate(self, index: int) -> CardCertificate:  # noqa: D102
        return self._certificates.get(index)

    def unsupported(self) -> HicosModuleError:
        """Return what every PIN and key command raises; nothing is sent, as it could cost a try."""
        return HicosModuleError()

    @cached_property
    def _facts(self) -> CertificateDescription | None:
        """What the signature certificate says; None where there is none that can be read."""
        try:
            return describe(self.certificate(1).der)
        except (CardDataError, ObjectMissingError, UnsupportedError, StatusError):
            return None

    @cached_property
    def _certificates(self) -> ListedCertificates:
        try:
            listed = contents.certificates(self._files.certificates())
        except StatusError:
            listed = ()
        return ListedCertificates(listed, self._keys(), self._files.certificate)

    def _keys(self) -> tuple[PrivateKey, ...]:
        """Only to number the certificates, so that a list that cannot be read hides none of them."""
        try:
            return contents.private_keys(self._files.private_keys())
        except (StatusError, CardDataError):
            return ()


class _FirstGeneration:
    """Class byte 80, no EF.ODF, all certificates in one file."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def number(self) -> str:
        return _text(self._file(CARD_NUMBER))

    def version(self) -> str:
        return _text(self._file(VERSION_TEXT))

    def private_keys(self) -> bytes:
        return self._file(DIRECTORY + PRIVATE_KEYS)

    def certificates(self) -> bytes:
        return self._file(DIRECTORY + CERTIFICATES)

    def certificate(self, place: contents.ObjectPath) -> bytes:
        path = DIRECTORY + (place.path[-2:] or CERTIFICATE_FILE)
        return self._file(path, offset=place.index, length=place.length, der=True)

    def _file(self, path: bytes, *, offset: int = 0, length: int | None = None, der: bool = False) -> bytes:
        """Return a file or a part of it; with `der` and no length, the DER object that begins at `offset`."""
        for at in range(0, len(path), 2):
            select(self._channel, path[at : at + 2]).require()
        content, end = bytearray(), length
        for _ in range(iso7816.MAX_READS):
            if end is not None and len(content) >= end:
                break
            at = offset + len(content)
            if at > 0x7FFF:
                raise CardDataError("a file of the HiCOS card has no end")
            answer = self._channel.send(Command(0x80, 0xB0, at >> 8, at & 0xFF, le=CHUNK))
            if content and answer.sw in (StatusWord.OFFSET, StatusWord.WRONG_LENGTH):
                break
            chunk = answer.require(StatusWord.END_OF_FILE)
            content += chunk
            if der and end is None and content:
                end = 0 if content[0] in tlv.PADDING else tlv.announced_length(bytes(content))
            if len(chunk) < CHUNK:
                break
        if end is None:
            return bytes(content)
        if len(content) < end:
            raise CardDataError(f"a file of the HiCOS card claims {end} bytes and has {len(content)}")
        return bytes(content[:end])


class _SecondGeneration:
    """Class byte 00. Where its files are is not public: they are looked for as PKCS#15 has them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def number(self) -> str:
        return contents.token_info(iso7816.read_file(self._channel, TOKEN_INFO)).serial

    def version(self) -> str:
        return contents.token_info(iso7816.read_file(self._channel, TOKEN_INFO)).label

    def private_keys(self) -> bytes:
        return self._listed(DirectoryKind.PRIVATE_KEYS, PRIVATE_KEYS)

    def certificates(self) -> bytes:
        return self._listed(DirectoryKind.CERTIFICATES, CERTIFICATES)

    def certificate(self, place: contents.ObjectPath) -> bytes:
        return iso7816.read_file(self._channel, place.path, index=place.index, length=place.length, der=True)

    @cached_property
    def _object_files(self) -> dict[DirectoryKind, contents.ObjectPath | bytes]:
        """What EF.ODF lists; nothing where there is none, as on generation 1."""
        try:
            return dict(contents.directory_files(iso7816.read_file(self._channel, ODF)))
        except StatusError:
            return {}

    def _listed(self, kind: DirectoryKind, usual: bytes) -> bytes:
        place = self._object_files.get(kind, contents.ObjectPath(usual))
        return place if isinstance(place, bytes) else iso7816.read_file(self._channel, place.path)


def _text(raw: bytes) -> str:
    """Return a file of ASCII text, padded."""
    return printable(raw.strip(b"\x00\xff ").decode("ascii", "replace"))[:64]
