"""OCSP as the PC/SC library has it: build what is to be signed, ask with the signature, read the answer."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.keys import encoded
from agent.dialects.servisign.signatures import named_hash
from agent.vocabulary import Verb
from signing import revocation
from signing.errors import OcspError, StatusAnswerUnrelatedError
from signing.revocation import CertificateStatus, OcspAnswer, RevocationPolicy, RevocationState

SERIAL: Final = re.compile(r"[0-9A-Fa-f]{1,64}")
"""A serial number as pages write it."""

POLICY: Final = RevocationPolicy(allow_sha1=True)
"""Responders of this protocol's time sign with SHA-1."""

_MEDIA_TYPE: Final = "application/ocsp-request"  # RFC 6960 §A.1
_CERTIFICATES_MAX: Final = 64
_NUMBERS: Final = {RevocationState.GOOD: 0, RevocationState.REVOKED: 1, RevocationState.UNKNOWN: 2}


def build(call: FunctionCall) -> str:
    """ATL_BuildTobesignedOCSPRequest: TBSRequest for one certificate or several, of one authority."""
    issuer = call.certificate("b64ReqIssuerCert")
    return encoded(revocation.to_be_signed(_serials(call, "certSN"), _nonce(call), issuer))


async def query(call: FunctionCall) -> None:
    """ATL_QueryOCSfromSignedOCSPRequest: ask a listed responder; what it answers stays in the session.

    Raises:
        LibraryError: 5005, the request is about other certificates than the page says.
        signing.errors.SigningError: signature.invalid, the page's signature on the request does not hold;
            otherwise as `judge`.
        AgentError: host.not_listed, host.unreachable.
    """
    call.session.ocsp_answer = None
    tbs, sender, issuer = (
        call.data("b64TbsOcspReq"),
        call.certificate("b64SenderCert"),
        call.certificate("b64ReqIssuerCert"),
    )
    responder, signature = call.certificate("b64ServerCert"), call.data("b64TbsReqSig")
    if revocation.question_in(tbs)[0] != _serials(call, "certSNs"):
        raise LibraryError(LibraryCode.PARAMETER)
    algorithm = named_hash(signature, sender)
    await call.operations.verify(tbs, signature, sender, algorithm)
    question = revocation.signed_request(tbs, signature, algorithm, sender)
    url = call.hosts.at(call.text("serverUrl"))
    await call.operations.permit(call.caller, Verb.READ)
    answer = await call.hosts.post(url, question, _MEDIA_TYPE)
    call.session.ocsp_answer = judge(answer, tbs, issuer, responder, datetime.now(UTC))


def judge(answer: bytes, tbs: bytes, issuer: bytes, responder: bytes, at: datetime) -> OcspAnswer:
    """Return what the answer to the question `tbs` says.

    Raises:
        signing.errors.StatusAnswerError: certificate.status_forged, certificate.status_stale,
            certificate.status_unusable.
        OcspError: it answers another question.
    """
    numbers, nonce = revocation.question_in(tbs)
    try:
        return revocation.judge_ocsp_answer(
            answer, numbers, issuer, at, nonce=nonce, responder=responder, policy=POLICY
        )
    except StatusAnswerUnrelatedError as error:
        raise OcspError(str(error)) from error


def response_status(call: FunctionCall) -> int:
    """ATL_OCSPGetResponseStatus: OCSPResponseStatus of the last answer, 0 successful."""
    answer = _answer(call)
    if answer.certificates:
        _certificate(call)
    return answer.response_status


def certificate_status(call: FunctionCall) -> int:
    """ATL_OCSPGetCertStatus: 0 good, 1 revoked, 2 unknown; counted from 0 in the order of the request."""
    return _NUMBERS[_certificate(call).state]


def revocation_reason(call: FunctionCall) -> int:
    """ATL_OCSPGetRevokeReason: the CRLReason's number.

    Raises:
        LibraryError: 5050, not revoked.
    """
    found = _certificate(call)
    if found.state is not RevocationState.REVOKED:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return found.reason.number


def _answer(call: FunctionCall) -> OcspAnswer:
    if call.session.ocsp_answer is None:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return call.session.ocsp_answer


def _certificate(call: FunctionCall) -> CertificateStatus:
    certificates, index = _answer(call).certificates, call.numbers["idx"]
    if not certificates:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    if not 0 <= index < len(certificates):
        raise LibraryError(LibraryCode.PARAMETER)
    return certificates[index]


def _serials(call: FunctionCall, name: str) -> tuple[int, ...]:
    words = [word.strip() for word in call.text(name).rstrip(", ").split(",")]
    if len(words) > _CERTIFICATES_MAX or not all(SERIAL.fullmatch(word) for word in words):
        raise LibraryError(LibraryCode.PARAMETER)
    return tuple(int(word, 16) for word in words)


def _nonce(call: FunctionCall) -> bytes:
    try:
        return bytes.fromhex(call.text("hexNonce"))
    except ValueError:
        raise LibraryError(LibraryCode.PARAMETER) from None
