"""Opening encrypted CMS with a card: one of its recipients holds the card's certificate.

Two kinds: AuthEnvelopedData (RFC 5083) with AES-GCM (RFC 5084), which is what this program makes, where any
change of the content is found; and EnvelopedData (RFC 5652 §6) with CBC, what older programs make, where
none is found for certain: whoever opens one must say so.

Nothing tells whether the card took the encrypted key: with PKCS#1 v1.5 that would let an asker decrypt
anything, question by question. A key that is none is replaced by a random one, and the content then
says that it is damaged, as it does for a changed one (RFC 3218 §2.3.2).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hca_card.certificate import SUBJECT_KEY_IDENTIFIER, compared_name
from hca_card.model import Card
from signing.asn1 import reading
from signing.certificate import parsed
from signing.cipher import decrypt
from signing.cms.agreement import Agreement, agreement_in
from signing.cms.ber import OCTET_STRING, BerReader
from signing.errors import (
    CipherDamagedError,
    CipherFormatError,
    CipherInvalidError,
    CipherNotForCardError,
    CipherUnprotectedError,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherAlgorithm

RECIPIENTS_MAX: Final = 256
DATA: Final = bytes.fromhex("06092a864886f70d010701")
AUTH_ENVELOPED_DATA: Final = bytes.fromhex("060b2a864886f70d0109100117")
"""id-data and id-ct-authEnvelopedData, as OBJECT IDENTIFIER."""
RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")
"""AlgorithmIdentifier of rsaEncryption, PKCS#1 v1.5 (RFC 3370 §4.2.1)."""

_ENVELOPED_DATA: Final = bytes.fromhex("06092a864886f70d010703")
_RSA_WITHOUT_NULL: Final = bytes.fromhex("300b06092a864886f70d010101")
_VERSION_0: Final = b"\x02\x01\x00"
_HEAD_MAX: Final = 1024 * 1024
_SMALL_MAX: Final = 64 * 1024

