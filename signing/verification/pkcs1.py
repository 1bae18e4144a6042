"""Read a bare signature, PKCS#1 v1.5 or ECDSA, that stands beside its document and certificate."""

from __future__ import annotations

from signing.errors import CertificateError, HashUnsupportedError, SignatureFormatError, SignatureInvalidError
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verification.found import Finding, FoundDocument, FoundSignature, Remark
from signing.verify import check_format, verify


def can_be_value(certificate: bytes, signature: bytes) -> bool:
    """Return whether these octets can be a bare signature of the certificate's key: its length, no text."""
    try:
        check_format(certificate, signature)
    except (SignatureFormatError, CertificateError):
        return False
    return True


def read_pkcs1(document: bytes, signature: bytes, certificate: bytes, algorithm: Hash) -> FoundDocument:
    """Return the one signature there is.

    Args:
        document: what should have been signed.
        signature: the value alone.
        certificate: the signer's, DER.
        algorithm: the hash; it is never taken from the signature itself.
    """
    remarks: tuple[Remark, ...] = ()
    try:
        verify(certificate, document, signature, algorithm)
    except SignatureInvalidError:
        remarks = (Remark(Finding.CONTENT_CHANGED),)
    except CertificateError as error:
        remarks = (Remark(Finding.CERTIFICATE_UNREADABLE, str(error)[:80]),)
    except HashUnsupportedError as error:
        remarks = (Remark(Finding.ALGORITHM_UNKNOWN, str(error)[:80]),)
    found = FoundSignature(
        SignatureFormat.PKCS1, certificate, intact=not remarks, remarks=remarks, hash=algorithm
    )
    return FoundDocument("pkcs1", (found,))
