"""PC/SC library: revocation lists that the page hands in. Nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign import names
from agent.dialects.servisign.certificates import ctime
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from signing.certificate import public_key

if TYPE_CHECKING:
    from cryptography.x509 import CertificateRevocationList, RevokedCertificate

# Any page may call these without a card and without having asked the person; what it leaves here is bounded.
REMEMBERED_MAX: Final = 512 * 1024
_NOT_REVOKED, _REVOKED = 0, 1
_SERIAL: Final = re.compile(r"[0-9A-Fa-f]{1,64}")
# RFC 5280 §5.3.1; a list without a reason means unspecified.
_REASONS: Final = {
    "unspecified": 0,
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "removeFromCRL": 8,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}


def verify_signature(call: FunctionCall) -> None:
    """ATL_VerifyCRLSignature.

    Raises:
        LibraryError: 5032, the CA's key did not sign this list.
    """
    with _list(call) as crl:
        if not crl.is_signature_valid(public_key(call.certificate("b64CACert"))):
            raise LibraryError(LibraryCode.CRL_SIGNATURE)


def status(call: FunctionCall) -> int:
    """ATL_SearchCRL_GetCertStatus: 0 not on the list, 1 revoked. The list's own signature is not checked."""
    with _list(call) as crl:
        return _NOT_REVOKED if _search(call, crl) is None else _REVOKED


def reason(call: FunctionCall) -> int:
    """ATL_SearchCRL_GetRevokedReason: the CRLReason's number.

    Raises:
        LibraryError: 5050, not revoked.
    """
    from cryptography.x509 import CRLReason, ExtensionNotFound

    with _list(call) as crl:
        try:
            found = _revoked(call, crl).extensions.get_extension_for_class(CRLReason)
        except ExtensionNotFound:
            return _REASONS["unspecified"]
        return _REASONS[found.value.reason.value]


def date(call: FunctionCall) -> str:
    """ATL_SearchCRL_GetRevokedDate, laid out as a certificate's dates are.

    Raises:
        LibraryError: 5050, not revoked.
    """
    with _list(call) as crl:
        return ctime(_revoked(call, crl).revocation_date_utc)


def issuer(call: FunctionCall) -> str:
    """ATL_GetCRLInfo_GetIssuerDN."""
    from asn1crypto.x509 import Name

    with _list(call) as crl:
        return names.write(Name.load(crl.issuer.public_bytes()))


def this_update(call: FunctionCall) -> str:
    """ATL_GetCRLInfo_GetThisUpdate."""
    with _list(call) as crl:
        return ctime(crl.last_update_utc)


def next_update(call: FunctionCall) -> str:
    """ATL_GetCRLInfo_GetNextUpdate: empty where the list names none."""
    with _list(call) as crl:
        return ctime(crl.next_update_utc) if crl.next_update_utc else ""


@contextmanager
def _list(call: FunctionCall) -> Iterator[CertificateRevocationList]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509 import load_der_x509_crl

    der = call.data("b64Crl") or call.session.last_crl
    if not der:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    try:
        crl = load_der_x509_crl(der)
        call.session.last_crl = der if len(der) <= REMEMBERED_MAX else b""
        yield crl
    except (ValueError, TypeError, KeyError, OverflowError, OSError, UnsupportedAlgorithm) as error:
        raise LibraryError(LibraryCode.FORMAT) from error


def _search(call: FunctionCall, crl: CertificateRevocationList) -> RevokedCertificate | None:
    text = call.text("certSN").strip()
    if not _SERIAL.fullmatch(text):
        raise LibraryError(LibraryCode.PARAMETER)
    return crl.get_revoked_certificate_by_serial_number(int(text, 16))


def _revoked(call: FunctionCall, crl: CertificateRevocationList) -> RevokedCertificate:
    found = _search(call, crl)
    if found is None:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return found
