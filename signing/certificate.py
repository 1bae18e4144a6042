"""What verifying, encrypting and logging in need of a certificate: its key and what it was issued for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from hca_card.certificate import ParsedCertificate, parse, signature_algorithm
from hca_card.errors import CardDataError
from signing.asn1 import reading
from signing.errors import (
    CertificateMalformedError,
    CertificateUntrustedError,
    CertificateWrongUseError,
    HashUnsupportedError,
    KeyUnsupportedError,
    SignatureInvalidError,
)
from signing.hashes import Hash

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    SignatureKey = RSAPublicKey | EllipticCurvePublicKey

# RFC 5280 sets no bound; a hostile key of a million bits would occupy the processor for minutes.
KEY_BITS: Final = range(1024, 8192 + 1)
LOGIN_KEY_BITS_MIN: Final = 2048
EC_BITS_MIN: Final = 224
"""Shorter ones can be solved by those who pay for it (NIST SP 800-131A)."""
CURVES: Final = frozenset(("secp256r1", "secp384r1", "secp521r1"))
"""P-256, P-384 and P-521 (FIPS 186-5)."""

_ROCA_PRIMES: Final = tuple(each for each in range(3, 168) if all(each % other for other in range(2, each)))

_NAME_CONSTRAINTS: Final = "2.5.29.30"
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


def check_form(der: bytes) -> None:
    """Return if a certificate says nothing that one reader takes for one thing and the next for another.

    Raises:
        CertificateMalformedError: an extension or a policy is there twice (RFC 5280 §4.2, §4.2.1.4), there
            are extensions in one of an older version (§4.1.2.9), names are constrained by one that issues
            nothing (§4.2.1.10), or it names two methods for its signature (§4.1.1.2); or it cannot be read.
    """
    certificate = parsed(der)
    with reading(CertificateMalformedError):
        if certificate.repeated:
            raise CertificateMalformedError("an extension is there twice")
        if certificate.extensions and certificate.version < 3:
            raise CertificateMalformedError("certificates of its version have no extensions")
        if len(set(certificate.policies)) < len(certificate.policies):
            raise CertificateMalformedError("a policy is there twice")
        if _NAME_CONSTRAINTS in certificate.extensions and not certificate.may_issue:
            raise CertificateMalformedError("it constrains names and issues none")
        if certificate.algorithm != certificate.signed_with:
            raise CertificateMalformedError("it is signed by another method than it says")


def check_authority_key(der: bytes) -> None:
    """Return if nobody can make an authority's key out of its certificate.

    Raises:
        CertificateUntrustedError: its curve is shorter than 224 bits, or its RSA key can be computed.
        CertificateMalformedError: the key cannot be read.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    key = any_public_key(der)
    short = isinstance(key, EllipticCurvePublicKey) and key.key_size < EC_BITS_MIN
    if short or can_be_computed(key):
        raise CertificateUntrustedError("an authority's key can be made by others")


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


@dataclass(frozen=True, slots=True)
class PssParameters:
    """What a key for RSA-PSS says its signatures are made with (RFC 4055 §3.1).

    Attributes:
        hash: of the document, in asn1crypto's names, as the next one.
        mask_hash: of MGF1.
        salt_min: the fewest octets of salt (§3.3).
    """

    hash: str
    mask_hash: str
    salt_min: int


def pss_parameters(der: bytes) -> PssParameters | None:
    """Return what the key of a certificate for RSA-PSS alone is bound to; None where it is free.

    Raises:
        CertificateMalformedError: its parameters cannot be read.
    """
    from asn1crypto.keys import PublicKeyInfo

    if not pss_only(der):
        return None
    with reading(CertificateMalformedError):
        found = PublicKeyInfo.load(parsed(der).public_key)["algorithm"]["parameters"].native
        if not found:
            return None
        mask = found["mask_gen_algorithm"]
        if mask["algorithm"] != "mgf1" or found["trailer_field"] != "trailer_field_bc":
            raise CertificateMalformedError("the key is for an RSA-PSS that nobody defined")
        return PssParameters(
            found["hash_algorithm"]["algorithm"], mask["parameters"]["algorithm"], found["salt_length"]
        )


def require_pss_hash(der: bytes, name: str) -> None:
    """Refuse a hash that a key for RSA-PSS is not for: its parameters may name the only one (RFC 4055 §3.1).

    Args:
        der: the certificate.
        name: of the hash, as `SHA-256`.

    Raises:
        HashUnsupportedError: another one is named.
        CertificateMalformedError: its parameters cannot be read.
    """
    bound = pss_parameters(der)
    if bound is not None and bound.hash != name.replace("-", "").lower():
        raise HashUnsupportedError(f"the certificate's key does not sign with {name}")


def pss_allows(der: bytes, algorithm: Hash) -> bool:
    """Return whether a key may sign with RSA-PSS as XML and JOSE have it: one hash, and a salt as long.

    Raises:
        CertificateMalformedError: its parameters cannot be read.
    """
    bound = pss_parameters(der)
    name, octets = algorithm.asn1_name, algorithm.length
    return bound is None or ((bound.hash, bound.mask_hash) == (name, name) and bound.salt_min <= octets)


def _rsa_key(der: bytes) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = any_public_key(der)
    if not isinstance(key, RSAPublicKey):
        raise KeyUnsupportedError("the certificate holds no RSA key")
    if key.key_size not in KEY_BITS:
        raise CertificateMalformedError(f"an RSA key of {key.key_size} bits is not accepted")
    return key


def can_be_computed(key: PublicKeyTypes) -> bool:
    """Return whether a key is of those that one maker's chips made for years, and whose primes others find.

    Their moduli are powers of 65537 modulo every small prime (Nemec and others, The Return of Coppersmith's
    Attack, 2017, §4.2; CVE-2017-15361), which of other keys is one in two hundred million.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if not isinstance(key, RSAPublicKey):
        return False
    modulus = key.public_numbers().n
    return all(modulus % prime in powers for prime, powers in _roca_powers())


@cache
def _roca_powers() -> tuple[tuple[int, frozenset[int]], ...]:
    return tuple(
        (prime, frozenset(pow(65537, exponent, prime) for exponent in range(prime))) for prime in _ROCA_PRIMES
    )


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
            clientAuth, it is an authority's own, its RSA key is shorter than 2048 bits or can be computed, or
            a policy is disallowed.
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
    if can_be_computed(key):
        raise CertificateWrongUseError("a key of that make can be computed by others (CVE-2017-15361)")


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
