"""This installation's own TLS identity: a CA that can speak for this machine only, and one leaf under it.

The CA may sign for `localhost`, `127.0.0.1` and `::1` and nothing else (RFC 5280 §4.2.1.10), and its private
key exists only in memory while it signs the one leaf: trusting it in a browser gives nobody a power over any
other site, not even a thief of this folder. Both end together and are made anew in time; whoever trusted the
old CA has to trust the new one then, which is why `Identity.fresh` is told to the person.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

from agent.private import write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = timedelta(days=800)
"""Apple refuses leaves of more than 825 days."""

RENEWAL = timedelta(days=60)
"""How long before the end a new identity replaces the old one."""

CLOCK_SKEW = timedelta(hours=1)
"""How far a new certificate reaches back, for a clock that is set right after it was made."""

CA, LEAF, KEY, FORMER = "ca.pem", "leaf.pem", "leaf.key", "former.pem"
"""The files in the identity's folder; the last holds the CA certificates that were replaced."""

ORGANIZATION = "HCA Card Agent"
HOST_NAME = "localhost"
ADDRESSES: tuple[IPv4Address | IPv6Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the identity lies.

    Attributes:
        ca: PEM certificate for trust stores.
        leaf: PEM certificate that the server shows.
        key: PEM private key of the leaf, readable by this user alone.
        not_after: when both certificates end.
        fresh: whether it was made by this very call, so that no browser can trust it yet.
        renewed: whether it took the place of an earlier one, which browsers may still trust.
    """

    ca: Path
    leaf: Path
    key: Path
    not_after: datetime
    fresh: bool
    renewed: bool = False

    def context(self) -> ssl.SSLContext:
        """A server context with TLS 1.2 and 1.3, for HTTP/1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Show this leaf in every handshake from now on; connections that are open stay."""
        context.load_cert_chain(self.leaf, self.key)


def ensure(folder: Path, *, now: datetime | None = None) -> Identity:
    """The identity kept in `folder`, made or renewed when there is none, it is damaged, or its end is near.

    Args:
        folder: the agent's folder; created when missing.
        now: aware UTC; the clock when left out.

    Raises:
        OSError: the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    not_after = _end_of(folder, now)
    fresh = not_after is None
    renewed = False
    if not_after is None:
        renewed = _set_aside(folder)
        not_after = _make(folder, now)
    return Identity(folder / CA, folder / LEAF, folder / KEY, not_after, fresh, renewed)


def _end_of(folder: Path, now: datetime) -> datetime | None:
    """When the identity in `folder` ends; None when it cannot serve: missing, torn, mixed, near its end."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with suppress(OSError, ValueError, TypeError, InvalidSignature):
        ca = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        leaf = x509.load_pem_x509_certificate((folder / LEAF).read_bytes())
        key = load_pem_private_key((folder / KEY).read_bytes(), password=None)
        leaf.verify_directly_issued_by(ca)
        in_time = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - RENEWAL
        if in_time and key.public_key() == leaf.public_key():
            return leaf.not_valid_after_utc
    return None


def _set_aside(folder: Path) -> bool:
    """Remember the CA that is about to be replaced, to be taken out of browsers; whether there was one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    with suppress(OSError, ValueError):
        replaced = x509.load_pem_x509_certificate((folder / CA).read_bytes()).public_bytes(Encoding.PEM)
        former = folder / FORMER
        earlier = former.read_bytes() if former.exists() else b""
        if replaced not in earlier:
            write_private(former, earlier + replaced)
        return True
    return False


def _make(folder: Path, now: datetime) -> datetime:
    """Write a new CA and leaf into `folder`; the CA's key is gone when this returns."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    not_before = (now - CLOCK_SKEW).replace(microsecond=0)
    not_after = not_before + LIFETIME - timedelta(seconds=1)  # RFC 5280 §4.1.2.5 counts both ends
    period = (not_before, not_after)
    ca_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _ca(ca_key, period)
    leaf = _leaf(leaf_key, ca, ca_key, period)
    key = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A crash between these leaves parts that do not belong together, which `_end_of` sees and replaces.
    write_private(folder / KEY, key)
    write_private(folder / LEAF, leaf.public_bytes(Encoding.PEM))
    write_private(folder / CA, ca.public_bytes(Encoding.PEM))
    return not_after


def ca_common_name(serial: int) -> str:
    """A name of its own: stores that look an issuer up by name must never find its predecessor."""
    return f"{ORGANIZATION} {HOST_NAME} CA {serial & 0xFFFFFFFF:08X}"


def ca_name(serial: int) -> x509.Name:
    """The subject and issuer of the CA with this serial number."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, ca_common_name(serial)),
        ]
    )


def name_constraints() -> x509.NameConstraints:
    """This machine's loopback names and nothing else."""
    from cryptography import x509

    return x509.NameConstraints(
        [
            x509.DNSName(HOST_NAME),
            x509.IPAddress(IPv4Network("127.0.0.1/32")),
            x509.IPAddress(IPv6Network("::1/128")),
        ],
        None,
    )


def _ca(key: ec.EllipticCurvePrivateKey, period: tuple[datetime, datetime]) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    serial = x509.random_serial_number()
    name = ca_name(serial)
    return (
        _builder(name, name, key, serial, period)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(name_constraints(), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    period: tuple[datetime, datetime],
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST_NAME)])
    names = [x509.DNSName(HOST_NAME), *(x509.IPAddress(address) for address in ADDRESSES)]
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(name, ca.subject, key, x509.random_serial_number(), period)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    period: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    """What CA and leaf have in common."""
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
