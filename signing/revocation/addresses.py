"""Read where a certificate says its status can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signing.certificate import load

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a certificate says its status can be asked; taken from it as they are, not checked.

    Attributes:
        ocsp: responders (authorityInfoAccess, RFC 5280 §4.2.2.1).
        crl: revocation lists (cRLDistributionPoints, RFC 5280 §4.2.1.13).
    """

    ocsp: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()


def addresses(der: bytes) -> Addresses:
    """Return where the certificate says its status can be asked.

    Raises:
        CertificateMalformedError: it cannot be read. Extensions that cannot be read name no address.
    """
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    certificate = load(der)
    try:
        described = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        described = None
    except (ValueError, x509.DuplicateExtension):
        return Addresses()
    responders = uris(
        each.access_location
        for each in described or ()
        if each.access_method == AuthorityInformationAccessOID.OCSP
    )
    return Addresses(tuple(responders), tuple(crl_addresses(certificate)))


def crl_addresses(certificate: Certificate) -> list[str]:
    """Return the addresses of the certificate's distribution points."""
    from cryptography.x509 import CRLDistributionPoints, ExtensionNotFound

    try:
        points = certificate.extensions.get_extension_for_class(CRLDistributionPoints).value
    except ExtensionNotFound:
        return []
    return [uri for point in points for uri in uris(point.full_name)]


def uris(names: Iterable[object] | None) -> list[str]:
    """Return the addresses among the names (RFC 5280 §4.2.1.6)."""
    from cryptography.x509 import UniformResourceIdentifier

    return [name.value for name in names or () if isinstance(name, UniformResourceIdentifier)]
