"""Read where a certificate says its status can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hca_card.certificate import AUTHORITY_INFO_ACCESS, CRL_DISTRIBUTION_POINTS, ParsedCertificate, oid
from hca_card.errors import CardDataError
from signing.certificate import parsed

_OCSP: Final = "1.3.6.1.5.5.7.48.1"
_URI: Final = 0x86


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
    certificate = parsed(der)
    try:
        responders = [
            location.value.decode("ascii")
            for method, location in (each.children for each in certificate.listed(AUTHORITY_INFO_ACCESS))
            if oid(method) == _OCSP and location.tag == _URI
        ]
        return Addresses(tuple(responders), tuple(_crl_addresses(certificate)))
    except (CardDataError, ValueError):
        return Addresses()


def _crl_addresses(certificate: ParsedCertificate) -> list[str]:
    """Return the addresses of the certificate's distribution points.

    Raises:
        CardDataError, UnicodeDecodeError: they cannot be read.
    """
    found = [point.children for point in certificate.listed(CRL_DISTRIBUTION_POINTS)]
    full_names = [full for parts in found for part in parts if part.tag == 0xA0 for full in part.children]
    locations = [location for full in full_names if full.tag == 0xA0 for location in full.children]
    return [location.value.decode("ascii") for location in locations if location.tag == _URI]


def uris(names: Iterable[object] | None) -> list[str]:
    """Return the addresses among the names (RFC 5280 §4.2.1.6)."""
    from cryptography.x509 import UniformResourceIdentifier

    return [name.value for name in names or () if isinstance(name, UniformResourceIdentifier)]
