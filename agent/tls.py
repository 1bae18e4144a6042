"""This installation's own TLS identities: a CA for each scope that can speak for it alone, and one leaf.

The usual CA may sign for `localhost`, `127.0.0.1` and `::1` and nothing else (RFC 5280 §4.2.1.10), the one of
the NHI component for that component's name alone, and a CA's private key exists only in memory while it signs
the one leaf: trusting it in a browser gives nobody a power over any other site, not even a thief of this
folder. Both end together and are made anew in time; whoever trusted the old CA has to trust the new one then,
which is why `Identity.fresh` is told to the person.
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
_EVERY_ADDRESS = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Scope:
    """For which names an identity can speak, and where in the agent's TLS folder it lies.

    Attributes:
        host: the DNS name.
        addresses: the IP addresses beside it.
        subfolder: empty for the TLS folder itself.
    """

    host: str
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    subfolder: str = ""

    def within(self, folder: Path) -> Path:
        """The folder of this identity in the agent's TLS folder."""
        return folder / self.subfolder

    def constraints(self) -> x509.NameConstraints:
        """These names and nothing else; without addresses every address is forbidden by name.

        A kind of name that constraints do not mention is not limited at all (RFC 5280 §4.2.1.10).
        """
        from cryptography import x509

        networks = [_network(address) for address in self.addresses]
        return x509.NameConstraints(
            [x509.DNSName(self.host), *(x509.IPAddress(network) for network in networks)],
            None if networks else [x509.IPAddress(network) for network in _EVERY_ADDRESS],
        )


def _network(address: IPv4Address | IPv6Address) -> IPv4Network | IPv6Network:
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


LOOPBACK = Scope("localhost", (IPv4Address("127.0.0.1"), IPv6Address("::1")))
"""This computer's own names."""

NHI_COMPONENT = Scope("iccert.nhi.gov.tw", subfolder="nhi-component")
"""The name by which portals look for the NHI component on this computer (docs/nhi-component.md)."""

SCOPES = (LOOPBACK, NHI_COMPONENT)


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
        scope: for which names it speaks.
        machines: whether root made it for every user of this machine, and had it trusted for all of them.
    """

    ca: Path
    leaf: Path
    key: Path
    not_after: datetime
    fresh: bool
    renewed: bool = False
    scope: Scope = LOOPBACK
    machines: bool = False

    def context(self) -> ssl.SSLContext:
        """A server context with TLS 1.2 and 1.3, for HTTP/1.1."""
        context = server_context()
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Show this leaf in every handshake from now on; connections that are open stay."""
        context.load_cert_chain(self.leaf, self.key)


def server_context() -> ssl.SSLContext:
    """As `Identity.context`, with no certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def ensure(folder: Path, scope: Scope = LOOPBACK, *, now: datetime | None = None) -> Identity:
    """The identity kept in `folder`, made or renewed when there is none, it is damaged, or its end is near.

    Args:
        folder: the agent's TLS folder; created when missing.
        scope: for which names.
        now: aware UTC; the clock when left out.

    Raises:
        OSError: the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    folder = scope.within(folder)
    not_after = _end_of(folder, now)
    fresh = not_after is None
    renewed = False
    if not_after is None:
        renewed = _set_aside(folder)
        not_after = _make(folder, scope, now)
    return Identity(folder / CA, folder / LEAF, folder / KEY, not_after, fresh, renewed, scope)


def in_use(own: Path, machines: Path | None, scope: Scope = LOOPBACK, *, now: datetime | None = None) -> Path:
    """The TLS folder whose identity is shown: the machine's while this user can use it, else the user's own.

    Args:
        own: this user's TLS folder.
        machines: the machine's (`Paths.machine_tls`); None where there is none.
        scope: for which names.
        now: aware UTC; the clock when left out.
    """
    return machines if machines is not None and _of_machine(machines, scope, now) is not None else own


def shown(
    own: Path, machines: Path | None, scope: Scope = LOOPBACK, *, now: datetime | None = None
) -> Identity:
    """The identity that a user's agent shows: as `in_use`, and the user's own is seen to as by `ensure`.

    Raises:
        OSError: the user's folder has to be written and cannot be.
    """
    identity = _of_machine(machines, scope, now) if machines is not None else None
    return identity if identity is not None else ensure(own, scope, now=now)


def _of_machine(folder: Path, scope: Scope, now: datetime | None) -> Identity | None:
    """Root renews it in time, so it serves until its very end."""
    folder = scope.within(folder)
    not_after = _end_of(folder, now or datetime.now(UTC), margin=timedelta(0))
    if not_after is None:
        return None
    return Identity(
        folder / CA, folder / LEAF, folder / KEY, not_after, fresh=False, scope=scope, machines=True
    )


def _end_of(folder: Path, now: datetime, margin: timedelta = RENEWAL) -> datetime | None:
    """When the identity in `folder` ends; None when it cannot serve: missing, torn, mixed, near its end."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with suppress(OSError, ValueError, TypeError, InvalidSignature):
        ca = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        leaf = x509.load_pem_x509_certificate((folder / LEAF).read_bytes())
        key = load_pem_private_key((folder / KEY).read_bytes(), password=None)
        leaf.verify_directly_issued_by(ca)
        in_time = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - margin
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


def _make(folder: Path, scope: Scope, now: datetime) -> datetime:
    """Write a new CA and leaf into `folder`; the CA's key is gone when this returns."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    not_before = (now - CLOCK_SKEW).replace(microsecond=0)
    not_after = not_before + LIFETIME - timedelta(seconds=1)  # RFC 5280 §4.1.2.5 counts both ends
    period = (not_before, not_after)
    ca_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _ca(ca_key, period, scope)
    leaf = _leaf(leaf_key, ca, ca_key, period, scope)
    key = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A crash between these leaves parts that do not belong together, which `_end_of` sees and replaces.
    write_private(folder / KEY, key)
    write_private(folder / LEAF, leaf.public_bytes(Encoding.PEM))
    write_private(folder / CA, ca.public_bytes(Encoding.PEM))
    return not_after


def ca_common_name(serial: int, scope: Scope = LOOPBACK) -> str:
    """A name of its own: stores that look an issuer up by name must never find its predecessor."""
    return f"{ORGANIZATION} {scope.host} CA {serial & 0xFFFFFFFF:08X}"


def ca_name(serial: int, scope: Scope = LOOPBACK) -> x509.Name:
    """The subject and issuer of the CA with this serial number."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, ca_common_name(serial, scope)),
        ]
    )


def _ca(key: ec.EllipticCurvePrivateKey, period: tuple[datetime, datetime], scope: Scope) -> x509.Certificate:
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
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    period: tuple[datetime, datetime],
    scope: Scope,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, scope.host)])
    names = [x509.DNSName(scope.host), *(x509.IPAddress(address) for address in scope.addresses)]
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
