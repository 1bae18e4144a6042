"""A search for paths that ends: hostile certificates that certify each other have more paths than time.

Imported only where a path is searched: certvalidator costs half a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pyhanko_certvalidator.registry import CertificateRegistry

if TYPE_CHECKING:
    from asn1crypto.x509 import Certificate
    from pyhanko_certvalidator.authority import TrustAnchor
    from pyhanko_certvalidator.registry import TrustManager

LOOKS: Final = 256
"""How often issuers are looked for; a path has four certificates, and some authorities renew theirs often."""


class SearchEndedError(Exception):
    """There are more ways through the certificates than are gone."""


class BoundedRegistry(CertificateRegistry):
    """The certificates that may stand between, which tell their issuers only so many times."""

    _looks = 0

    def find_potential_issuers(
        self, cert: Certificate, trust_manager: TrustManager
    ) -> Iterator[TrustAnchor | Certificate]:
        """Give the certificates that may have issued one. Raise `SearchEndedError` at the first too many."""
        self._looks += 1
        if self._looks > LOOKS:
            raise SearchEndedError
        return super().find_potential_issuers(cert, trust_manager)
