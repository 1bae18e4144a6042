"""What verifying, encrypting and logging in need of a certificate: its key and what it was issued for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hca_card.certificate import ParsedCertificate, parse, signature_algorithm
from hca_card.errors import CardDataError
from signing.errors import (
    CertificateMalformedError,
    CertificateWrongUseError,
    HashUnsupportedError,
    KeyUnsupportedError,
    SignatureInvalidError,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    SignatureKey = RSAPublicKey | EllipticCurvePublicKey

# RFC 5280 sets no bound; a hostile key of a million bits would occupy the processor for minutes.
KEY_BITS: Final = range(1024, 8192 + 1)
LOGIN_KEY_BITS_MIN: Final = 2048
CURVES: Final = frozenset(("secp256r1", "secp384r1", "secp521r1"))
"""P-256, P-384 and P-521 (FIPS 186-5)."""

_CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"


def parsed(der: bytes) -> ParsedCertificate:
    """Return the parts of the certificate, whatever its names hold.

    Raises:
        CertificateMalformedError: it is not one certificate (RFC 5280 §4.1).
    """
    try:
        return parse(der)
    except CardDataError as error:
        raise CertificateMalformedError(str(error)) from error


# The same card signs time and again, and a certificate never changes.
@lru_cache(maxsize=64)
def public_key(der: bytes) -> RSAPublicKey:
    """Return the RSA key in a certificate, for PKCS#1 v1.5.

    Raises:
        CertificateMalformedError: no certificate, or an RSA key outside 1024 to 8192 bits.
        KeyUnsupportedError: another kind of key, or one for RSA-PSS alone.
    """
    if pss_only(der):
        raise KeyUnsupportedError("the certificate's key is for signatures of RSA-PSS alone")
    return _rsa_key(der)


@lru_cache(maxsize=64)
def signature_key(der: bytes) -> SignatureKey:
    """Return the key in a certificate with which documents can be signed, RSA or EC.

    Raises:
        CertificateMalformedError: no certificate, or an RSA key outside 1024 to 8192 bits.
        KeyUnsupportedError: another kind of key, or a curve other than P-256, P-384 and P-521.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    key = any_public_key(der)
    if not isinstance(key, EllipticCurvePublicKey):
        return _rsa_key(der)
    if key.curve.name not in CURVES:
        raise KeyUnsupportedError(f"keys of the curve {key.curve.name} are not accepted")
    return key


@lru_cache(maxsize=64)
def pss_only(der: bytes) -> bool:
    """Return whether a certificate's RSA key may make signatures of RSA-PSS alone (RFC 4055 §1.2).

    Raises:
        CertificateMalformedError: no certificate.
    """
    from asn1crypto.keys import PublicKeyInfo

    try:
        return bool(PublicKeyInfo.load(parsed(der).public_key).algorithm == "rsassa_pss")
    except (ValueError, KeyError, TypeError):
        return False


def require_pss_hash(der: bytes, name: str) -> None:
    """Refuse a hash that a key for RSA-PSS is not for: its parameters may name the only one (RFC 4055 §3.1).

    Args:
        der: the certificate.
        name: of the hash, as `SHA-256`.

    Raises:
        HashUnsupportedError: another one is named.
    """
    from asn1crypto.keys import PublicKeyInfo

    parameters = PublicKeyInfo.load(parsed(der).public_key)["algorithm"]["parameters"].native
    if parameters and parameters["hash_algorithm"]["algorithm"] != name.replace("-", "").lower():
        raise HashUnsupportedError(f"the certificate's key does not sign with {name}")


def _rsa_key(der: bytes) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = any_public_key(der)
    if not isinstance(key, RSAPublicKey):
        raise KeyUnsupportedError("the certificate holds no RSA key")
    if key.key_size not in KEY_BITS:
        raise CertificateMalformedError(f"an RSA key of {key.key_size} bits is not accepted")
    return key


