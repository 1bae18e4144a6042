"""Whether an authority has revoked a certificate, judged from what somebody else fetched.

A CRL (RFC 5280 §5, §6.3) or an OCSP answer (RFC 6960) counts only when the certificate's issuer stands behind
it, when it is about this certificate, and while it is in time. Nothing here opens a connection.
"""

from __future__ import annotations

from signing.revocation.addresses import Addresses, addresses
from signing.revocation.crl import check_crl_signature, find_in_crl, judge_crl, reading_crl
from signing.revocation.ocsp import OcspAnswer, is_about, judge_ocsp, judge_ocsp_answer
from signing.revocation.ocsp_request import ocsp_request, question_in, signed_request, to_be_signed
from signing.revocation.status import (
    STRICT,
    CertificateStatus,
    RevocationPolicy,
    RevocationReason,
    RevocationState,
    StatusSource,
)

__all__ = [
    "STRICT",
    "Addresses",
    "CertificateStatus",
    "OcspAnswer",
    "RevocationPolicy",
    "RevocationReason",
    "RevocationState",
    "StatusSource",
    "addresses",
    "check_crl_signature",
    "find_in_crl",
    "is_about",
    "judge_crl",
    "judge_ocsp",
    "judge_ocsp_answer",
    "ocsp_request",
    "question_in",
    "reading_crl",
    "signed_request",
    "to_be_signed",
]
