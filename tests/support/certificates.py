"""Certificates made to measure: holders', authorities', renewed, cross-certified and odd ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
SIGNING = ("digital_signature",)
DECIPHERING = ("key_encipherment", "data_encipherment")
_BITS = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """The key of that name."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Made:
    """What a certificate is to say; `key` names the subject's, where it is not called like the subject.

    `usage` None leaves keyUsage out, `ca` None basicConstraints; `signer` names the issuer's key.
    """

    subject: str
    issuer: str
    usage: tuple[str, ...] | None = SIGNING
    ca: bool | None = None
    ends: int = 2040
    key: str = ""
    signer: str = ""
    identifiers: bool = False
    number: int = 1
    more: tuple[x509.ExtensionType, ...] = field(default=())

    @cache  # noqa: B019  (made once: an elliptic signature is another each time)
    def der(self) -> bytes:
        """The certificate."""
        own, signer = key(self.key or self.subject), key(self.signer or self.issuer)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(self.subject))
            .issuer_name(_name(self.issuer))
            .public_key(own.public_key())
            .serial_number(self.number)
            .not_valid_before(BEGINS)
            .not_valid_after(datetime(self.ends, 1, 1, tzinfo=UTC))
        )
        extensions = list(self.more)
        if self.usage is not None:
            extensions.append(x509.KeyUsage(**{bit: bit in self.usage for bit in _BITS}))
        if self.ca is not None:
            extensions.append(x509.BasicConstraints(self.ca, None))
        if self.identifiers:
            extensions.append(x509.SubjectKeyIdentifier.from_public_key(own.public_key()))
            extensions.append(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, SHA256()).public_bytes(Encoding.DER)


def authority(subject: str, issuer: str, **more: object) -> Made:
    """An authority's."""
    return Made(subject, issuer, ("key_cert_sign", "crl_sign"), **more)  # type: ignore[arg-type]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
