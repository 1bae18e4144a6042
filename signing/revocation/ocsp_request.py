"""Build OCSP requests (RFC 6960 §4.1), also for several certificates and with a signature.

cryptography's builder takes one certificate and no signature, and its reader takes one certificate.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from hca_card.tlv import read
from signing.asn1 import parsing
from signing.certificate import parsed
from signing.errors import OcspError
from signing.hashes import Hash

if TYPE_CHECKING:
    from asn1crypto.ocsp import TBSRequest
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

CERTIFICATES_MAX: Final = 64
NONCE_MAX: Final = 128
_NONCE_BYTES: Final = 16


def ocsp_request(der: bytes, issuer: bytes) -> tuple[bytes, bytes]:
    """Return a question about one certificate, and the nonce in it (RFC 6960 §4.4.1).

    Raises:
        CertificateMalformedError: one of the two cannot be read.
    """
    from asn1crypto.ocsp import OCSPRequest

    nonce = secrets.token_bytes(_NONCE_BYTES)
    tbs = to_be_signed((parsed(der).number,), nonce, issuer)
    return bytes(OCSPRequest({"tbs_request": _request(tbs)}).dump()), nonce


def to_be_signed(serial_numbers: Sequence[int], nonce: bytes, issuer: bytes) -> bytes:
    """Return the part of a question that is signed: TBSRequest, DER (RFC 6960 §4.1.1).

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
    from cryptography.hazmat.primitives.hashes import SHA1

    if not 0 < len(serial_numbers) <= CERTIFICATES_MAX or len(nonce) > NONCE_MAX:
        raise OcspError
    # SHA-1 here names the authority and protects nothing; responders need not know any other (RFC 5019).
    name, key = authority_hashes(issuer, SHA1())  # noqa: S303
    named = {
        "hash_algorithm": {"algorithm": "sha1"},
        "issuer_name_hash": name,
        "issuer_key_hash": key,
    }
    fields: dict[str, Any] = {
        "request_list": [{"req_cert": {**named, "serial_number": number}} for number in serial_numbers]
    }
    if nonce:
        fields["request_extensions"] = [
            {"extn_id": "nonce", "critical": False, "extn_value": OctetString(nonce)}
        ]
    return bytes(TBSRequest(fields).dump())


def question_in(tbs: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return the serial numbers that a TBSRequest asks about, and its nonce, empty where it has none.

    Raises:
        OcspError: it is none.
    """
    with parsing(tbs, OcspError):
        request = _request(tbs)
        numbers = tuple(item["req_cert"]["serial_number"].native for item in request["request_list"])
        extensions = request["request_extensions"]
        for item in () if extensions.native is None else extensions:
            if item["extn_id"].native == "nonce":
                return numbers, bytes(item["extn_value"].parsed.native)
        return numbers, b""


def signed_request(tbs: bytes, signature: bytes, algorithm: Hash, sender: bytes) -> bytes:
    """Return the whole question: OCSPRequest, DER, with a signature that the caller has checked.

    Raises:
        OcspError, CertificateMalformedError: `tbs` or `sender` cannot be read.
    """
    from asn1crypto.ocsp import OCSPRequest
    from asn1crypto.x509 import Certificate

    fields = {
        "signature_algorithm": {"algorithm": algorithm.value.replace("-", "").lower() + "_rsa"},
        "signature": signature,
        "certs": [Certificate.load(parsed(sender).der)],
    }
    with parsing(tbs, OcspError):
        return bytes(OCSPRequest({"tbs_request": _request(tbs), "optional_signature": fields}).dump())


def authority_hashes(issuer: bytes, algorithm: HashAlgorithm) -> tuple[bytes, bytes]:
    """Return the hashes of an authority's own name and key, by which OCSP names it (RFC 6960 §4.1.1).

    Not cryptography's request builder: it takes the name from the issuer field of the certificate that is
    asked about, and an authority's own has another one there unless it is the root.
    """
    from cryptography.hazmat.primitives.hashes import Hash as Hashing

    authority = parsed(issuer)
    key = read(authority.public_key)[0].children[1].value[1:]
    found = []
    for octets in (authority.subject, key):
        hashing = Hashing(algorithm)
        hashing.update(octets)
        found.append(hashing.finalize())
    return found[0], found[1]


def _request(tbs: bytes) -> TBSRequest:
    from asn1crypto.ocsp import TBSRequest

    return TBSRequest.load(tbs, strict=True)
