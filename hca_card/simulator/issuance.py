"""From a template to a certificate or a revocation list: the part of the CA that needs `cryptography`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from hca_card.simulator.der import NULL, oid, sequence, tlv
from hca_card.simulator.ec import CURVES
from hca_card.simulator.rsa import RsaKey
from hca_card.simulator.templates import POLICY_ASSURANCE_3, Template, Use

CertifiedKey = RSAPrivateKey | ec.EllipticCurvePrivateKey

_NAMES = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
_KEY_USAGES = {
    Use.AUTHORITY: {"key_cert_sign", "crl_sign"},
    Use.SIGNATURE: {"digital_signature"},
    Use.ENCRYPTION: {"key_encipherment", "data_encipherment"},
}
_ALL_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_SHA1_WITH_RSA = sequence(oid("1.2.840.113549.1.1.5"), NULL)
_SHA256_WITH_RSA = sequence(oid("1.2.840.113549.1.1.11"), NULL)
_RSA_KEY = sequence(oid("1.2.840.113549.1.1.1"), NULL)
_PSS_KEY = sequence(oid("1.2.840.113549.1.1.10"))
_SHA256_DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420")  # RFC 8017 §9.2, note 1
_SHA1_DIGEST_INFO = bytes.fromhex("3021300906052B0E03021A05000414")  # RFC 8017 §9.2, note 1
_SUBJECT_DIRECTORY_ATTRIBUTES = x509.ObjectIdentifier("2.5.29.9")


def generate(bits: int) -> CertifiedKey:
    """Return a new key: on the curve of that length, else RSA."""
    if bits in CURVES:
        return ec.generate_private_key(getattr(ec, CURVES[bits])())
    return generate_private_key(65537, bits)


def pkcs8(key: CertifiedKey) -> bytes:
    """Return the key as DER, in the clear: it is as worthless as the card it stands for."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def certify(template: Template, key: CertifiedKey, issuer_key: RSAPrivateKey) -> bytes:
    """Return the certificate of `template` for `key`, DER, signed with `issuer_key`."""
    issuer = template.issuer or template
    builder = (
        x509.CertificateBuilder()
        .serial_number(template.serial_number)
        .subject_name(_name(template))
        .issuer_name(_name(issuer))
        .not_valid_before(_at(template.validity.first, time.min))
        .not_valid_after(_at(template.validity.last, time(23, 59, 59)))
        .public_key(key.public_key())
        .add_extension(_key_usage(template), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if template.use is Use.AUTHORITY:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if template.issuer is not None:
        policy = x509.PolicyInformation(x509.ObjectIdentifier(POLICY_ASSURANCE_3), None)
        builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=False)
    if template.directory_attributes:
        attributes = sequence(*template.directory_attributes)
        builder = builder.add_extension(
            x509.UnrecognizedExtension(_SUBJECT_DIRECTORY_ATTRIBUTES, attributes), critical=False
        )
    certificate = builder.sign(issuer_key, SHA256())
    if template.legacy:
        return _signed_with_sha1(certificate, issuer_key)
    if template.pss:
        return _with_key_for_pss(certificate, issuer_key)
    return certificate.public_bytes(Encoding.DER)


def revoke(issuer: Template, issuer_key: RSAPrivateKey, revoked: Iterable[Template], today: date) -> bytes:
    """Return the revocation list of `issuer` as DER (RFC 5280 §5), good for a week from `today`."""
    start = _at(today, time.min)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(issuer))
        .last_update(start)
        .next_update(start + timedelta(days=7))
        .add_extension(x509.CRLNumber(today.toordinal()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    for template in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(template.serial_number)
            .revocation_date(_at(template.validity.first, time.min))
            .add_extension(x509.CRLReason(x509.ReasonFlags.cessation_of_operation), critical=False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer_key, SHA256()).public_bytes(Encoding.DER)


def _signed_with_sha1(certificate: x509.Certificate, issuer_key: RSAPrivateKey) -> bytes:
    """Return the certificate as old cards have it; `cryptography` reads SHA-1 signatures but makes none."""
    # The algorithm identifier stands in front of everything that could hold the same bytes by chance.
    content = certificate.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA, 1)
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    signature = RsaKey(issuer_key).sign(_SHA1_DIGEST_INFO + digest)
    return sequence(content, _SHA1_WITH_RSA, tlv(0x03, b"\x00", signature))


def _with_key_for_pss(certificate: x509.Certificate, issuer_key: RSAPrivateKey) -> bytes:
    """Return the certificate with a key for RSA-PSS alone, which `cryptography` reads and does not write."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    _, numbers = key.split(_RSA_KEY)
    content = certificate.tbs_certificate_bytes
    # The sequences around it become shorter by the parameters, which are left out.
    inner = content[len(content) - _length(content) :].replace(key, sequence(_PSS_KEY, numbers), 1)
    content = sequence(inner)
    digest = hashlib.sha256(content).digest()
    signature = RsaKey(issuer_key).sign(_SHA256_DIGEST_INFO + digest)
    return sequence(content, _SHA256_WITH_RSA, tlv(0x03, b"\x00", signature))


def _length(sequence_: bytes) -> int:
    """Return the length of what is in a sequence of 256 bytes or more."""
    return int.from_bytes(sequence_[2:4], "big")


def _name(template: Template) -> x509.Name:
    parts = (("C", "TW"), *template.subject)
    return x509.Name([x509.NameAttribute(_NAMES[kind], value) for kind, value in parts])


def _key_usage(template: Template) -> x509.KeyUsage:
    agrees = template.use is Use.ENCRYPTION and template.bits in CURVES
    wanted = {"key_agreement"} if agrees else _KEY_USAGES[template.use]
    return x509.KeyUsage(**{usage: usage in wanted for usage in _ALL_USAGES})


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, UTC)
