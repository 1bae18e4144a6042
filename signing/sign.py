"""Signatures over a digest by the key of a card, RSA or EC, checked before anybody gets them.

PKCS#1 v1.5 (RFC 8017 §8.2.1), PSS where the certificate's key is for nothing else (§8.1.1), and ECDSA (FIPS
186-5 §6).
"""

from __future__ import annotations

from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.model import Card, KeyUse
from signing.certificate import curve_bits, pss_only, require_pss_hash, signature_key
from signing.errors import HashUnsupportedError, SignatureInvalidError
from signing.hashes import Hash
from signing.verify import verify_digest


def sign_digest(
    card: Card,
    digest: bytes,
    algorithm: Hash,
    use: KeyUse = KeyUse.SIGNATURE,
    *,
    certificate: bytes | None = None,
    allow_sha1: bool = False,
) -> bytes:
    """Return the card's signature over a digest; the PIN must have been verified in this transaction.

    Nothing here can tell what the digest stands for, a login included: the caller must have checked the
    document (`signing.guard`), or that the asking origin is one the administrator lists for raw digests.

    Args:
        card: the card that signs.
        digest: as long as `algorithm` makes them.
        algorithm: the hash the digest was made with.
        use: which of the card's keys.
        certificate: that key's certificate, DER, where the caller has read it already; else it is read.
        allow_sha1: the caller speaks for an old portal that can verify nothing better.

    Returns:
        RSA: big-endian, as long as the modulus. EC: Ecdsa-Sig-Value, DER (RFC 3279 §2.2.3).

    Raises:
        HashUnsupportedError: the digest has another length, or SHA-1 without `allow_sha1`.
        SignatureInvalidError: what the card made does not verify with its own certificate.
        CertificateMalformedError: its key is of another kind.
        hca_card.errors.CardError: the card refused.
        pcsc.errors.PcscError: the link failed.
    """
    if algorithm is Hash.SHA_1 and not allow_sha1:
        raise HashUnsupportedError("SHA-1 is signed for old portals only")
    digest_info = algorithm.digest_info(digest)
    if certificate is None:
        certificate = card.certificate(CERTIFICATE_INDEX[use]).der
    key = signature_key(certificate)
    bits = curve_bits(key)
    # ECDSA takes the leftmost bits, as many as the curve has (FIPS 186-5 §6.4.1); some cards take no more.
    if bits:
        signature = ecdsa_der(card.sign(use, digest[: (bits + 7) // 8]), bits)
    elif pss_only(certificate):
        require_pss_hash(certificate, algorithm.value)
        signature = card.sign_pss(use, digest)
    else:
        signature = card.sign(use, digest_info)
    # A broken or hostile card must fail here, not weeks later at the portal that stored the signature.
    verify_digest(certificate, digest, signature, algorithm)
    return signature


def ecdsa_der(concatenated: bytes, bits: int) -> bytes:
    """Return r ‖ s, as cards (ISO/IEC 7816-8), PKCS#11 and JOSE have it, as Ecdsa-Sig-Value.

    Raises:
        SignatureInvalidError: it is not two numbers of the curve's length.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    length = (bits + 7) // 8
    if len(concatenated) != 2 * length:
        raise SignatureInvalidError
    return encode_dss_signature(
        int.from_bytes(concatenated[:length], "big"), int.from_bytes(concatenated[length:], "big")
    )


def ecdsa_numbers(signature: bytes, bits: int) -> bytes:
    """Return Ecdsa-Sig-Value as r ‖ s, as JOSE has it (RFC 7518 §3.4): the other way round.

    Raises:
        SignatureInvalidError: it is not DER of two numbers that the curve has.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    length = (bits + 7) // 8
    try:
        return b"".join(number.to_bytes(length, "big") for number in decode_dss_signature(signature))
    except (ValueError, OverflowError) as error:
        raise SignatureInvalidError from error
