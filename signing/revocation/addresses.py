"""Where a certificate says its standing can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signing.certificate import load


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a certificate says its standing can be asked; taken from it as they are, not checked.

    Attributes:
        ocsp: responders (authorityInfoAccess, RFC 5280 §4.2.2.1).
        crl: revocation lists (cRLDistributionPoints, RFC 5280 §4.2.1.13).
    """

    ocsp: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()


def addresses(der: bytes) -> Addresses:
    """Where the certificate says its standing can be asked.

    Raises:
        CertificateMalformedError: it cannot be read. Extensions that cannot be read name no address.
    """
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

    certificate = load(der)
    responders: list[str] = []
    lists: list[str] = []
    try:
        for extension in certificate.extensions:
            if extension.oid == ExtensionOID.AUTHORITY_INFORMATION_ACCESS:
                described = extension.value
                if isinstance(described, x509.AuthorityInformationAccess):
                    responders += [
                        each.access_location.value
                        for each in described
                        if each.access_method == AuthorityInformationAccessOID.OCSP
                        and isinstance(each.access_location, x509.UniformResourceIdentifier)
                    ]
            elif isinstance(extension.value, x509.CRLDistributionPoints):
                lists += [uri for point in extension.value for uri in uris(point.full_name)]
    except (ValueError, x509.DuplicateExtension):
        return Addresses()
    return Addresses(tuple(responders), tuple(lists))


def uris(names: Iterable[object] | None) -> list[str]:
    """The addresses among the names (RFC 5280 §4.2.1.6)."""
    from cryptography.x509 import UniformResourceIdentifier

    return [name.value for name in names or () if isinstance(name, UniformResourceIdentifier)]
