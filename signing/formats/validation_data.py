"""What makes a signature verifiable later: stamps that were checked, chains, and what authorities said."""

from __future__ import annotations

from dataclasses import dataclass

from signing.asn1 import parsing
from signing.certificate import parsed
from signing.errors import EvidenceError, TimestampError
from signing.formats import Evidence
from signing.hashes import Hash


@dataclass(frozen=True, slots=True)
class ValidationData:
    """All that is needed to verify a certificate's path without a network.

    Attributes:
        certificates: the certificate's issuers, nearest first and the root last, DER.
        ocsp: OCSPResponses, DER.
        crls: CertificateLists, DER.
    """

    certificates: tuple[bytes, ...]
    ocsp: tuple[bytes, ...]
    crls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CheckedStamp:
    """A TimeStampToken over what was asked, with its authority's certificate where it carries that."""

    token: bytes
    certificate: bytes


async def gather(certificate: bytes, evidence: Evidence) -> ValidationData:
    """Return what is said of a certificate and of each of its issuers but the root.

    Raises:
        EvidenceError: something of it was not to be had.
    """
    chain = await evidence.chain(certificate)
    ocsp: list[bytes] = []
    crls: list[bytes] = []
    for each, issuer in zip((certificate, *chain), chain, strict=False):
        if each == issuer:
            break
        answer = await evidence.revocation(each, issuer)
        if answer.ocsp and answer.ocsp not in ocsp:
            ocsp.append(answer.ocsp)
        if answer.crl and answer.crl not in crls:
            crls.append(answer.crl)
    return ValidationData(chain, tuple(ocsp), tuple(crls))


async def stamped(octets: bytes, evidence: Evidence, algorithm: Hash = Hash.SHA_256) -> CheckedStamp:
    """Return a time stamp over these octets.

    Raises:
        EvidenceError: there is none, or it is over something else.
    """
    imprint = algorithm.digest(octets)
    token = await evidence.timestamp(imprint, algorithm)
    from asn1crypto import cms, tsp

    with parsing(token, TimestampError):
        signed = cms.ContentInfo.load(token, strict=True)["content"]
        info = tsp.TSTInfo.load(bytes(signed["encap_content_info"]["content"].contents), strict=True)
        if bytes(info["message_imprint"]["hashed_message"]) != imprint:
            raise EvidenceError("the time stamp is over something else")
        sid = signed["signer_infos"][0]["sid"]
        inside = [each.chosen.dump() for each in signed["certificates"] if each.name == "certificate"]
        if sid.name == "issuer_and_serial_number":
            wanted = bytes(sid.chosen["serial_number"].contents)
            inside = [der for der in inside if parsed(der).serial_number == wanted]
    return CheckedStamp(token, inside[0] if inside else b"")
