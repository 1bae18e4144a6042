"""PC/SC library: revocation lists that the page hands in. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign import names
from agent.dialects.servisign.certificates import ctime
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.ocsp import POLICY, SERIAL
from signing import revocation
from signing.errors import StatusAnswerError, StatusAnswerUnusableError
from signing.revocation import CertificateStatus, RevocationState

if TYPE_CHECKING:
    from cryptography.x509 import CertificateRevocationList

# Any page may call these without a card and without having asked the person; what it leaves here is bounded.
REMEMBERED_MAX: Final = 512 * 1024
_NUMBERS: Final = {RevocationState.GOOD: 0, RevocationState.REVOKED: 1}


def verify_signature(call: FunctionCall) -> None:
    """ATL_VerifyCRLSignature.

    Raises:
        LibraryError: 5032, the list is not one that this CA issued and signed.
    """
    authority = call.certificate("b64CACert")
    with _list(call) as crl:
        try:
            revocation.check_crl_signature(crl, authority, POLICY)
        except StatusAnswerError as error:
            raise LibraryError(LibraryCode.CRL_SIGNATURE) from error


def status(call: FunctionCall) -> int:
    """ATL_SearchCRL_GetCertStatus: 0 not on the list, 1 revoked. The list's own signature is not checked."""
    return _NUMBERS[_search(call).state]


def reason(call: FunctionCall) -> int:
    """ATL_SearchCRL_GetRevokedReason: the CRLReason's number.

    Raises:
        LibraryError: 5050, not revoked.
    """
    return _revoked(call).reason.number


def date(call: FunctionCall) -> str:
    """ATL_SearchCRL_GetRevokedDate, laid out as a certificate's dates are.

    Raises:
        LibraryError: 5050, not revoked.
    """
    found = _revoked(call).revoked_at
    return ctime(found) if found else ""


def issuer(call: FunctionCall) -> str:
    """ATL_GetCRLInfo_GetIssuerDN."""
    with _list(call) as crl:
        return names.write(crl.issuer.public_bytes())


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
    der = call.data("b64Crl") or call.session.last_crl
    if not der:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    try:
        with revocation.reading_crl(der) as crl:
            call.session.last_crl = der if len(der) <= REMEMBERED_MAX else b""
            yield crl
    except StatusAnswerUnusableError as error:
        raise LibraryError(LibraryCode.FORMAT) from error


def _search(call: FunctionCall) -> CertificateStatus:
    with _list(call) as crl:
        text = call.text("certSN").strip()
        if not SERIAL.fullmatch(text):
            raise LibraryError(LibraryCode.PARAMETER)
        return revocation.find_in_crl(crl, int(text, 16))


def _revoked(call: FunctionCall) -> CertificateStatus:
    found = _search(call)
    if found.state is not RevocationState.REVOKED:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return found
