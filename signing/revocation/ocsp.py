"""An OCSP answer (RFC 6960) as the word of a certificate's issuer, or of a responder it appointed."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Final

from signing.asn1 import authority_hashes
from signing.certificate import load
from signing.errors import StatusAnswerForgedError, StatusAnswerUnusableError
from signing.hashes import Hash
from signing.revocation.status import SKEW, Source, Standing, State, check_hash, check_times

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from cryptography.x509.ocsp import OCSPResponse, OCSPSingleResponse

_NONCE_BYTES: Final = 16
_NAMING_HASHES: Final = {algorithm.value.replace("-", "").lower(): algorithm for algorithm in Hash}


def ocsp_request(der: bytes, issuer: bytes) -> tuple[bytes, bytes]:
    """A question for an OCSP responder, and the nonce in it (RFC 6960 §4.1, §4.4.1).

    Raises:
        CertificateMalformedError: one of the two cannot be read.
    """
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import OCSPNonce
    from cryptography.x509.ocsp import OCSPRequestBuilder

    nonce = secrets.token_bytes(_NONCE_BYTES)
    # SHA-1 names the issuer here, it protects nothing; it is the one hash that every responder knows.
    request = (
        OCSPRequestBuilder()
        .add_certificate(load(der), load(issuer), SHA1())  # noqa: S303
        .add_extension(OCSPNonce(nonce), critical=False)
        .build()
    )
    return request.public_bytes(Encoding.DER), nonce


def judge_ocsp(
    answer: bytes, der: bytes, issuer: bytes, at: datetime, *, nonce: bytes | None = None
) -> Standing:
    """What an OCSP answer says of the certificate.

    Args:
        answer: OCSPResponse, DER.
        der: the certificate.
        issuer: its issuer's certificate, trusted by the caller.
        at: the moment that counts, aware.
        nonce: what the question held; None for an answer that was kept from earlier. An answer without any
            is taken: responders that sign ahead of time cannot repeat it (RFC 6960 §4.4.1).

    Raises:
        StatusAnswerForgedError: nobody whom the issuer appointed signed it, or it answers another question.
        StatusAnswerStaleError: it is out of time.
        StatusAnswerUnusableError: it is no answer, or says nothing of this certificate.
        CertificateMalformedError: one of the certificates cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus, load_der_ocsp_response

    certificate, authority = load(der), load(issuer)
    try:
        response = load_der_ocsp_response(answer)
        if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
            raise StatusAnswerUnusableError(f"the responder says {response.response_status.name}")
        _check_responder(response, authority, at)
        _check_nonce(response, nonce)
        single = _about(response, certificate.serial_number, issuer)
        check_times(single.this_update_utc, single.next_update_utc, at)
        state = {
            OCSPCertStatus.GOOD: State.GOOD,
            OCSPCertStatus.REVOKED: State.REVOKED,
            OCSPCertStatus.UNKNOWN: State.UNKNOWN,
        }[single.certificate_status]
        reason = single.revocation_reason
        return Standing(
            state,
            Source.OCSP,
            single.this_update_utc,
            single.next_update_utc,
            single.revocation_time_utc,
            reason.value if reason else "",
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise StatusAnswerUnusableError("the OCSP answer cannot be read") from error


def _check_nonce(response: OCSPResponse, nonce: bytes | None) -> None:
    from cryptography.x509 import ExtensionNotFound, OCSPNonce

    if nonce is None:
        return
    try:
        repeated = response.extensions.get_extension_for_class(OCSPNonce).value.nonce
    except ExtensionNotFound:
        return
    if repeated != nonce:
        raise StatusAnswerForgedError("the answer was given to another question")


def _check_responder(response: OCSPResponse, authority: Certificate, at: datetime) -> None:
    """Return if the issuer, or somebody it appointed, signed the answer (RFC 6960 §4.2.2.2)."""
    check_hash(response.signature_hash_algorithm)
    signers = [authority, *(each for each in response.certificates if _appointed(each, authority, at))]
    named = [each for each in signers if _is_responder(response, each)]
    if not any(_signed(response, each) for each in named):
        raise StatusAnswerForgedError("nobody whom the issuer appointed signed this answer")


def _is_responder(response: OCSPResponse, signer: Certificate) -> bool:
    from cryptography.x509 import SubjectKeyIdentifier

    if response.responder_name is not None:
        return response.responder_name == signer.subject
    return response.responder_key_hash == SubjectKeyIdentifier.from_public_key(signer.public_key()).digest


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


def _signed(response: OCSPResponse, signer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, PKCS1v15(), algorithm)
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _about(response: OCSPResponse, serial_number: int, issuer: bytes) -> OCSPSingleResponse:
    for single in response.responses:
        algorithm = _NAMING_HASHES.get(single.hash_algorithm.name)
        if single.serial_number != serial_number or algorithm is None:
            continue
        if (single.issuer_name_hash, single.issuer_key_hash) == authority_hashes(issuer, algorithm):
            return single
    raise StatusAnswerForgedError("the answer is about other certificates")
