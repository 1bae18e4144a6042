"""Verifying a signature by a certificate's key: RSA (RFC 8017 §8), ECDSA (FIPS 186-5 §6).

RSA is PKCS#1 v1.5, and PSS where the certificate says that the key is for nothing else.

This says that the key signed the document. Whether the certificate can be trusted is `signing.trust`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from signing.certificate import curve_bits, pss_only, pss_parameters, signature_key
from signing.errors import CertificateMalformedError, SignatureFormatError, SignatureInvalidError
from signing.guard import is_text
from signing.hashes import Hash

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed


def verify(certificate_der: bytes, document: bytes, signature: bytes, algorithm: Hash) -> None:
    """Return if `signature` is the certificate's over `document`.

    Args:
        certificate_der: the signer's certificate.
        document: the bytes that were signed.
        signature: RSA: big-endian, as long as the modulus; EC: Ecdsa-Sig-Value, DER.
        algorithm: the hash that was used; it is never taken from the signature itself.

    Raises:
        SignatureInvalidError: it is not.
        CertificateMalformedError: the certificate cannot be used to tell.
    """
    verify_digest(certificate_der, algorithm.digest(document), signature, algorithm)


def verify_digest(certificate_der: bytes, digest: bytes, signature: bytes, algorithm: Hash) -> None:
    """As `verify`, where only the document's digest is at hand.

    Raises:
        SignatureInvalidError: the signature is not the certificate's over `digest`.
        HashUnsupportedError: `digest` has not the length of `algorithm`.
        CertificateMalformedError: the certificate cannot be used to tell.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    expected = algorithm.digest_info(digest)
    key = signature_key(certificate_der)
    try:
        if not isinstance(key, RSAPublicKey):
            key.verify(signature, digest, _ecdsa(algorithm))
        elif pss_only(certificate_der):
            _verify_pss(key, certificate_der, digest, signature, algorithm)
        # What was signed, whole, is compared as §8.2.2 has it: nothing in it is parsed.
        elif (
            len(signature) != (key.key_size + 7) // 8
            or key.recover_data_from_signature(signature, _padding(), None) != expected
        ):
            raise SignatureInvalidError
    except InvalidSignature:
        raise SignatureInvalidError from None


def check_format(certificate_der: bytes, signature: bytes) -> None:
    """Return if `signature` can be one of the certificate's key, whatever it was made over.

    Raises:
        SignatureFormatError: it has another length, or is a text.
        CertificateMalformedError: the certificate cannot be used to tell.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    key = signature_key(certificate_der)
    bits = curve_bits(key)
    if bits:
        try:
            fits = max(decode_dss_signature(signature)).bit_length() <= bits
        except ValueError:
            fits = False
    else:
        fits = len(signature) == (key.key_size + 7) // 8
    if not fits or is_text(signature):
        raise SignatureFormatError


@cache
def _ecdsa(algorithm: Hash) -> ECDSA:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    return ECDSA(_prehashed(algorithm.asn1_name))


def _verify_pss(
    key: RSAPublicKey, certificate: bytes, digest: bytes, signature: bytes, algorithm: Hash
) -> None:
    """Return if it is one of RSA-PSS; a bare value says nothing of its own parameters, and the key may.

    Where the key says nothing, MGF1 is of the same hash and the salt of any length (RFC 8017 §9.1.2).

    Raises:
        InvalidSignature: it is not.
        SignatureInvalidError: it is, and not as the key's are.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PSS

    bound = pss_parameters(certificate)
    if bound is None:
        key.verify(signature, digest, _pss(algorithm.asn1_name, PSS.AUTO), _prehashed(algorithm.asn1_name))
        return
    if bound.hash != algorithm.asn1_name:
        raise SignatureInvalidError("the certificate's key is for another hash")
    expected = _prehashed(bound.hash)
    key.verify(signature, digest, _pss(bound.mask_hash, PSS.AUTO), expected)
    # What is left is whether the salt is as long as it must be, which nobody tells but by a second look.
    for octets in range(min(bound.salt_min, len(signature))):
        with suppress(InvalidSignature):
            key.verify(signature, digest, _pss(bound.mask_hash, octets), expected)
            raise SignatureInvalidError("its salt is shorter than the certificate's key demands")


@cache
def _prehashed(name: str) -> Prehashed:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    return Prehashed(getattr(hashes, name.upper())())


def _pss(mask_hash: str, salt: Any) -> PSS:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS

    try:
        return PSS(MGF1(getattr(hashes, mask_hash.upper())()), salt)
    except AttributeError:
        raise CertificateMalformedError("the certificate's key is for a hash that is not known") from None


@cache
def _padding() -> PKCS1v15:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    return PKCS1v15()
