"""Signatures that say themselves which hash they were made with, and signatures on certificates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall, Implementation
from signing.certificate import check_signed_by, public_key
from signing.errors import HashUnsupportedError, SignatureInvalidError
from signing.hashes import Hash
from signing.trust import check_period

# RFC 8017 appendix C: …WithRSAEncryption.
_SIGNATURE_OIDS: Final = {
    Hash.SHA_1: "1.2.840.113549.1.1.5",
    Hash.SHA_224: "1.2.840.113549.1.1.14",
    Hash.SHA_256: "1.2.840.113549.1.1.11",
    Hash.SHA_384: "1.2.840.113549.1.1.12",
    Hash.SHA_512: "1.2.840.113549.1.1.13",
}


async def verify_by_certificate2(call: FunctionCall) -> None:
    """ATL_VerifySignatureByCert2: the hash is the one the signature names."""
    await verify(call, call.data("b64Data"), call.data("b64Sig"), call.certificate("b64Cert"))


async def verify(call: FunctionCall, document: bytes, signature: bytes, certificate: bytes) -> None:
    """Verify with the hash that the signature names; it is one of those this program knows, or invalid."""
    await call.operations.verify(document, signature, certificate, named_hash(signature, certificate))


def algorithm_function(signature: str, certificate: str) -> Implementation:
    """Return ATL_CryptSignatureGetAlgorithm for these arguments: the dotted OID of the RSA algorithm."""
    return lambda call: _SIGNATURE_OIDS[named_hash(call.data(signature), call.certificate(certificate))]


def named_hash(signature: bytes, certificate: bytes) -> Hash:
    """Return the hash in the signature's DigestInfo (RFC 8017 §9.2).

    Raises:
        LibraryError: 9052, the key opens no DigestInfo.
        signing.errors.CertificateMalformedError: if it is no certificate with an RSA key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    key = public_key(certificate)
    try:
        info = key.recover_data_from_signature(signature, PKCS1v15(), None)
    except (InvalidSignature, ValueError):
        raise LibraryError(LibraryCode.SIGNATURE_INVALID) from None
    found = Hash.of_digest_info(info)
    if found is None:
        raise LibraryError(LibraryCode.SIGNATURE_INVALID)
    return found[0]


def verify_certificate(call: FunctionCall) -> None:
    """ATL_VerifyCertSignature: whether the key of `caCert` verifies the signature on `cert`, and no more."""
    check_issued(call.certificate("cert"), call.certificate("caCert"))


def validate_certificate(call: FunctionCall) -> None:
    """HCA_CertValidate: in time, and signed by the CA certificate given. Revocation is not looked at."""
    certificate = call.certificate("bCert")
    check_issued(certificate, call.certificate("bCACert"))
    check_period(certificate, datetime.now(UTC))


def check_issued(certificate: bytes, authority: bytes) -> None:
    """Return if the authority's key made the signature on the certificate.

    Raises:
        LibraryError: 5016, it did not; 5060, one of them cannot be read.
    """
    public_key(authority)
    try:
        check_signed_by(certificate, authority)
    except SignatureInvalidError:
        raise LibraryError(LibraryCode.CERTIFICATE_SIGNATURE) from None
    except HashUnsupportedError:
        raise LibraryError(LibraryCode.NOT_SUPPORTED) from None
