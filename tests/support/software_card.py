"""A card in software: keys and certificates in memory, no APDUs; and the authority that issues for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from hca_card.errors import ObjectMissingError
from hca_card.model import Card, CardCertificate, CardKind, CertificateUse, KeyUse, Metadata
from hca_card.simulator.rsa import RsaKey
from hca_card.tlv import Tlv, read
from pcsc.status import StatusError
from tests.support.keys import kept_key

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
DIGITAL_SIGNATURE = "digital_signature"
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name in a test run: making them takes longer than everything else."""
    return kept_key(f"software card {name}", bits)


@cache
def _card_key(name: str) -> RsaKey:
    return RsaKey(rsa_key(name))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "TW"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "0000000000335361"),
        ]
    )


def issue(
    *,
    key: rsa.RSAPrivateKey,
    subject: str = "測試人員卡",
    issuer: str = "測試憑證中心",
    issuer_key: rsa.RSAPrivateKey | None = None,
    usages: Sequence[str] | None = (DIGITAL_SIGNATURE,),
    extended: Sequence[x509.ObjectIdentifier] = (),
    policies: Sequence[str] = (),
    ca: bool = False,
    begins: datetime = NOW - timedelta(days=365),
    ends: datetime = NOW + timedelta(days=365),
    extensions: Sequence[x509.ExtensionType] = (),
    hash_algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A certificate, DER; signed by the key `ca` unless told otherwise."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject, "測試"))
        .issuer_name(_name(issuer, "測試"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usages is not None:
        flags = {usage: usage in usages for usage in _USAGES}
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if policies:
        listed = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in policies]
        builder = builder.add_extension(x509.CertificatePolicies(listed), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return der(builder.sign(issuer_key or rsa_key("ca"), hash_algorithm or hashes.SHA256()))


@cache
def root() -> bytes:
    return issue(
        key=rsa_key("ca"),
        subject="測試憑證中心",
        usages=("key_cert_sign", "crl_sign"),
        ca=True,
        begins=NOW - timedelta(days=3650),
        ends=NOW + timedelta(days=3650),
    )


@cache
def signature_certificate() -> bytes:
    return issue(key=rsa_key("signature"))


@cache
def encryption_certificate() -> bytes:
    return issue(key=rsa_key("encryption"), usages=("key_encipherment", "data_encipherment"))


@dataclass
class SoftwareCard(Card):
    """Signs with keys in memory; `spoils` stands for what a broken or hostile card does to its signatures."""

    kind: ClassVar[CardKind] = CardKind.PERSONNEL
    serial: str = "000000335361"
    spoils: bool = False
    asked: list[str] = field(default_factory=list)

    def metadata(self) -> Metadata:
        return Metadata(self.kind, "2", self.serial, None)

    def certificate(self, index: int) -> CardCertificate:
        self.asked.append(f"certificate {index}")
        if index == 1:
            return CardCertificate(1, CertificateUse.SIGNATURE, signature_certificate())
        if index == 2:
            return CardCertificate(2, CertificateUse.ENCRYPTION, encryption_certificate())
        raise ObjectMissingError

    def has_key(self, use: KeyUse) -> bool:
        return True

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:
        self.asked.append(f"sign {use}")
        signature = _card_key(use.value).sign(digest_info)
        return signature[:-1] + bytes((signature[-1] ^ 1,)) if self.spoils else signature

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:
        self.asked.append(f"decipher {use}")
        try:
            return _card_key(use.value).decipher(cipher)
        except ValueError:
            raise StatusError(0x6A80) from None


def software_encrypt(plain: bytes) -> bytes:
    """What another program encrypts to the card's certificate."""
    return rsa_key("encryption").public_key().encrypt(plain, padding.PKCS1v15())


def rewritten(certificate: bytes, key: str, *, names: bytes = b"", times: bytes = b"") -> bytes:
    """The certificate with that Name for subject and issuer, or that Validity, signed anew by the key."""
    body = list(read(certificate)[0].children[0].children)
    if names:
        body[3] = body[5] = read(names)[0]
    if times:
        body[4] = read(times)[0]
    signed = Tlv(0x30, b"".join(part.encode() for part in body)).encode()
    signature = rsa_key(key).sign(signed, padding.PKCS1v15(), hashes.SHA256())
    algorithm = read(certificate)[0].children[1].encode()
    return Tlv(0x30, signed + algorithm + Tlv(0x03, b"\0" + signature).encode()).encode()
