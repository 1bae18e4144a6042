"""What a person, a page and a program learn of a signed document."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """The one word; ETSI EN 319 102-1 (clause 5) says TOTAL-PASSED, INDETERMINATE, TOTAL-FAILED."""

    VALID = "valid"
    REMARK = "valid-with-remark"
    UNDECIDED = "cannot-be-decided"
    INVALID = "invalid"


class TimeSource(StrEnum):
    """By whose clock a signature was made."""

    STAMP = "time-stamp"
    SIGNER = "signer"
    NONE = "none"


class _Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class RemarkReport(_Report, frozen=True, kw_only=True):
    """A finding in words: its id (`signing.verification.findings`), what it is about, both sentences."""

    finding: str
    zh: str
    en: str
    detail: str = ""


class PersonReport(_Report, frozen=True, kw_only=True):
    """Who signed, as the certificate says.

    Attributes:
        name: common name.
        category: 類別 of the personnel or institution; empty where the certificate says none.
        institution: the institution, or the unit where somebody works.
        card: kind of card, as `hca_card.model.CardKind` calls it; empty where it cannot be told.
        simulated: issued by this program's simulator.
    """

    name: str
    category: str = ""
    institution: str = ""
    card: str = ""
    simulated: bool = False


class ChainReport(_Report, frozen=True, kw_only=True):
    """One certificate of the path: its subject and its SHA-256, hexadecimal."""

    subject: str
    sha256: str


class RevocationReport(_Report, frozen=True, kw_only=True):
    """How the signer's certificate stood at the moment that counts.

    Attributes:
        state: good, revoked, or unknown.
        source: OCSP or CRL; empty without any.
        embedded: the evidence came with the signature.
        at: the moment of the answer.
        revoked_at: since when.
    """

    state: str
    source: str = ""
    embedded: bool = False
    at: datetime | None = None
    revoked_at: datetime | None = None


class SignatureReport(_Report, frozen=True, kw_only=True):
    """One signature.

    Attributes:
        number: 1 for the first one made.
        format: `signing.formats.SignatureFormat`.
        level: the baseline level it reaches; empty where it reaches none.
        verdict: of this signature alone.
        signer: None where the certificate is missing or unreadable.
        time: the moment that counts: the time stamp's, else the signer's own.
        time_source: whose clock that is.
        time_authority: who stamped it.
        unchanged: what was signed is what is there.
        signs: what it is over; empty for the whole document.
        over: the number of the signature that it countersigns; 0 for none.
        reason: what the signer says it is for.
        algorithm: such as "RSA 2048, SHA-256".
        chain: root first, the signer last; empty without a trusted path.
        revocation: of the signer's certificate.
        remarks: worst first.
    """

    number: int
    format: str
    verdict: Verdict
    unchanged: bool
    level: str = ""
    signer: PersonReport | None = None
    time: datetime | None = None
    time_source: TimeSource = TimeSource.NONE
    time_authority: str = ""
    signs: str = ""
    over: int = 0
    reason: str = ""
    algorithm: str = ""
    chain: tuple[ChainReport, ...] = ()
    revocation: RevocationReport | None = None
    remarks: tuple[RemarkReport, ...] = ()


class DocumentReport(_Report, frozen=True, kw_only=True):
    """A document with all its signatures.

    Attributes:
        name: the file's; empty for what a page sent.
        kind: `pdf`, `cms`, `xml`, `emr`, `jws`, `fhir`, `pkcs1` or `unknown`.
        size: bytes.
        sha256: of the document as it was given, hexadecimal.
        verdict: the worst of the signatures'.
        zh: the verdict in one sentence.
        en: the same.
        signatures: in the order in which they were made.
        remarks: of the document and no signature.
    """

    name: str
    kind: str
    size: int
    sha256: str
    verdict: Verdict
    zh: str
    en: str
    signatures: tuple[SignatureReport, ...] = ()
    remarks: tuple[RemarkReport, ...] = ()
