"""Judge OCSP answers (RFC 6960): signed by the issuer or a responder that it appointed, and in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from signing.certificate import load, parsed
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
    from cryptography.x509 import Certificate
    from cryptography.x509.ocsp import OCSPResponse, OCSPSingleResponse


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

    authority = load(issuer)
    pinned = None if responder is None else load(responder)
    try:
        response = load_der_ocsp_response(answer)
        if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
            return OcspAnswer(response.response_status.value)
        policy.check_hash(response.signature_hash_algorithm)
        _check_responder(response, authority, pinned, at)
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


def _check_responder(
    response: OCSPResponse, authority: Certificate, pinned: Certificate | None, at: datetime
) -> None:
    """Return if the issuer, or somebody it appointed, signed the answer (RFC 6960 §4.2.2.2)."""
    candidates = [authority, *response.certificates] if pinned is None else [pinned]
    for signer in candidates:
        if signer != authority and not _appointed(signer, authority, at):
            continue
        signed = response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
        if _is_responder(response, signer) and is_signed_by(signer, *signed):
            return
    raise StatusAnswerForgedError("nobody whom the issuer appointed signed this answer")


def _appointed(signer: Certificate, authority: Certificate, at: datetime) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        signer.verify_directly_issued_by(authority)
        use = signer.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except (InvalidSignature, ExtensionNotFound, ValueError, TypeError):
        return False
    in_time = signer.not_valid_before_utc - SKEW <= at <= signer.not_valid_after_utc + SKEW
    return in_time and ExtendedKeyUsageOID.OCSP_SIGNING in use


def _is_responder(response: OCSPResponse, signer: Certificate) -> bool:
    from cryptography.x509 import SubjectKeyIdentifier

    if response.responder_name is not None:
        return response.responder_name == signer.subject
    return response.responder_key_hash == SubjectKeyIdentifier.from_public_key(signer.public_key()).digest


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
