"""The directory of a simulated card: ISO/IEC 7816-15 (PKCS#15 v1.1) structures over what the card holds.

Numbers of named bits and context tags are those of ISO/IEC 7816-15:2016 §8; EFs are named with full paths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from hca_card.simulator.der import (
    NULL,
    enumerated,
    explicit,
    flags,
    integer,
    octets,
    oid,
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

_DF_PATH: Final = MF_ID.to_bytes(2, "big") + DF_PKCS15.to_bytes(2, "big")
_ANY: Final = "1.2.840.10045.4"
"""ECDSA, whatever the hash: the card is handed a digest."""

_PIN_ID, _PUK_ID = b"\x01", b"\x02"


SIGN_USAGE, VERIFY_USAGE = (2,), (6,)
DECIPHER_USAGE, ENCIPHER_USAGE, DERIVE_USAGE = (1, 5), (0, 4), (8,)


def directory_files(
    label: str,
    serial: str,
    *,
    private_keys: bytes,
    public_keys: bytes,
    certificates: bytes,
    data: bytes,
    references: tuple[int, int] = (PIN_REFERENCE, PUK_REFERENCE),
    algorithms: bytes = b"",
) -> tuple[ElementaryFile, ...]:
    """Return the EFs of the directory, for DF 5015.

    Args:
        label: the card's name, as software shows it.
        serial: the card's number, an even count of digits.
        private_keys: entries made by `private_key`, one after another.
        public_keys: the same by `public_key`.
        certificates: the same by `certificate`, in the order software should meet them.
        data: the same by `data_object`.
        references: of PIN and PUK.
        algorithms: entries made by `algorithm`; a card need not name any.
    """
    tables = {
        _EF_PRKDF: private_keys,
        _EF_PUKDF: public_keys,
        _EF_CDF: certificates,
        _EF_DODF: data,
        _EF_AODF: _passwords(references),
    }
    objects = {0: _EF_PRKDF, 1: _EF_PUKDF, 4: _EF_CDF, 7: _EF_DODF, 8: _EF_AODF}
    odf = b"".join(explicit(kind, path(fid)) for kind, fid in objects.items() if tables[fid])
    return (
        ElementaryFile(_EF_ODF, odf, _SFI_ODF),
        ElementaryFile(_EF_TOKEN_INFO, token_info(label, serial, algorithms), _SFI_TOKEN_INFO),
        *(ElementaryFile(fid, content) for fid, content in tables.items()),
    )


def application_template(aid: bytes, label: str) -> bytes:
    """One application in EF.DIR, rooted in DF 5015 (ISO/IEC 7816-4 §8.2.1.1)."""
    return tlv(0x61, tlv(0x4F, aid), tlv(0x50, label.encode()), tlv(0x51, _DF_PATH))


def token_info(label: str, serial: str, algorithms: bytes = b"") -> bytes:
    """CIAInfo: version 1, serial number as packed digits, manufacturer, label; PIN required (bit 1).

    `algorithms` are entries made by `algorithm`, one after another.
    """
    return sequence(
        integer(0),
        octets(bytes.fromhex(serial)),
        utf8(ORGANISATION),
        tlv(0x80, label.encode()),
        flags(1),
        explicit(2, algorithms) if algorithms else b"",
    )


def algorithm(number: int, mechanism: int, reference: int) -> bytes:
    """Return an AlgorithmInfo that computes signatures (bit 1); `reference` is for MSE."""
    return sequence(integer(number), integer(mechanism), NULL, flags(1), oid(_ANY), integer(reference))


def path(fid: int) -> bytes:
    """Return the full path of an EF in DF 5015."""
    return sequence(octets(_DF_PATH + fid.to_bytes(2, "big")))


def private_key(
    id_: int,
    label: str,
    usage: tuple[int, ...],
    reference: int,
    *,
    bits: int,
    curve: bool = False,
    pin: bytes = octets(_PIN_ID),
    df: bytes = _DF_PATH,
) -> bytes:
    """Return a private key in EF.PrKD.

    Args:
        id_: joins it to its certificate.
        label: what software shows.
        usage: named bits of KeyUsageFlags.
        reference: as MSE SET names it.
        bits: length of the modulus, or of the numbers of the curve.
        curve: an EC key.
        pin: which PIN protects it.
        df: path of the DF that it is in.
    """
    # Private object (0) behind the PIN; sensitive (0), always so (2), never extractable (3), made here (4).
    return _key(curve)(
        sequence(utf8(label), flags(0), pin),
        sequence(octets(bytes((id_,))), flags(*usage), flags(0, 2, 3, 4), integer(reference)),
        explicit(1, sequence(sequence(octets(df)), integer(bits))),
    )


def public_key(
    id_: int, label: str, usage: tuple[int, ...], fid: int, bits: int, *, curve: bool = False
) -> bytes:
    """Return a public key in EF.PuKD, whose RSAPublicKey or ECPoint is in the EF `fid`."""
    return _key(curve)(
        sequence(utf8(label), flags()),
        sequence(octets(bytes((id_,))), flags(*usage), flags(1, 4)),
        explicit(1, sequence(path(fid), integer(bits))),
    )


def certificate(id_: int, label: str, place: bytes, *, authority: bool) -> bytes:
    """Return a certificate in EF.CD; `id_` joins it to its keys."""
    return sequence(
        sequence(utf8(label), flags()),
        sequence(octets(bytes((id_,))), true() if authority else b""),
        explicit(1, sequence(place)),
    )


def data_object(label: str, application: str, fid: int) -> bytes:
    """Return a readable EF in EF.DCOD that is none of PKCS#15's business."""
    return sequence(sequence(utf8(label), flags()), sequence(utf8(application)), explicit(1, path(fid)))


def _key(curve: bool) -> Callable[..., bytes]:
    """Return what a key is written as: RSA as SEQUENCE, the first choice, EC as choice [0] (§8.4.1)."""
    return partial(explicit, 0) if curve else sequence


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
