"""Asking an authority whether certificates are revoked (OCSP, RFC 6960): the question and what is answered.

Nothing here connects to anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from signing.asn1 import authority_hashes, certificate, parsing
from signing.errors import (
    CertificateError,
    OcspError,
    OcspUnrelatedError,
    OcspUntrustedError,
    SignatureInvalidError,
)
from signing.hashes import Hash
from signing.verify import verify

if TYPE_CHECKING:
    from asn1crypto.ocsp import ResponseData, SingleResponse, TBSRequest

GOOD, REVOKED, UNKNOWN = range(3)
SUCCESSFUL: Final = 0
CERTIFICATES_MAX: Final = 64
NONCE_MAX: Final = 128

_STATUSES: Final = {"good": GOOD, "revoked": REVOKED, "unknown": UNKNOWN}
# RFC 5280 §5.3.1, as asn1crypto calls them.
_REASONS: Final = {
    "unspecified": 0,
    "key_compromise": 1,
    "ca_compromise": 2,
    "affiliation_changed": 3,
    "superseded": 4,
    "cessation_of_operation": 5,
    "certificate_hold": 6,
    "remove_from_crl": 8,
    "privilege_withdrawn": 9,
    "aa_compromise": 10,
}
_SIGNATURE_NAMES: Final = {
    Hash.SHA_1: "sha1_rsa",
    Hash.SHA_224: "sha224_rsa",
    Hash.SHA_256: "sha256_rsa",
    Hash.SHA_384: "sha384_rsa",
    Hash.SHA_512: "sha512_rsa",
}
_HASHES: Final = {name.removesuffix("_rsa"): algorithm for algorithm, name in _SIGNATURE_NAMES.items()}
_CLOCKS_DIFFER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is answered of one certificate.

    Attributes:
        status: GOOD, REVOKED or UNKNOWN.
        reason: CRLReason's number where it is revoked; 0 where no reason is given.
    """

    status: int
    reason: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a responder answers.

    Attributes:
        status: OCSPResponseStatus (RFC 6960 §4.2.1), 0 successful.
        certificates: in the order of the question; empty unless successful.
    """

    status: int
    certificates: tuple[CertificateStatus, ...]


def build(serial_numbers: Sequence[int], nonce: bytes, issuer: bytes) -> bytes:
    """The part of a question that is signed: TBSRequest, DER (RFC 6960 §4.1.1).

    Args:
        serial_numbers: of the certificates asked about, 1 to 64.
        nonce: at most 128 bytes (RFC 8954 §2.1 says 32 for new ones); empty for none.
        issuer: the certificate of the authority that issued all of them.

    Raises:
        CertificateMalformedError: `issuer` cannot be read.
        OcspError: too many, none, or too long.
    """
    from asn1crypto.core import OctetString
    from asn1crypto.ocsp import TBSRequest

    if not 0 < len(serial_numbers) <= CERTIFICATES_MAX or len(nonce) > NONCE_MAX:
        raise OcspError
    # SHA-1 here names the authority and protects nothing; responders need not know any other (RFC 5019).
    authority = authority_hashes(issuer, Hash.SHA_1)
    fields: dict[str, Any] = {
        "request_list": [
            {
                "req_cert": {
                    "hash_algorithm": {"algorithm": "sha1"},
                    "issuer_name_hash": authority[0],
                    "issuer_key_hash": authority[1],
                    "serial_number": number,
                }
            }
            for number in serial_numbers
        ]
    }
    if nonce:
        fields["request_extensions"] = [
            {"extn_id": "nonce", "critical": False, "extn_value": OctetString(nonce)}
        ]
    return bytes(TBSRequest(fields).dump())


def asked(tbs: bytes) -> tuple[int, ...]:
    """The serial numbers that a TBSRequest asks about.

    Raises:
        OcspError: it is none.
    """
    with parsing(tbs, OcspError):
        return tuple(item["req_cert"]["serial_number"].native for item in _request(tbs)["request_list"])


def signed(tbs: bytes, signature: bytes, algorithm: Hash, sender: bytes) -> bytes:
    """The whole question: OCSPRequest, DER, with a signature that the caller has checked.

    Raises:
        OcspError, CertificateMalformedError: `tbs` or `sender` cannot be read.
    """
    from asn1crypto.ocsp import OCSPRequest

    fields = {
        "signature_algorithm": {"algorithm": _SIGNATURE_NAMES[algorithm]},
        "signature": signature,
        "certs": [certificate(sender)],
    }
    with parsing(tbs, OcspError):
        return bytes(OCSPRequest({"tbs_request": _request(tbs), "optional_signature": fields}).dump())


def read(response: bytes, tbs: bytes, issuer: bytes, responder: bytes, now: datetime) -> Answer:
    """What `response` answers to the question `tbs`.

    Args:
        response: OCSPResponse, DER.
        tbs: the question's TBSRequest.
        issuer: certificate of the authority asked about.
        responder: certificate of the one that may sign the answer.
        now: aware.

    Raises:
        OcspUntrustedError: the responder's key did not sign it.
        OcspUnrelatedError: out of date, another nonce, or not about the certificates asked about.
        OcspError: it cannot be read.
    """
    from asn1crypto.ocsp import OCSPResponse

    with parsing(response, OcspError):
        whole = OCSPResponse.load(response, strict=True)
        status = int.from_bytes(whole["response_status"].contents, "big")
        if status != SUCCESSFUL:
            return Answer(status, ())
        if whole["response_bytes"]["response_type"].native != "basic_ocsp_response":
            raise OcspError("an answer of an unknown kind")
        basic = whole["response_bytes"]["response"].parsed
        data = basic["tbs_response_data"]
        _check_signature(basic, data.dump(), responder)
        question = _request(tbs)
        _check_fresh(question, data)
        found = tuple(_status(item, data, issuer, now) for item in question["request_list"])
        return Answer(status, found)


def _request(tbs: bytes) -> TBSRequest:
    from asn1crypto.ocsp import TBSRequest

    return TBSRequest.load(tbs, strict=True)


def _check_signature(basic: Any, data: bytes, responder: bytes) -> None:
    used = basic["signature_algorithm"]
    if used.signature_algo != "rsassa_pkcs1v15" or used.hash_algo not in _HASHES:
        raise OcspUntrustedError("signed in a way that is not known")
    try:
        verify(responder, data, bytes(basic["signature"]), _HASHES[used.hash_algo])
    except (SignatureInvalidError, CertificateError) as error:
        raise OcspUntrustedError from error


def _check_fresh(question: TBSRequest, data: ResponseData) -> None:
    """The answer's nonce is the question's; a responder may leave it out (RFC 6960 §4.4.1)."""
    sent, came = (_nonce(fields) for fields in (question["request_extensions"], data["response_extensions"]))
    if came is not None and came != sent:
        raise OcspUnrelatedError("the answer has another nonce")
    if came is None and any(item["next_update"].native is None for item in data["responses"]):
        raise OcspUnrelatedError("without nonce and end, the answer could be of any age")


def _nonce(extensions: Any) -> bytes | None:
    for item in () if extensions.native is None else extensions:
        if item["extn_id"].native == "nonce":
            return bytes(item["extn_value"].contents)
    return None


def _status(item: Any, data: ResponseData, issuer: bytes, now: datetime) -> CertificateStatus:
    wanted = item["req_cert"]["serial_number"].native
    for single in data["responses"]:
        if single["cert_id"]["serial_number"].native == wanted and _same_authority(single, issuer):
            _check_in_time(single, now)
            status = _STATUSES[single["cert_status"].name]
            return CertificateStatus(status, _reason(single) if status == REVOKED else 0)
    raise OcspUnrelatedError("a certificate that was asked about is not in the answer")


def _same_authority(single: SingleResponse, issuer: bytes) -> bool:
    named = single["cert_id"]
    algorithm = _HASHES.get(named["hash_algorithm"]["algorithm"].native)
    if algorithm is None:
        return False
    names = (named["issuer_name_hash"].native, named["issuer_key_hash"].native)
    return names == authority_hashes(issuer, algorithm)


def _check_in_time(single: SingleResponse, now: datetime) -> None:
    begin, end = single["this_update"].native, single["next_update"].native
    if begin > now + _CLOCKS_DIFFER or (end is not None and end < now - _CLOCKS_DIFFER):
        raise OcspUnrelatedError("the answer is not of now")


def _reason(single: SingleResponse) -> int:
    name = single["cert_status"].chosen["revocation_reason"].native
    return _REASONS[name] if name else 0
