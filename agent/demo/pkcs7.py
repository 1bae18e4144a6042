"""Judging a PKCS#7 signature as a portal's server does: by SHA-256, signed attributes and the nonce.

Whether the certificate can be trusted is the caller's to ask.
"""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 16 * 1024


def verified_signer(cms: bytes, document: bytes, nonce: bytes = b"") -> bytes:
    """Return the signer's certificate, DER, if it signed `document` with SHA-256 and signed attributes.

    Args:
        cms: ContentInfo with SignedData, DER; the document may be inside or left out.
        document: what should have been signed.
        nonce: what the signed attribute randomNonce must hold; empty where none was asked for.

    Raises:
        SignatureInvalidError: it did not.
        CertificateMalformedError: its certificate cannot be used to tell.
    """
    from asn1crypto.core import OctetString

    from signing.cms.build import RANDOM_NONCE
    from signing.cms.verify import verify_cms
    from signing.errors import HashUnsupportedError, SignatureFormatError, SignatureInvalidError
    from signing.hashes import Hash

    if len(cms) > MOST_BYTES:
        raise SignatureInvalidError("no log-in is that long")
    try:
        signature = verify_cms(cms, document)
    except (SignatureFormatError, HashUnsupportedError) as error:
        raise SignatureInvalidError(str(error)) from error
    if signature.hash is not Hash.SHA_256 or not signature.attributes:
        raise SignatureInvalidError("it is without signed attributes, or not with SHA-256")
    if nonce and signature.attributes.get(RANDOM_NONCE) != OctetString(nonce).dump():
        raise SignatureInvalidError("another nonce was signed, or none")
    return signature.certificate