_AES: Final = rb"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01"
_GCM: Final = re.compile(
    rb"\x30[\x1b\x1e]" + _AES + rb"([\x06\x1a\x2e])\x30[\x0e\x11]\x04\x0c(.{12})(?:\x02\x01([\x0c-\x10]))?",
    re.DOTALL,
)
"""Key size, nonce, octets of the tag: 12 where they are not said (RFC 5084 §3.2)."""
_CBC: Final = re.compile(rb"\x30\x1d" + _AES + rb"([\x02\x16\x2a])\x04\x10(.{16})", re.DOTALL)
_TRIPLE_DES: Final = re.compile(
    rb"\x30\x14\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03(\x07)\x04\x08(.{8})", re.DOTALL
)
_KEY_OCTETS: Final = {0x02: 16, 0x16: 24, 0x2A: 32, 0x06: 16, 0x1A: 24, 0x2E: 32, 0x07: 24}
"""By the last octet of the algorithm's OBJECT IDENTIFIER."""
_TAG_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class Recipient:
    """For whom the content's key was encrypted (RFC 5652 §6.2.1).

    Attributes:
        issuer: the Name in the recipient's certificate, DER; empty where `key_identifier` names it.
        serial_number: of that certificate.
        key_identifier: subjectKeyIdentifier of that certificate, empty where issuer and number name it.
        encrypted_key: one RSA block, or a wrapped key.
        algorithm: what encrypted it, where no card undoes that; else empty.
        agreement: how it was wrapped, where the recipient's key is on a curve.
    """

    issuer: bytes
    serial_number: int
    key_identifier: bytes
    encrypted_key: bytes
    algorithm: str = ""
    agreement: Agreement | None = None

    def holds(self, certificate: bytes, *, exactly: bool) -> bool:
        """Return whether this is the recipient's certificate; its names may be written otherwise.

        Args:
            certificate: DER.
            exactly: not even its names.
        """
        read = parsed(certificate)
        if self.key_identifier:
            # The extension is an OCTET STRING around the identifier (RFC 5280 §4.2.1.2).
            return read.extensions.get(SUBJECT_KEY_IDENTIFIER, b"")[2:] == self.key_identifier
        if read.number != self.serial_number:
            return False
        return read.issuer == self.issuer or (
            not exactly and compared_name(read.issuer) == compared_name(self.issuer)
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """Encrypted CMS as far as its content, which is read once, by `decrypt_content`.

    Attributes:
        authenticated: whether a change of the content is found.
        key_octets: length of the content's key.
        nonce: or the initial vector.
        tag_octets: length of what proves the content; 0 where nothing does.
    """

    recipients: tuple[Recipient, ...]
    authenticated: bool
    key_octets: int
    nonce: bytes
    tag_octets: int
    _reader: BerReader = field(repr=False)
    _ends: tuple[int | None, ...] = field(repr=False)
    _content: tuple[int, int | None] = field(repr=False)

    def recipient(self, certificate: bytes) -> Recipient:
        """Return who of the recipients has this certificate.

        Raises:
            CipherNotForCardError: none has.
            CipherFormatError: the key was encrypted for it as no card decrypts.
        """
        exactly = self.authenticated
        found = next((one for one in self.recipients if one.holds(certificate, exactly=exactly)), None)
        if found is None:
            raise CipherNotForCardError
        if found.algorithm:
            raise CipherFormatError(
                f"the key is encrypted by {found.algorithm}; cards undo PKCS#1 v1.5 and ECDH"
            )
        if found.agreement is not None:
            found.agreement.require_fitting(certificate)
        return found

    def require_protected(self) -> None:
        """Return if a change of the content would be found; raise `CipherUnprotectedError` if not."""
        if not self.authenticated:
            raise CipherUnprotectedError


def read_envelope(stream: BinaryIO) -> Envelope:
    """Return the parts of ContentInfo as far as the content, DER or BER as streams are written.

    Args:
        stream: stays open, and must not be read by others, until the content is decrypted.

    Raises:
        CipherFormatError: it is no encrypted CMS, or is encrypted in a way that no card undoes.
        CipherDamagedError: it is one, and breaks off or is malformed.
    """
    reader = BerReader(stream)
    kind, outer = _kind(reader)
    ends = [outer, reader.enter(0xA0), reader.enter(0x30)]
    version = reader.value(_SMALL_MAX)
    authenticated = kind == AUTH_ENVELOPED_DATA
    if authenticated and version != _VERSION_0:
        raise CipherDamagedError
    infos = reader.value(_HEAD_MAX)
    if infos[0] == 0xA0:  # originatorInfo, which helps senders' keys that cards do not have
        infos = reader.value(_HEAD_MAX)
    recipients = _recipients(infos, authenticated)
    ends.append(reader.enter(0x30))
    content_type = reader.value(_SMALL_MAX)
    if authenticated and content_type != DATA:
        raise CipherFormatError("what is encrypted is no plain data")
    key_octets, nonce, tag_octets = _algorithm(reader.value(_SMALL_MAX), authenticated)
    content = reader.header()
    if content[0] not in (0x80, 0xA0):
        raise CipherDamagedError
    return Envelope(recipients, authenticated, key_octets, nonce, tag_octets, reader, tuple(ends), content)


def content_key(card: Card, envelope: Envelope, certificate: bytes) -> bytes:
    """Return the content's key, or a random one; the PIN must have been verified in this transaction.

    Args:
        card: a card with an encryption key.
        envelope: what was encrypted.
        certificate: that key's, DER.

    Raises:
        CipherNotForCardError, CipherFormatError: it was not made for this card.
        hca_card.errors.CardError: the card has no such key, or refused.
        pcsc.errors.PcscError: the link failed.
    """
    recipient = envelope.recipient(certificate)
    other = secrets.token_bytes(envelope.key_octets)
    try:
        if recipient.agreement is None:
            key = decrypt(card, recipient.encrypted_key)
        else:
            key = recipient.agreement.unwrapped(card, certificate, recipient.encrypted_key)
    except CipherInvalidError:
        return other
    return key if len(key) == envelope.key_octets else other


def decrypt_content(envelope: Envelope, key: bytes, target: BinaryIO) -> None:
    """Write the content to `target`, in bounded memory; it counts for nothing before this returns.

    Raises:
        CipherDamagedError: the key is another, or anything was changed or left out. What stands in `target`
            by then must not be used.
        OSError: `target` cannot be written.
    """
    from cryptography.exceptions import InvalidTag

    try:
        (_write_gcm if envelope.authenticated else _write_cbc)(envelope, key, target)
    except (InvalidTag, ValueError):
        raise CipherDamagedError from None


def _write_gcm(envelope: Envelope, key: bytes, target: BinaryIO) -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    mode = GCM(envelope.nonce, min_tag_length=_TAG_OCTETS)
    cipher, reader = Cipher(AES(key), mode).decryptor(), envelope._reader
    for piece in _content(envelope):
        target.write(cipher.update(piece))
    if reader.next_tag() == 0xA1:
        raise CipherFormatError("attributes stand beside the content")
    tag, length = reader.header()
    if (tag, length) != (OCTET_STRING, envelope.tag_octets):
        raise CipherDamagedError
    target.write(cipher.finalize_with_tag(b"".join(reader.octet_string(tag, length))))
    _require_end(envelope, attributes=0xA2)


def _write_cbc(envelope: Envelope, key: bytes, target: BinaryIO) -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

    cipher = Cipher(_algorithm_of(envelope, key), CBC(envelope.nonce)).decryptor()
    padding = PKCS7(len(envelope.nonce) * 8).unpadder()
    for piece in _content(envelope):
        target.write(padding.update(cipher.update(piece)))
    target.write(padding.update(cipher.finalize()) + padding.finalize())
    _require_end(envelope, attributes=0xA1)


def _algorithm_of(envelope: Envelope, key: bytes) -> CipherAlgorithm:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    return TripleDES(key) if len(envelope.nonce) * 8 == TripleDES.block_size else AES(key)


def _content(envelope: Envelope) -> Iterator[bytes]:
    yield from envelope._reader.octet_string(*envelope._content)
    envelope._reader.leave(envelope._ends[-1])


def _require_end(envelope: Envelope, attributes: int) -> None:
    """Go to the end, over attributes that are not protected and say nothing."""
    reader, (*outside, inside, _) = envelope._reader, envelope._ends
    if not reader.ends(inside) and reader.next_tag() == attributes:
        reader.value(_SMALL_MAX)
    for end in (inside, *reversed(outside)):
        reader.leave(end)
    reader.require_end()


def _kind(reader: BerReader) -> tuple[bytes, int | None]:
    """Return the content's type and where ContentInfo ends."""
    with suppress(CipherDamagedError):
        outer = reader.enter(0x30)
        kind = reader.value(_SMALL_MAX)
        if kind in (AUTH_ENVELOPED_DATA, _ENVELOPED_DATA):
            return kind, outer
    raise CipherFormatError("it is no encrypted CMS")


def _recipients(der: bytes, authenticated: bool) -> tuple[Recipient, ...]:
    # tsp adds its names to cms's tables, which are read at the first use and never again.
    from asn1crypto import tsp  # noqa: F401
    from asn1crypto.cms import RecipientInfos

    with reading(CipherDamagedError):
        infos = RecipientInfos.load(der, strict=True)
        found: list[Recipient] = []
        for each in [each for each in infos if each.name in ("ktri", "kari")][:RECIPIENTS_MAX]:
            if each.name == "ktri":
                found.append(_recipient(each.chosen, authenticated))
            else:
                found += _agreeing(each.chosen, authenticated)
        if len(infos) and not found:
            raise CipherFormatError("nobody is named whose key a card has")
        return tuple(found[:RECIPIENTS_MAX])


def _recipient(info: Any, authenticated: bool) -> Recipient:
    identifier, encrypted = info["rid"], info["key_encryption_algorithm"]
    named = identifier.name == "issuer_and_serial_number"
    if authenticated and info["version"].contents != (b"\x00" if named else b"\x02"):
        raise CipherDamagedError
    algorithm = "" if encrypted.dump() in (RSA, _RSA_WITHOUT_NULL) else str(encrypted["algorithm"].native)
    if algorithm == "rsaes_pkcs1v15":
        raise CipherDamagedError  # with parameters that it does not have
    block = bytes(info["encrypted_key"].native)
    if not named:
        return Recipient(b"", 0, bytes(identifier.native), block, algorithm)
    issuer, number = identifier.chosen["issuer"], identifier.chosen["serial_number"]
    return Recipient(issuer.dump(), number.native, b"", block, algorithm)


def _agreeing(info: Any, authenticated: bool) -> Iterator[Recipient]:
    """Yield the recipients of one KeyAgreeRecipientInfo (RFC 5652 §6.2.2)."""
    if authenticated and info["version"].contents != b"\x03":
        raise CipherDamagedError
    agreed = agreement_in(info)
    algorithm, agreement = (agreed, None) if isinstance(agreed, str) else ("", agreed)
    for each in info["recipient_encrypted_keys"]:
        wrapped, identifier = bytes(each["encrypted_key"].native), each["rid"].chosen
        if each["rid"].name == "r_key_id":
            key_identifier = bytes(identifier["subject_key_identifier"].native)
            yield Recipient(b"", 0, key_identifier, wrapped, algorithm, agreement)
            continue
        issuer, number = identifier["issuer"].dump(), identifier["serial_number"].native
        yield Recipient(issuer, number, b"", wrapped, algorithm, agreement)


def _algorithm(der: bytes, authenticated: bool) -> tuple[int, bytes, int]:
    """Return how long the key is, the nonce, and how long the tag is."""
    if authenticated:
        match = _GCM.fullmatch(der)
        if match is not None:
            return _KEY_OCTETS[match[1][0]], match[2], match[3][0] if match[3] else _TAG_OCTETS
    else:
        match = _CBC.fullmatch(der) or _TRIPLE_DES.fullmatch(der)
        if match is not None:
            return _KEY_OCTETS[match[1][0]], match[2], 0
    raise CipherFormatError("its content is encrypted by another algorithm than AES")
