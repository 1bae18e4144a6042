"""Opening CMS EnvelopedData (RFC 5652 §6) with a card: one of its recipients holds the card's certificate.

Every fault of what was encrypted gives the same error as that of a single block does (`signing.cipher`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hca_card.certificate import SUBJECT_KEY_IDENTIFIER, compared_name
from hca_card.model import Card
from signing.certificate import parsed
from signing.cipher import decrypt
from signing.errors import CipherInvalidError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherAlgorithm

_KEY_BYTES: Final = {"tripledes_3key": 24, "aes128_cbc": 16, "aes192_cbc": 24, "aes256_cbc": 32}
_RECIPIENTS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Recipient:
    """For whom the content's key was encrypted (RFC 5652 §6.2.1).

    Attributes:
        issuer: of the recipient's certificate, as names are compared; empty where `key_identifier` names it.
        serial_number: of that certificate.
        key_identifier: subjectKeyIdentifier of that certificate, empty where issuer and number name it.
        encrypted_key: one RSA block.
    """

    issuer: object
    serial_number: int
    key_identifier: bytes
    encrypted_key: bytes

    def holds(self, certificate: bytes) -> bool:
        """Return whether this is the certificate of the recipient."""
        read = parsed(certificate)
        if self.key_identifier:
            # The extension is an OCTET STRING around the identifier (RFC 5280 §4.2.1.2).
            return read.extensions.get(SUBJECT_KEY_IDENTIFIER, b"")[2:] == self.key_identifier
        return (compared_name(read.issuer), read.number) == (self.issuer, self.serial_number)


@dataclass(frozen=True, slots=True)
class Envelope:
    """EnvelopedData taken apart; `open_envelope` decrypts it."""

    recipients: tuple[Recipient, ...]
    algorithm: str
    initial_vector: bytes
    content: bytes


def read_envelope(cms: bytes) -> Envelope:
    """Return the parts of ContentInfo with EnvelopedData, DER or BER as streams are written.

    Raises:
        CipherInvalidError: it is none, its content is not encrypted by 3DES or AES in CBC mode, or nobody is
            named whose key is RSA.
    """
    # tsp adds its names to cms's tables, which are read at the first use and never again.
    from asn1crypto import tsp  # noqa: F401
    from asn1crypto.cms import ContentInfo

    # The indefinite length is allowed here, so that `signing.asn1` cannot look over it before; all that the
    # parser says of any octets is caught instead.
    with suppress(
        ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, OSError, RecursionError
    ):
        message = ContentInfo.load(cms, strict=True)
        if message["content_type"].native == "enveloped_data":
            enveloped = message["content"]
            recipients = [each for each in enveloped["recipient_infos"] if each.name == "ktri"]
            encrypted = enveloped["encrypted_content_info"]
            algorithm = encrypted["content_encryption_algorithm"]
            envelope = Envelope(
                tuple(_recipient(each.chosen) for each in recipients[:_RECIPIENTS_MAX]),
                str(algorithm["algorithm"].native),
                bytes(algorithm["parameters"].native or b""),
                bytes(encrypted["encrypted_content"].native or b""),
            )
            if envelope.recipients and envelope.algorithm in _KEY_BYTES:
                return envelope
    raise CipherInvalidError


def open_envelope(card: Card, envelope: Envelope, certificate: bytes) -> bytes:
    """Return the content; the PIN must have been verified in this transaction.

    Args:
        card: a card with an encryption key.
        envelope: what was encrypted.
        certificate: that key's, DER.

    Raises:
        CipherInvalidError: it was not made for this card, or is damaged.
        hca_card.errors.CardError: the card has no such key, or refused.
        pcsc.errors.PcscError: the link failed.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

    recipient = next((each for each in envelope.recipients if each.holds(certificate)), None)
    if recipient is None:
        raise CipherInvalidError
    key = decrypt(card, recipient.encrypted_key)
    if len(key) != _KEY_BYTES[envelope.algorithm]:
        raise CipherInvalidError
    try:
        cipher = Cipher(_cipher(envelope.algorithm, key), CBC(envelope.initial_vector)).decryptor()
        padded = cipher.update(envelope.content) + cipher.finalize()
        padding = PKCS7(len(envelope.initial_vector) * 8).unpadder()
        return padding.update(padded) + padding.finalize()
    except ValueError:
        raise CipherInvalidError from None


def _recipient(info: Any) -> Recipient:
    encrypted = info["key_encryption_algorithm"]["algorithm"].native
    identifier = info["rid"]
    block = bytes(info["encrypted_key"].native)
    if encrypted not in ("rsaes_pkcs1v15", "rsa"):
        block = b""  # of no length that an RSA key has
    if identifier.name == "subject_key_identifier":
        return Recipient((), 0, bytes(identifier.native), block)
    named = identifier.chosen
    return Recipient(compared_name(named["issuer"].dump()), named["serial_number"].native, b"", block)


def _cipher(algorithm: str, key: bytes) -> CipherAlgorithm:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    return TripleDES(key) if algorithm == "tripledes_3key" else AES(key)
