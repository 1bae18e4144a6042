"""Whether an authority has revoked a certificate, judged from what somebody else fetched.

A CRL (RFC 5280 §5, §6.3) or an OCSP answer (RFC 6960) counts only when the certificate's issuer stands behind
it, when it is about this certificate, and while it is in time. Nothing here knows a network.
"""

from __future__ import annotations

from signing.revocation.addresses import Addresses, addresses
from signing.revocation.crl import judge_crl
from signing.revocation.ocsp import judge_ocsp, ocsp_request
from signing.revocation.status import SKEW, UNDATED_MAX, Source, Standing, State

__all__ = [
    "SKEW",
    "UNDATED_MAX",
    "Addresses",
    "Source",
    "Standing",
    "State",
    "addresses",
    "judge_crl",
    "judge_ocsp",
    "ocsp_request",
]
