"""Which certificates are ours: what `agent.tls` makes, recognised to the last constraint.

A name alone proves nothing, as anybody can choose it. Whatever is removed from somebody's browser has the
name, the serial number in the name, the constraints of one of its scopes and the self-signature of a CA made
by `agent.tls`; anything else stays where it is.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import tls

if TYPE_CHECKING:
    from cryptography import x509

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA certificate that this program made.

    Attributes:
        der: the certificate itself; two authorities are the same when these bytes are.
        name: its common name, which no other CA of ours has.
        not_after: aware UTC.
        not_before: likewise.
        scope: for which names it can speak.
    """

    der: bytes
    name: str
    not_after: datetime
    not_before: datetime
    scope: tls.Scope = tls.LOOPBACK

    @property
    def sha1(self) -> str:
        """Upper-case hexadecimal; Windows and macOS find certificates by it."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest().upper()

    @property
    def sha256(self) -> str:
        """Upper-case hexadecimal, as browsers show it."""
        return hashlib.sha256(self.der).hexdigest().upper()

    @property
    def pem(self) -> bytes:
        """RFC 7468 §5."""
        import ssl

        return ssl.DER_cert_to_PEM_cert(self.der).encode("ascii")


@dataclass(frozen=True, slots=True)
class OwnAuthorities:
    """The CA certificates of this agent's folder, of one scope.

    Attributes:
        file: where the current one lies, or will.
        current: None while the agent has not made one.
        former: those it replaced, which no store needs any more.
        scope: for which names they can speak; those of other scopes are somebody else's business.
    """

    file: Path
    current: Authority | None
    former: tuple[Authority, ...]
    scope: tls.Scope = tls.LOOPBACK


def own_authorities(folder: Path, scope: tls.Scope = tls.LOOPBACK) -> OwnAuthorities:
    """Return what lies in the agent's folder for TLS; nothing is made or changed."""
    folder = scope.within(folder)
    current = _authorities(folder / tls.CA)
    former = _authorities(folder / tls.FORMER)
    return OwnAuthorities(folder / tls.CA, current[0] if current else None, former, scope)


def read(der: bytes) -> Authority | None:
    """Return the authority in `der`; None for whatever is not a CA made by this program."""
    if tls.ORGANIZATION.encode("ascii") not in der:
        return None
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    # What stands in a certificate store was written by anybody: whatever cannot be read is not ours.
    with suppress(ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        certificate = x509.load_der_x509_certificate(der)
        for scope in tls.SCOPES:
            if _has_our_name(certificate, scope) and _has_our_limits(certificate, scope):
                certificate.verify_directly_issued_by(certificate)
                name = tls.ca_common_name(certificate.serial_number, scope)
                return Authority(
                    der, name, certificate.not_valid_after_utc, certificate.not_valid_before_utc, scope
                )
    return None


def authorities(certificates: Iterable[bytes]) -> tuple[Authority, ...]:
    """Return those that this program made."""
    return tuple(authority for der in certificates if (authority := read(der)) is not None)


def certificates(pem: bytes) -> Iterator[bytes]:
    """Return the DER of every certificate in PEM text; what is torn is left out."""
    for block in _PEM.finditer(pem):
        with suppress(binascii.Error, ValueError):
            yield binascii.a2b_base64(block.group(1))


def _authorities(file: Path) -> tuple[Authority, ...]:
    try:
        content = file.read_bytes()
    except OSError:
        return ()
    return authorities(certificates(content))


def _has_our_name(certificate: x509.Certificate, scope: tls.Scope) -> bool:
    ours = tls.ca_name(certificate.serial_number, scope)
    return certificate.subject == ours and certificate.issuer == ours


def _has_our_limits(certificate: x509.Certificate, scope: tls.Scope) -> bool:
    from cryptography import x509

    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    return (
        basic.critical
        and basic.value == x509.BasicConstraints(ca=True, path_length=0)
        and names.critical
        and names.value == scope.constraints()
    )