def curve_bits(key: SignatureKey) -> int:
    """Return the length of an EC key's numbers; 0 for RSA."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    return key.curve.key_size if isinstance(key, EllipticCurvePublicKey) else 0


def is_self_issued(der: bytes) -> bool:
    """Return whether a certificate names itself as its issuer. Raise `CertificateMalformedError`."""
    certificate = parsed(der)
    return certificate.issuer == certificate.subject


def issuers_among(der: bytes, candidates: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the issuers of a certificate that are among `candidates`, nearest first; none is trusted."""
    left, path, current = list(dict.fromkeys(candidates)), [], der
    while (issuer := next((each for each in left if is_issued_by(current, each)), None)) is not None:
        left.remove(issuer)
        if issuer != der:
            path.append(issuer)
        current = issuer
    return tuple(path)


def check_login_use(der: bytes, disallowed_policies: frozenset[str] = frozenset()) -> None:
    """Return if the certificate was issued to log in with.

    Args:
        der: the certificate.
        disallowed_policies: certificate policies (dotted OIDs) that are not taken.

    Raises:
        CertificateWrongUseError: keyUsage lacks digitalSignature, extendedKeyUsage is there without
            clientAuth, it is an authority's own, its RSA key is shorter than 2048 bits, or a policy is
            disallowed.
        CertificateMalformedError: it cannot be read or holds neither an RSA nor an EC key.
    """
    certificate = parsed(der)
    if certificate.repeated:
        raise CertificateMalformedError("an extension is there twice")
    try:
        extended, policies = certificate.extended_key_usage, certificate.policies
        authority = certificate.may_issue
    except CardDataError as error:
        raise CertificateMalformedError("the certificate's extensions cannot be read") from error
    if "digital_signature" not in (certificate.key_usage or ()):
        raise CertificateWrongUseError("keyUsage lacks digitalSignature")
    if extended is not None and _CLIENT_AUTH not in extended:
        raise CertificateWrongUseError("extendedKeyUsage lacks clientAuth")
    if authority:
        raise CertificateWrongUseError("an authority's certificate is not a holder's")
    if disallowed_policies.intersection(policies):
        raise CertificateWrongUseError("the certificate's policy is not taken here")
    key = signature_key(der)
    if not curve_bits(key) and key.key_size < LOGIN_KEY_BITS_MIN:
        raise CertificateWrongUseError("a key shorter than 2048 bits can be forged")


def check_signed_by(der: bytes, authority: bytes) -> None:
    """Return if the authority's key made the signature on the certificate; names are not compared.

    Raises:
        SignatureInvalidError: it did not.
        HashUnsupportedError: by an algorithm other than RSA (PKCS#1 v1.5, PSS) and ECDSA with SHA-1 or SHA-2.
        CertificateMalformedError: one of them cannot be read.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    certificate, key = parsed(der), any_public_key(authority)
    try:
        kind, name = signature_algorithm(certificate)
    except (KeyError, ValueError) as error:
        raise HashUnsupportedError("the certificate is signed in another way") from error
    algorithm: hashes.HashAlgorithm = getattr(hashes, name.replace("-", ""))()
    try:
        if kind == "rsassa_pkcs1v15" and isinstance(key, RSAPublicKey):
            key.verify(certificate.signature, certificate.signed_part, PKCS1v15(), algorithm)
        elif kind == "rsassa_pss" and isinstance(key, RSAPublicKey):
            padding = PSS(MGF1(algorithm), PSS.AUTO)
            key.verify(certificate.signature, certificate.signed_part, padding, algorithm)
        elif kind == "ecdsa" and isinstance(key, EllipticCurvePublicKey):
            key.verify(certificate.signature, certificate.signed_part, ECDSA(algorithm))
        else:
            raise HashUnsupportedError("the certificate is signed in another way")
    except InvalidSignature:
        raise SignatureInvalidError("the certificate is not signed with that key") from None


def is_issued_by(der: bytes, issuer: bytes) -> bool:
    """Return whether the issuer's name and key stand on the certificate; nothing of either is trusted."""
    try:
        check_signed_by(der, issuer)
        return parsed(der).issuer == parsed(issuer).subject
    except (CertificateMalformedError, SignatureInvalidError, HashUnsupportedError):
        return False


def any_public_key(der: bytes) -> PublicKeyTypes:
    """Return the key in a certificate, of whatever kind and length.

    Raises:
        CertificateMalformedError: it cannot be read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(parsed(der).public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateMalformedError("the certificate's public key cannot be read") from error
