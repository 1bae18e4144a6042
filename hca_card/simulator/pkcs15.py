"""The directory of a simulated card: ISO/IEC 7816-15 (PKCS#15 v1.1) structures over what the card holds.

Numbers of named bits and context tags are those of ISO/IEC 7816-15:2016 §8; EFs are named with full paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hca_card.simulator.der import (
    enumerated,
    explicit,
    flags,
    integer,
    octets,
    sequence,
    tlv,
    true,
    utf8,
)
from hca_card.simulator.files import DF_PKCS15, MF_ID, ElementaryFile
from hca_card.simulator.security import PIN_LENGTHS, PIN_REFERENCE, PUK_LENGTHS, PUK_REFERENCE
from hca_card.simulator.templates import ORGANISATION

AID: Final = bytes.fromhex("A000000063504B43532D3135")

EF_DIR, SFI_DIR = 0x2F00, 0x1E
_EF_ODF, _SFI_ODF = 0x5031, 0x11
_EF_TOKEN_INFO, _SFI_TOKEN_INFO = 0x5032, 0x12
_EF_AODF, _EF_PRKDF, _EF_PUKDF, _EF_CDF, _EF_DODF = 0x4401, 0x4402, 0x4403, 0x4404, 0x4405

_PIN_ID, _PUK_ID = b"\x01", b"\x02"


@dataclass(frozen=True, slots=True)
class DirectoryCertificate:
    """A certificate in the directory; `id` joins it to its keys."""

    id: int
    label: str
    fid: int
    authority: bool


@dataclass(frozen=True, slots=True)
class DirectoryKey:
    """A key pair in the directory.

    Attributes:
        id: joins it to its certificate.
        label: what software shows.
        reference: as MSE SET names the private key.
        public_fid: EF with the RSAPublicKey.
        bits: length of the modulus.
        private_usage: named bits of KeyUsageFlags for the private key.
        public_usage: the same for the public key.
    """

    id: int
    label: str
    reference: int
    public_fid: int
    bits: int
    private_usage: tuple[int, ...]
    public_usage: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DirectoryData:
    """A readable EF in the directory that is none of PKCS#15's business."""

    label: str
    application: str
    fid: int


SIGN_USAGE, VERIFY_USAGE = (2,), (6,)
DECIPHER_USAGE, ENCIPHER_USAGE = (1, 5), (0, 4)


def directory_files(
    *,
    label: str,
    serial: str,
    certificates: Sequence[DirectoryCertificate],
    keys: Sequence[DirectoryKey],
    data: Sequence[DirectoryData],
    references: tuple[int, int] = (PIN_REFERENCE, PUK_REFERENCE),
) -> tuple[ElementaryFile, ...]:
    """Return the EFs of the directory, for DF 5015.

    Args:
        label: the card's name, as software shows it.
        serial: the card's number, an even count of digits.
        certificates: in the order software should meet them.
        keys: key pairs.
        data: other readable EFs.
        references: of PIN and PUK.
    """
    tables = {
        _EF_PRKDF: b"".join(map(_private_key, keys)),
        _EF_PUKDF: b"".join(map(_public_key, keys)),
        _EF_CDF: b"".join(map(_certificate, certificates)),
        _EF_DODF: b"".join(map(_data_object, data)),
        _EF_AODF: _passwords(references),
    }
    objects = {0: _EF_PRKDF, 1: _EF_PUKDF, 4: _EF_CDF, 7: _EF_DODF, 8: _EF_AODF}
    odf = b"".join(explicit(kind, _path(fid)) for kind, fid in objects.items() if tables[fid])
    return (
        ElementaryFile(_EF_ODF, odf, _SFI_ODF),
        ElementaryFile(_EF_TOKEN_INFO, token_info(label, serial), _SFI_TOKEN_INFO),
        *(ElementaryFile(fid, content) for fid, content in tables.items()),
    )


def application_template(aid: bytes, label: str) -> bytes:
    """One application in EF.DIR, rooted in DF 5015 (ISO/IEC 7816-4 §8.2.1.1)."""
    path = tlv(0x51, MF_ID.to_bytes(2, "big"), DF_PKCS15.to_bytes(2, "big"))
    return tlv(0x61, tlv(0x4F, aid), tlv(0x50, label.encode()), path)


def token_info(label: str, serial: str) -> bytes:
    """CIAInfo: version 1, serial number as packed digits, manufacturer, label; PIN required (bit 1)."""
    return sequence(
        integer(0),
        octets(bytes.fromhex(serial)),
        utf8(ORGANISATION),
        tlv(0x80, label.encode()),
        flags(1),
    )


def _path(fid: int) -> bytes:
    return sequence(octets(b"".join(part.to_bytes(2, "big") for part in (MF_ID, DF_PKCS15, fid))))


def _private_key(key: DirectoryKey) -> bytes:
    # Private object (0) behind the PIN; sensitive (0), always so (2), never extractable (3), made here (4).
    return sequence(
        sequence(utf8(key.label), flags(0), octets(_PIN_ID)),
        sequence(
            octets(bytes((key.id,))), flags(*key.private_usage), flags(0, 2, 3, 4), integer(key.reference)
        ),
        explicit(1, sequence(sequence(octets(_DF_PATH)), integer(key.bits))),
    )


def _public_key(key: DirectoryKey) -> bytes:
    return sequence(
        sequence(utf8(key.label), flags()),
        sequence(octets(bytes((key.id,))), flags(*key.public_usage), flags(1, 4)),
        explicit(1, sequence(_path(key.public_fid), integer(key.bits))),
    )


def _certificate(certificate: DirectoryCertificate) -> bytes:
    authority = true() if certificate.authority else b""
    return sequence(
        sequence(utf8(certificate.label), flags()),
        sequence(octets(bytes((certificate.id,))), authority),
        explicit(1, sequence(_path(certificate.fid))),
    )


def _data_object(data: DirectoryData) -> bytes:
    return sequence(
        sequence(utf8(data.label), flags()),
        sequence(utf8(data.application)),
        explicit(1, _path(data.fid)),
    )


def _passwords(references: tuple[int, int]) -> bytes:
    """PIN and PUK: case-sensitive (0), initialized (4); the PUK is moreover an unblocking password (6)."""
    pin, puk = references
    return _password(
        "PIN", _PIN_ID, flags(0, 4), PIN_LENGTHS, reference=pin, unblocked_by=_PUK_ID
    ) + _password("PUK", _PUK_ID, flags(0, 4, 6), PUK_LENGTHS, reference=puk)


def _password(
    label: str,
    identifier: bytes,
    pwd_flags: bytes,
    lengths: range,
    *,
    reference: int,
    unblocked_by: bytes = b"",
) -> bytes:
    """Return a password object: ASCII characters (type 1), neither padded nor stored at a fixed length."""
    common = sequence(utf8(label), flags(0), octets(unblocked_by) if unblocked_by else b"")
    attributes = sequence(
        pwd_flags,
        enumerated(1),
        integer(lengths[0]),
        integer(lengths[-1]),
        integer(lengths[-1]),
        tlv(0x80, bytes((reference,))),
    )
    return sequence(common, sequence(octets(identifier)), explicit(1, attributes))


_DF_PATH: Final = MF_ID.to_bytes(2, "big") + DF_PKCS15.to_bytes(2, "big")
