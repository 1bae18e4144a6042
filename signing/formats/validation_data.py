"""What makes a signature verifiable later: stamps that were checked, chains, and what authorities said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signing.errors import EvidenceError, TimestampError
from signing.formats import Evidence
from signing.hashes import Hash
from signing.timestamp import verify_token


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
    """A TimeStampToken over what was asked, and the certificate for time stamps that signed it."""

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


async def gather_all(certificates: Iterable[bytes], evidence: Evidence) -> ValidationData:
    """Return the same for several certificates together, themselves and everything else once."""
    found: tuple[dict[bytes, None], ...] = ({}, {}, {})
    for each in certificates:
        data = await gather(each, evidence)
        for known, new in zip(found, ((each, *data.certificates), data.ocsp, data.crls), strict=True):
            known.update(dict.fromkeys(new))
    return ValidationData(*map(tuple, found))


async def stamped(octets: bytes, evidence: Evidence, algorithm: Hash = Hash.SHA_256) -> CheckedStamp:
    """Return a time stamp over these octets.

    Raises:
        EvidenceError: there is none, it is over something else, or nobody signed it who may.
    """
    token = await evidence.timestamp(algorithm.digest(octets), algorithm)
    try:
        return CheckedStamp(token, verify_token(octets, token).certificate)
    except TimestampError as error:
        raise EvidenceError(f"the time stamp does not hold: {error}") from error
