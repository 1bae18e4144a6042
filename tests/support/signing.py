"""A document signed in one step, as operations sign one in several."""

from __future__ import annotations

from hca_card.model import Card, KeyUse
from signing.guard import check_document
from signing.hashes import Hash
from signing.sign import sign_digest


def sign_document(
    card: Card,
    document: bytes,
    algorithm: Hash,
    use: KeyUse = KeyUse.SIGNATURE,
    *,
    certificate: bytes | None = None,
    allow_sha1: bool = False,
) -> bytes:
    """The card's PKCS#1 v1.5 signature; its PIN must have been verified in this transaction."""
    check_document(document)
    digest = algorithm.digest(document)
    return sign_digest(card, digest, algorithm, use, certificate=certificate, allow_sha1=allow_sha1)
