"""Judge OCSP answers (RFC 6960): signed by the issuer or a responder that it appointed, and in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hca_card.certificate import compared_name
from hca_card.errors import CardDataError
from signing.certificate import any_public_key, is_issued_by, parsed
from signing.errors import (
    SigningError,
    StatusAnswerForgedError,
    StatusAnswerStaleError,
    StatusAnswerUnrelatedError,
    StatusAnswerUnusableError,
)
from signing.revocation.ocsp_request import authority_hashes
from signing.revocation.status import (
    SKEW,
    STRICT,
    CertificateStatus,
    RevocationPolicy,
    RevocationReason,
    RevocationState,
    StatusSource,
    check_times,
    is_signed_by,
)

if TYPE_CHECKING:
    from cryptography.x509.ocsp import OCSPResponse, OCSPSingleResponse


_OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """What a responder answers.

    Attributes:
        response_status: OCSPResponseStatus (RFC 6960 §4.2.1), 0 successful.
        certificates: in the order of the question; empty unless successful.
    """

    response_status: int
    certificates: tuple[CertificateStatus, ...] = ()


def judge_ocsp(
    answer: bytes,
    der: bytes,
    issuer: bytes,
    at: datetime,
    *,
    nonce: bytes | None = None,
    policy: RevocationPolicy = STRICT,
) -> CertificateStatus:
    """Return what an OCSP answer says of one certificate.

    Args:
        answer: OCSPResponse, DER.
        der: the certificate.
        issuer: its issuer's certificate, trusted by the caller.
        at: the moment that counts, aware.
        nonce: as in `judge_ocsp_answer`.
        policy: how strictly it is judged.

    Raises:
        StatusAnswerUnusableError: the responder refuses, too.
        SigningError: as `judge_ocsp_answer`.
    """
    numbers = (parsed(der).number,)
    found = judge_ocsp_answer(answer, numbers, issuer, at, nonce=nonce, policy=policy)
    if not found.certificates:
        raise StatusAnswerUnusableError(f"the responder answers with status {found.response_status}")
    return found.certificates[0]


def judge_ocsp_answer(
    answer: bytes,
    serial_numbers: Iterable[int],
    issuer: bytes,
    at: datetime,
    *,
    nonce: bytes | None = None,
    responder: bytes | None = None,
    policy: RevocationPolicy = STRICT,
) -> OcspAnswer:
    """Return what an OCSP answer says of certificates of one issuer.

    Args:
        answer: OCSPResponse, DER.
        serial_numbers: of the certificates asked about.
        issuer: their issuer's certificate, trusted by the caller.
        at: the moment that counts, aware.
        nonce: the one in the question, empty where it had none; None for an answer that was judged and kept
            earlier. Responders that sign ahead of time cannot repeat it (RFC 6960 §4.4.1): an answer without
            nonce counts if it says until when it holds.
        responder: the one certificate that may sign the answer; None for any that the issuer appointed.
        policy: how strictly it is judged.

    Raises:
        StatusAnswerForgedError: nobody whom the issuer appointed signed it.
        StatusAnswerUnrelatedError: it answers another question.
        StatusAnswerStaleError: it is out of time.
        StatusAnswerUnusableError: it is no answer, or signed with a hash that proves nothing.
        CertificateMalformedError: one of the certificates cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.ocsp import OCSPResponseStatus, load_der_ocsp_response

    for certificate in (issuer, *(() if responder is None else (responder,))):
        any_public_key(certificate)
    try:
        response = load_der_ocsp_response(answer)
        if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
            return OcspAnswer(response.response_status.value)
        policy.check_hash(response.signature_hash_algorithm)
        _check_responder(response, issuer, responder, at)
        _check_nonce(response, nonce)
        found = tuple(_status(_about(response, number, issuer), at) for number in serial_numbers)
        return OcspAnswer(response.response_status.value, found)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise StatusAnswerUnusableError("the OCSP answer cannot be read") from error


def is_about(answer: bytes, der: bytes, issuer: bytes) -> bool:
    """Return whether an OCSP answer, whoever gave it, claims to be about this certificate."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.ocsp import load_der_ocsp_response

    try:
        _about(load_der_ocsp_response(answer), parsed(der).number, issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, SigningError):
        return False
    return True


def _check_responder(response: OCSPResponse, authority: bytes, pinned: bytes | None, at: datetime) -> None:
    """Return if the issuer, or somebody it appointed, signed the answer (RFC 6960 §4.2.2.2)."""
    from cryptography.hazmat.primitives.serialization import Encoding

    sent = (each.public_bytes(Encoding.DER) for each in response.certificates)
    candidates = [authority, *sent] if pinned is None else [pinned]
    for signer in candidates:
        if signer != authority and not _appointed(signer, authority, at):
            continue
        signed = response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
        if _is_responder(response, signer) and is_signed_by(signer, *signed):
            return
    raise StatusAnswerForgedError("nobody whom the issuer appointed signed this answer")


def _appointed(signer: bytes, authority: bytes, at: datetime) -> bool:
    if not is_issued_by(signer, authority):
        return False
    certificate = parsed(signer)
    try:
        begins, ends = certificate.period
        use = certificate.extended_key_usage or ()
    except CardDataError:
        return False
    return begins - SKEW <= at <= ends + SKEW and _OCSP_SIGNING in use


def _is_responder(response: OCSPResponse, signer: bytes) -> bool:
    from cryptography.hazmat.primitives.hashes import SHA1

    if response.responder_name is not None:
        return compared_name(response.responder_name.public_bytes()) == compared_name(parsed(signer).subject)
    # SHA-1 here names a key and protects nothing (RFC 6960 §4.2.1).
    return response.responder_key_hash == authority_hashes(signer, SHA1())[1]  # noqa: S303


def _check_nonce(response: OCSPResponse, nonce: bytes | None) -> None:
    from cryptography.x509 import ExtensionNotFound, OCSPNonce

    if nonce is None:
        return
    try:
        repeated = response.extensions.get_extension_for_class(OCSPNonce).value.nonce
    except ExtensionNotFound:
        if any(single.next_update_utc is None for single in response.responses):
            raise StatusAnswerStaleError("without nonce and end the answer could be of any age") from None
        return
    if repeated != nonce:
        raise StatusAnswerUnrelatedError("the answer was given to another question")


def _about(response: OCSPResponse, serial_number: int, issuer: bytes) -> OCSPSingleResponse:
    for single in response.responses:
        if single.serial_number == serial_number and authority_hashes(issuer, single.hash_algorithm) == (
            single.issuer_name_hash,
            single.issuer_key_hash,
        ):
            return single
    raise StatusAnswerUnrelatedError("the answer is about other certificates")


def _status(single: OCSPSingleResponse, at: datetime) -> CertificateStatus:
    check_times(single.this_update_utc, single.next_update_utc, at)
    reason = single.revocation_reason
    return CertificateStatus(
        RevocationState[single.certificate_status.name],
        StatusSource.OCSP,
        single.this_update_utc,
        single.next_update_utc,
        single.revocation_time_utc,
        RevocationReason(reason.value) if reason else RevocationReason.UNSPECIFIED,
    )
