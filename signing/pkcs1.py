"""PKCS#1 v1.5 signatures (RFC 8017 §8.2.1) made by a card, and checked before anybody gets them."""

from __future__ import annotations

from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.model import Card, KeyUse
from signing.errors import HashUnsupportedError
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
        The signature, big-endian, as long as the modulus.

    Raises:
        HashUnsupportedError: the digest has another length, or SHA-1 without `allow_sha1`.
        SignatureInvalidError: what the card made does not verify with its own certificate.
        hca_card.errors.CardError: the card refused.
        pcsc.errors.PcscError: the link failed.
    """
    if algorithm is Hash.SHA_1 and not allow_sha1:
        raise HashUnsupportedError("SHA-1 is signed for old portals only")
    digest_info = algorithm.digest_info(digest)
    if certificate is None:
        certificate = card.certificate(CERTIFICATE_INDEX[use]).der
    signature = card.sign(use, digest_info)
    # A broken or hostile card must fail here, not weeks later at the portal that stored the signature.
    verify_digest(certificate, digest, signature, algorithm)
    return signature
