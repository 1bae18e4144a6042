"""What a format's reader found in a signed document, before anybody is trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verification.findings import Finding, Remark


@dataclass(frozen=True, slots=True)
class FoundStamp:
    """A time stamp in a signature.

    Attributes:
        token: TimeStampToken, DER.
        covered: the octets whose digest it must be of; in pieces of the document where they are many.
        archive: it protects the whole signature with its evidence (B-LTA), not only the signature value.
    """

    token: bytes
    covered: bytes | tuple[memoryview, ...]
    archive: bool = False


@dataclass(frozen=True, slots=True)
class FoundSignature:
    """One signature as its reader took it apart.

    Attributes:
        format: what it is.
        certificate: the signer's, DER; None where it is neither inside nor given.
        intact: the signature value fits the certificate's key and everything that it covers. False is INVALID
            whoever signed.
        remarks: what the reader has to say: why it is not intact, what was changed and where, weak
            algorithms, what is not covered.
        hash: the hash under the signature; None where it is unknown.
        claimed_time: the signer's own clock, aware.
        binds_certificate: the signed part names the certificate's digest (signing-certificate-v2).
        certificates: others that came with it, DER.
        ocsp: OCSPResponses that came with it, DER.
        crls: CertificateLists that came with it, DER.
        stamps: in the order in which they were made.
        signs: what it is over, in the format's words (a field's name, a reference's URI); empty for all.
        reason: what the signer says it is for.
        over: 0 where it is over the document, else the 1-based number of the signature it countersigns.
    """

    format: SignatureFormat
    certificate: bytes | None
    intact: bool
    remarks: tuple[Remark, ...] = ()
    hash: Hash | None = None
    claimed_time: datetime | None = None
    binds_certificate: bool = False
    certificates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    stamps: tuple[FoundStamp, ...] = ()
    signs: str = ""
    reason: str = ""
    over: int = 0


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """All signatures of a document, in the order in which they were made.

    Attributes:
        kind: what the document is, one of the words of `report.DocumentReport.kind`.
        remarks: what is to be said of the document and of no signature.
    """

    kind: str
    signatures: tuple[FoundSignature, ...]
    remarks: tuple[Remark, ...] = field(default=())


__all__ = ["Finding", "FoundDocument", "FoundSignature", "FoundStamp", "Remark"]
