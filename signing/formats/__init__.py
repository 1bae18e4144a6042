"""Signed documents: what each format needs around the one thing that a card does.

A card signs a digest, and nothing else. A format is therefore three steps, of which only the second needs it:

    ready = form.prepare(document, signer, hash, when)    # any thread, while the person types the PIN
    check_document(ready.signed)                          # no login can be made of it (signing.guard)
    value = sign_digest(card, ready.digest, …)            # the reader's thread, in the PIN's transaction
    signed = ready.finish(value)                          # any thread: baseline level B-B
    signed = await form.augment(signed, level, evidence)  # B-T to B-LTA: the network, by `Evidence`

Whoever implements a `Form` writes no card code, and whoever drives cards knows no format. A prepared document
is bound to the certificate that it was prepared for: where the card has another by the time it signs, it is
prepared again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from signing.hashes import Hash


class SignatureFormat(StrEnum):
    """What a signed document is, by the names that `--format` and the native API use."""

    PKCS1 = "pkcs1"
    CMS = "cms"
    CADES = "cades"
    XMLDSIG = "xmldsig"
    XADES = "xades"
    EMR = "emr"
    PADES = "pades"
    JWS = "jws"
    FHIR = "fhir"


class Level(StrEnum):
    """The baseline levels of ETSI EN 319 122-1, 319 132-1 and 319 142-1 (clause 6)."""

    B_B = "B-B"
    B_T = "B-T"
    B_LT = "B-LT"
    B_LTA = "B-LTA"

    def reaches(self, other: Level) -> bool:
        """Return whether a signature of this level is also one of the `other`."""
        order = list(Level)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature it will be.

    Attributes:
        certificate: DER; its key decides the algorithm (RSA: PKCS#1 v1.5 or PSS; EC: ECDSA).
        chain: DER of its issuers, nearest first, the root last where it is known.
    """

    certificate: bytes
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """A document with everything in place but the signature.

    Attributes:
        signed: what the signature covers: signed attributes, SignedInfo, a JWS signing input. The card signs
            its digest; whoever has that done asks `signing.guard` first, whatever the format.
        hash: what it is digested with.
        finish: takes the signature value (RSA: big-endian, as long as the modulus; ECDSA: DER
            Ecdsa-Sig-Value, RFC 3279 §2.2.3) and returns the signed document at level B-B.
    """

    signed: bytes
    hash: Hash
    finish: Callable[[bytes], bytes]

    @property
    def digest(self) -> bytes:
        """What the card signs."""
        return self.hash.digest(self.signed)


class Evidence(Protocol):
    """Where what lies beside a signature comes from; the agent fetches it, tests make it.

    Every method may raise `signing.errors.EvidenceError`, whose sentence says what was not to be had.
    """

    async def timestamp(self, imprint: bytes, algorithm: Hash) -> bytes:
        """Return a TimeStampToken over that digest: ContentInfo, DER (RFC 3161 §2.4.2)."""

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the issuers of a certificate, nearest first and the trusted root last, DER."""

    async def revocation(self, certificate: bytes, issuer: bytes) -> RevocationEvidence:
        """Return what its authority says of a certificate now."""


@dataclass(frozen=True, slots=True)
class RevocationEvidence:
    """One answer of an authority, as it came: one of the two is empty.

    Attributes:
        ocsp: OCSPResponse, DER (RFC 6960 §4.2.1).
        crl: CertificateList, DER (RFC 5280 §5.1).
    """

    ocsp: bytes = b""
    crl: bytes = b""


class Form(Protocol):
    """One format with its options; an immutable object that a command or a page has chosen."""

    @property
    def format(self) -> SignatureFormat:
        """Which one."""

    @property
    def suffix(self) -> str:
        """What is added to the file's name, or put in front of its ending: `.p7s`, `.signed.pdf`."""

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return what the card has to sign. It may block, and opens no connection.

        Raises:
            DocumentRefusedError: the document looks like a login (`signing.guard`).
            DocumentUnusableError: it is not of a kind that this format can sign; the detail says why.
        """

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the signed document at a higher level.

        Raises:
            EvidenceError: what is needed for it was not to be had.
            DocumentUnusableError: this format has no such level.
        """
