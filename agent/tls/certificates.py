"""The two certificates of an identity: a CA limited to its scope, and its one leaf."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agent.tls.scope import LOOPBACK, Scope

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = timedelta(days=800)
"""Apple refuses leaves of more than 825 days."""

CLOCK_SKEW = timedelta(hours=1)
"""How far a new certificate reaches back, for a clock that is set right after it was made."""

ORGANIZATION = "HCA Card Agent"


def issue(
    scope: Scope, now: datetime
) -> tuple[x509.Certificate, x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a new CA, its one leaf and the leaf's key; the CA's key is kept nowhere."""
    from cryptography.hazmat.primitives.asymmetric import ec

    not_before = (now - CLOCK_SKEW).replace(microsecond=0)
    # RFC 5280 §4.1.2.5 counts both ends.
    period = (not_before, not_before + LIFETIME - timedelta(seconds=1))
    ca_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = ca(ca_key, period, scope)
    return issuer, _leaf(leaf_key, issuer, ca_key, period, scope), leaf_key


def ca_common_name(serial: int, scope: Scope = LOOPBACK) -> str:
    """Return a name of its own: stores that look an issuer up by name must never find its predecessor."""
    return f"{ORGANIZATION} {scope.host} CA {serial & 0xFFFFFFFF:08X}"


def ca_name(serial: int, scope: Scope = LOOPBACK) -> x509.Name:
    """Return the subject and issuer of the CA with this serial number."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, ca_common_name(serial, scope)),
        ]
    )


def ca(key: ec.EllipticCurvePrivateKey, period: tuple[datetime, datetime], scope: Scope) -> x509.Certificate:
    """Make a CA that can speak for `scope` alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    serial = x509.random_serial_number()
    name = ca_name(serial, scope)
    return (
        _builder(name, name, key, serial, period)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(scope.constraints(), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    period: tuple[datetime, datetime],
    scope: Scope,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, scope.host)])
    names = [x509.DNSName(scope.host), *(x509.IPAddress(address) for address in scope.addresses)]
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(name, issuer.subject, key, x509.random_serial_number(), period)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    period: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    """Return what CA and leaf have in common."""
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(period[0])
        .not_valid_after(period[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
