"""Encrypting to certificates: AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084), as a stream.

The content's key is encrypted for each recipient by PKCS#1 v1.5, the one padding that cards undo. GCM and not
CBC, because a change of the content must be found: `openssl cms -decrypt` reads it since 3.0.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import BinaryIO, Final

from hca_card.errors import CardDataError
from hca_card.tlv import Tlv
from signing.certificate import LOGIN_KEY_BITS_MIN, parsed, public_key
from signing.cms.ber import OCTET_STRING, PIECE
from signing.cms.envelope import AUTH_ENVELOPED_DATA, DATA, RECIPIENTS_MAX, RSA
from signing.errors import (
    CertificateMalformedError,
    CertificateWrongUseError,
    DocumentChangedError,
    DocumentUnusableError,
)
from signing.trust import check_period

CONTENT_MAX: Final = 2**36 - 32
"""Octets that GCM encrypts under one nonce (NIST SP 800-38D §5.2.1.1)."""

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_EXPLICIT_0: Final = 0xA0
_IMPLICIT_0: Final = 0x80
_VERSION: Final = b"\x02\x01\x00"
_KEY_OCTETS: Final = 32
_NONCE_OCTETS: Final = 12
_TAG_OCTETS: Final = 16
_GCM: Final = bytes.fromhex("060960864801650304012e")


def check_recipient(certificate: bytes, at: datetime) -> None:
    """Return if data may be encrypted to a certificate, whoever issued it and whether or not it is revoked.

    Args:
        certificate: DER.
        at: the moment that counts, aware.

    Raises:
        CertificateWrongUseError: it is an authority's, its keyUsage lacks keyEncipherment, or its key is
            shorter than 2048 bits.
        CertificateExpiredError, CertificateNotYetValidError: it is out of time. The holder may have another
            key by now, so that there is no way around this.
        CertificateMalformedError: it cannot be read or holds no RSA key.
    """
    read = parsed(certificate)
    try:
        usage, authority = read.key_usage, read.may_issue
    except CardDataError as error:
        raise CertificateMalformedError("the certificate's extensions cannot be read") from error
    if read.repeated:
        raise CertificateMalformedError("an extension is there twice")
    if authority:
        raise CertificateWrongUseError("an authority's certificate is not a holder's")
    if usage is not None and "key_encipherment" not in usage:
        raise CertificateWrongUseError("keyUsage lacks keyEncipherment")
    if public_key(certificate).key_size < LOGIN_KEY_BITS_MIN:
        raise CertificateWrongUseError("a key shorter than 2048 bits can be broken")
    check_period(certificate, at)


def envelope_of(content: bytes, certificates: Sequence[bytes]) -> bytes:
    """Return content encrypted to the holders of certificates, checked now; raise as the functions around."""
    for certificate in certificates:
        check_recipient(certificate, datetime.now(UTC))
    target = io.BytesIO()
    write_envelope(io.BytesIO(content), len(content), certificates, target)
    return target.getvalue()


def write_envelope(source: BinaryIO, size: int, certificates: Sequence[bytes], target: BinaryIO) -> None:
    """Encrypt `source` to the holders of the certificates; DER, in bounded memory.

    Args:
        source: read to its end.
        size: how many octets that is.
        certificates: of the recipients, DER, checked by `check_recipient`; each counts once.
        target: where it goes; nothing of it counts before this returns.

    Raises:
        DocumentChangedError: `source` is longer or shorter than `size`.
        DocumentUnusableError: it is longer than one key may encrypt.
        CertificateMalformedError: a certificate holds no RSA key.
        ValueError: there is no certificate, or there are more than are read.
        OSError: one of the files fails.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    recipients = dict.fromkeys(certificates)
    if not 0 < len(recipients) <= RECIPIENTS_MAX:
        raise ValueError(f"1 to {RECIPIENTS_MAX} recipients")
    if size > CONTENT_MAX:
        raise DocumentUnusableError(f"more than {CONTENT_MAX} bytes cannot be encrypted")
    key, nonce = secrets.token_bytes(_KEY_OCTETS), secrets.token_bytes(_NONCE_OCTETS)
    cipher = Cipher(AES(key), GCM(nonce)).encryptor()
    target.write(_head([_recipient(each, key) for each in recipients], nonce, size))
    left = size
    while left and (piece := source.read(min(left, PIECE))):
        left -= len(piece)
        target.write(cipher.update(piece))
    if left or source.read(1):
        raise DocumentChangedError
    target.write(cipher.finalize())
    target.write(Tlv(OCTET_STRING, cipher.tag).encode())


def _head(recipients: Sequence[bytes], nonce: bytes, size: int) -> bytes:
    """Return all that stands before the content (RFC 5083 §2.1); what comes after it is the tag alone."""
    parameters = Tlv(OCTET_STRING, nonce).encode() + bytes((0x02, 0x01, _TAG_OCTETS))
    algorithm = Tlv(_SEQUENCE, _GCM + Tlv(_SEQUENCE, parameters).encode()).encode()
    head = _around(_SEQUENCE, DATA + algorithm + _header(_IMPLICIT_0, size), size)
    # SET OF is in the order of its encodings (X.690 §11.6).
    infos = Tlv(_SET, b"".join(sorted(recipients))).encode()
    rest = size + 2 + _TAG_OCTETS
    head = _around(_EXPLICIT_0, _around(_SEQUENCE, _VERSION + infos + head, rest), rest)
    return _around(_SEQUENCE, AUTH_ENVELOPED_DATA + head, rest)


def _recipient(certificate: bytes, key: bytes) -> bytes:
    """Return KeyTransRecipientInfo (RFC 5652 §6.2.1)."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    read = parsed(certificate)
    named = Tlv(_SEQUENCE, read.issuer + Tlv(0x02, read.serial_number).encode()).encode()
    block = public_key(certificate).encrypt(key, PKCS1v15())
    return Tlv(_SEQUENCE, _VERSION + named + RSA + Tlv(OCTET_STRING, block).encode()).encode()


def _around(tag: int, inside: bytes, rest: int) -> bytes:
    """Return a value's header and the beginning of its contents, of which `rest` octets follow."""
    return _header(tag, len(inside) + rest) + inside


def _header(tag: int, size: int) -> bytes:
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length
