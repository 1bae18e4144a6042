"""RSA encryption to a card's certificate and decryption by the card (RSAES-PKCS1-v1_5, RFC 8017 §7.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hca_card.errors import CardDataError
from hca_card.model import Card, KeyUse
from pcsc.status import StatusError, StatusWord
from signing.certificate import KEY_BITS, public_key
from signing.errors import CipherInvalidError, DataTooLongError

PADDING: Final = 11

# These say that the card was not ready, and nothing about the cipher.
_NOT_THE_CIPHER: Final = frozenset(
    (StatusWord.SECURITY_STATUS, StatusWord.METHOD_BLOCKED, StatusWord.INS_NOT_SUPPORTED)
)


def encrypt(certificate_der: bytes, data: bytes) -> bytes:
    """Encrypt `data` for the holder of the certificate's private key.

    Args:
        certificate_der: the receiver's encryption certificate.
        data: up to the modulus's length less 11 bytes (245 with RSA 2048).

    Returns:
        One block as long as the modulus; another each time.

    Raises:
        DataTooLongError: `data` does not fit one block.
        CertificateMalformedError: no certificate with an RSA key.
    """
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    key = public_key(certificate_der)
    if len(data) > key.key_size // 8 - PADDING:
        raise DataTooLongError(f"{len(data)} bytes, and this key takes {key.key_size // 8 - PADDING}")
    return key.encrypt(data, PKCS1v15())


def decrypt(card: Card, cipher: bytes) -> bytes:
    """Return the plain text of one block; the PIN must have been verified in this transaction.

    Every bad cipher gives the same error: with PKCS#1 v1.5, an answer that tells one fault from another
    lets its asker decrypt anything, question by question (RFC 8017 §7.2.2, Bleichenbacher's attack).

    Args:
        card: a card with an encryption key.
        cipher: as long as the modulus.

    Raises:
        CipherInvalidError: the length, the number, or the padding is wrong, or the key is another.
        hca_card.errors.CardError: the card has no such key, or refused.
        pcsc.errors.PcscError: the link failed.
    """
    if len(cipher) * 8 not in KEY_BITS:
        raise CipherInvalidError
    plain = _asked(lambda: card.decipher(KeyUse.ENCRYPTION, cipher))
    if len(plain) > len(cipher) - PADDING:
        raise CipherInvalidError
    return plain


def agree(card: Card, point: bytes) -> bytes:
    """Return the secret of ECDH with a point; the PIN must have been verified in this transaction.

    Args:
        card: a card with an encryption key on a curve.
        point: on that curve, uncompressed; whoever calls has looked.

    Raises:
        CipherInvalidError: the card makes nothing of it.
        hca_card.errors.CardError: the card has no such key, or refused.
        pcsc.errors.PcscError: the link failed.
    """
    return _asked(lambda: card.agree(KeyUse.ENCRYPTION, point))


def _asked(work: Callable[[], bytes]) -> bytes:
    """Return what a card makes of a cipher; whatever it finds wrong there is one error."""
    try:
        return work()
    except StatusError as error:
        if error.sw in _NOT_THE_CIPHER:
            raise
        raise CipherInvalidError from None
    except CardDataError:
        raise CipherInvalidError from None
