"""What verifying, encrypting and logging in need of a certificate: its RSA key and what it was issued for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from signing.errors import CertificateMalformedError, CertificateWrongUseError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate, Extensions, ExtensionType

    _E = TypeVar("_E", bound=ExtensionType)

# RFC 5280 sets no bound; a hostile key of a million bits would occupy the processor for minutes.
KEY_BITS: Final = range(1024, 8192 + 1)
LOGIN_KEY_BITS_MIN: Final = 2048


def load(der: bytes) -> Certificate:
    """The certificate in `der`.

    Raises:
        CertificateMalformedError: it is not one DER certificate (RFC 5280 §4.1).
    """
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise CertificateMalformedError from error


# The same card signs time and again, and a certificate never changes.
@lru_cache(maxsize=64)
def public_key(der: bytes) -> RSAPublicKey:
    """The RSA key in a certificate.

    Args:
        der: the certificate.

    Raises:
        CertificateMalformedError: no certificate, no RSA key, or one outside 1024 to 8192 bits.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = load(der).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateMalformedError("the certificate's public key cannot be read") from error
    if not isinstance(key, RSAPublicKey):
        raise CertificateMalformedError("the certificate holds no RSA key")
    if key.key_size not in KEY_BITS:
        raise CertificateMalformedError(f"an RSA key of {key.key_size} bits is not accepted")
    return key


def check_login_use(der: bytes, disallowed_policies: frozenset[str] = frozenset()) -> None:
    """Return if the certificate was issued to log in with.

    Args:
        der: the certificate.
        disallowed_policies: certificate policies (dotted OIDs) that are not taken.

    Raises:
        CertificateWrongUseError: keyUsage lacks digitalSignature, extendedKeyUsage is there without
            clientAuth, it is an authority's own, its key is shorter than 2048 bits, or a policy is
            disallowed.
        CertificateMalformedError: it cannot be read or holds no RSA key.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        extensions = load(der).extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateMalformedError("the certificate's extensions cannot be read") from error
    key_usage = _extension(extensions, x509.KeyUsage)
    if key_usage is None or not key_usage.digital_signature:
        raise CertificateWrongUseError("keyUsage lacks digitalSignature")
    extended = _extension(extensions, x509.ExtendedKeyUsage)
    if extended is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in extended:
        raise CertificateWrongUseError("extendedKeyUsage lacks clientAuth")
    constraints = _extension(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise CertificateWrongUseError("an authority's certificate is not a holder's")
    policies = _extension(extensions, x509.CertificatePolicies) or ()
    if disallowed_policies & {policy.policy_identifier.dotted_string for policy in policies}:
        raise CertificateWrongUseError("the certificate's policy is not taken here")
    if public_key(der).key_size < LOGIN_KEY_BITS_MIN:
        raise CertificateWrongUseError("a key shorter than 2048 bits can be forged")


def _extension(extensions: Extensions, kind: type[_E]) -> _E | None:
    from cryptography.x509 import ExtensionNotFound

    try:
        return extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def is_issued_by(der: bytes, issuer: bytes) -> bool:
    """Whether the issuer's name and key stand on the certificate; nothing of either is trusted for that."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        load(der).verify_directly_issued_by(load(issuer))
    except (CertificateMalformedError, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
