"""The messages of the native API: what each method takes and gives, and what the agent sends unasked.

These types are the schema: `agent.native.schema` publishes them, msgspec decodes into them and refuses
whatever is not in them. Names are camelCase on the wire; bytes are base64 (RFC 4648 §4), times ISO 8601, UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from agent.native.limits import DOCUMENT_BYTES_MAX
from agent.vocabulary import Errand, SessionEnd
from signing.verification.report import DocumentReport

BLOCK_BYTES_MAX = 1024
"""One RSA block, with keys that no card has yet."""

CertificateIndex = Annotated[int, Meta(ge=0, le=4)]
CertificateDer = Annotated[bytes, Meta(max_length=64 * 1024, description="DER, base64")]
SessionId = Annotated[str, Meta(min_length=1, max_length=128)]
BatchName = Annotated[str, Meta(min_length=1, max_length=64)]
Digest = Annotated[bytes, Meta(min_length=20, max_length=64, description="base64")]
Document = Annotated[bytes, Meta(max_length=DOCUMENT_BYTES_MAX, description="base64")]
Words = Annotated[str, Meta(max_length=256)]
ReaderName = Annotated[str, Meta(min_length=1, max_length=256)]
HashName = Literal["SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"]
KeyName = Literal["signature", "encryption"]
Format = Literal["pkcs1", "cms", "cades", "xades", "xmldsig", "pades", "emr", "jws", "fhir"]
LevelName = Literal["B-B", "B-T", "B-LT", "B-LTA"]
CipherFormat = Literal["pkcs1", "cms"]
Certificates = Annotated[tuple[CertificateDer, ...], Meta(min_length=1, max_length=32)]
KindName = Literal["hpc", "hop", "hop-secondary", "nhi", "citizen", "pkcs15"]
CardKinds = Annotated[tuple[KindName, ...], Meta(min_length=1, max_length=6)]
ReaderState = Literal["empty", "card", "mute", "busy", "unnameable", "unavailable"]


class NativeMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A message: immutable, camelCase, without members that are not named."""


T = TypeVar("T")


def given(member: T | UnsetType) -> T | None:
    """Return a member of a message, None where it was left out."""
    return None if isinstance(member, UnsetType) else member


class BilingualText(NativeMessage, frozen=True):
    """One sentence or word in both languages."""

    zh: str
    en: str


class NoParams(NativeMessage, frozen=True):
    """The parameters of a method that takes none."""


class ReaderParams(NativeMessage, frozen=True):
    """The parameters of a method that may name its reader.

    Attributes:
        reader: left out where there is one card, or the person is to choose.
    """

    reader: ReaderName | UnsetType = UNSET


class CardParams(ReaderParams, frozen=True):
    """The parameters of a method that may name its reader, or the kinds of card it is meant for.

    Attributes:
        card_kind: left out where any kind will do; a card of another kind is refused as `card.wrong_kind`.
    """

    card_kind: CardKinds | UnsetType = UNSET


class ErrandParams(NativeMessage, frozen=True):
    """Have an errand done for the person at this computer."""

    errand: Errand


class ErrandDone(BilingualText, frozen=True):
    """What became of it; empty where the person has seen that."""


class AgentHello(NativeMessage, frozen=True):
    """What answers.

    Attributes:
        agent: the program's name.
        version: the program's version.
        api: the version of this API.
        capabilities: the methods it knows.
        simulated: whether any of its readers is a simulated one.
    """

    agent: str
    version: str
    api: int
    capabilities: tuple[str, ...]
    simulated: bool


class ReaderInfo(NativeMessage, frozen=True):
    """A reader and what is in it."""

    name: str
    state: ReaderState
    pin_pad: bool
    virtual: bool


class ReaderList(NativeMessage, frozen=True):
    """All readers."""

    readers: tuple[ReaderInfo, ...]


class PersonnelHolder(NativeMessage, frozen=True, tag_field="holderType", tag="personnel"):
    """The holder of a personnel card; dates are 7-digit ROC text, as on the card."""

    name: str
    english_name: str
    sex: str
    birth: str
    id_number: str
    category: str
    category_text: str


class InstitutionHolder(NativeMessage, frozen=True, tag_field="holderType", tag="institution"):
    """The holder of an institution card."""

    code: str
    name: str
    card_sequence: str
    kind: str
    type: str
    address: str
    telephone: str
    owner: str


class InsuredHolder(NativeMessage, frozen=True, tag_field="holderType", tag="insured"):
    """The holder of an NHI card."""

    name: str
    id_number: str
    birth: str
    sex: str


class CitizenHolder(NativeMessage, frozen=True, tag_field="holderType", tag="citizen"):
    """The holder of a card that says only what its certificate says."""

    name: str


Holder = PersonnelHolder | InstitutionHolder | InsuredHolder | CitizenHolder


class HcaCardInfo(NativeMessage, frozen=True):
    """HCA card information; dates are 7-digit ROC text, as on the card."""

    generates_keys: bool
    issued: str
    valid_from: str
    valid_to: str
    activated: bool
    terminated: bool


class PinState(NativeMessage, frozen=True):
    """How the PIN stands, read without spending a try.

    Attributes:
        tries_left: null where the card does not say.
    """

    tries_left: int | None
    locked: bool
    min_length: int
    max_length: int


class CertificateExpiry(BilingualText, frozen=True):
    """That a certificate ends soon or has ended, in the words that the person is told.

    Attributes:
        urgency: 60, 14 and 1 days before, and after its end.
        days_left: whole days.
        next: where to renew it.
    """

    urgency: Literal["soon", "near", "last-day", "ended"]
    not_after: datetime
    days_left: int
    next: BilingualText


class CardDescription(NativeMessage, frozen=True):
    """A card, without its certificates.

    Attributes:
        expiry: of its signature certificate; None as long as that lasts for more than 60 days.
        version: "1" or "2" for HCA cards, else empty.
        serial: the card's own number.
        issued: ROC date, NHI cards.
    """

    reader: str
    kind: KindName
    kind_text: BilingualText
    version: str
    serial: str
    simulated: bool
    holder: Holder | None
    info: HcaCardInfo | None
    issued: str
    pin: PinState | None
    expiry: CertificateExpiry | None


class CertificateEntry(NativeMessage, frozen=True):
    """A certificate on the card; the parsed members are absent where it cannot be parsed.

    Attributes:
        expiry: of the holder's own; absent as long as it lasts for more than 60 days.
    """

    index: CertificateIndex
    use: Literal["ca", "signature", "encryption", "intermediate", "root"]
    certificate: bytes
    subject: str | UnsetType = UNSET
    issuer: str | UnsetType = UNSET
    serial_number: str | UnsetType = UNSET
    not_before: datetime | UnsetType = UNSET
    not_after: datetime | UnsetType = UNSET
    expiry: CertificateExpiry | UnsetType = UNSET


class CertificateList(NativeMessage, frozen=True):
    """All certificates on a card."""

    certificates: tuple[CertificateEntry, ...]


class AuthenticateParams(CardParams, frozen=True, kw_only=True):
    """Log in: sign this nonce and the origin that the browser reports.

    Attributes:
        nonce: base64 of at least 32 random bytes that the portal's server chose for this session.
    """

    nonce: str


class AuthenticateResult(NativeMessage, frozen=True):
    """A web-eid:1.0 authentication token."""

    unverified_certificate: bytes
    algorithm: str
    signature: bytes
    format: str
    app_version: str


class SignatureChoice(NativeMessage, frozen=True):
    """How a document is signed.

    Attributes:
        format: `pkcs1`, the bare signature value; `cms`, SignedData with the signer's certificate; or one
            that lasts: `cades`, `xades`, `xmldsig`, `pades` (PDF), `emr` (exchange package of medical
            records), `jws`, `fhir` (a Provenance).
        level: of `cades`, `xades`, `emr` and `pades`: `B-T` with a time stamp, `B-LT` also with what it takes
            to verify it later, `B-LTA` (PDF) under a stamp of its own. The administrator lists who stamps.
        detached: without the document in it; left out, `cades` is without it and the others hold it.
        reason: what the signature is for, shown to whoever verifies it.
        field: the signature field of a PDF.
        page: where the signature is seen in a PDF: 1 for the first page, -1 for the last; 0 for nowhere.
        over: countersign the last signature of a CMS message, rather than sign beside it.
        content: the document, where `document` is a signature without it that is signed again.
        name: the document's file name: the person sees it, and a detached XML signature refers to it.
    """

    hash: HashName = "SHA-256"
    format: Format = "pkcs1"
    detached: bool | UnsetType = UNSET
    level: LevelName = "B-B"
    reason: Words = ""
    field: Words = ""
    page: Annotated[int, Meta(ge=-10000, le=10000)] = 0
    over: bool = False
    content: Document | UnsetType = UNSET
    name: Words = ""


class SignParams(SignatureChoice, frozen=True):
    """Sign a document, or (listed origins only, `pkcs1`) a digest: exactly one of the two.

    Attributes:
        reader: left out where there is one card, or the person is to choose.
        card_kind: left out where any kind will do; a card of another kind is refused as `card.wrong_kind`.
    """

    document: Document | UnsetType = UNSET
    digest: Digest | UnsetType = UNSET
    key: KeyName = "signature"
    reader: ReaderName | UnsetType = UNSET
    card_kind: CardKinds | UnsetType = UNSET


class SignatureResult(NativeMessage, frozen=True):
    """A signature and the certificate that checks it.

    Attributes:
        signature: the value, the message, or the signed document with its signature inside.
        level: what a signature that lasts was brought to.
    """

    signature: bytes
    certificate: bytes
    format: Format
    hash: HashName
    level: LevelName | UnsetType = UNSET


class SessionOpenParams(CardParams, frozen=True):
    """Open a signing session: the person agrees to many signatures with one PIN, in the agent's own window.

    Attributes:
        signatures: how many at most; left out, as many as the administrator allows, 250 at most.
        minutes: for how long; left out, half an hour.
    """

    signatures: Annotated[int, Meta(ge=1, le=250)] | UnsetType = UNSET
    minutes: Annotated[int, Meta(ge=1, le=1440)] | UnsetType = UNSET


class SessionStatus(NativeMessage, frozen=True):
    """How an open session stands.

    Attributes:
        left: how many signatures can still be made.
        seconds_left: for how long.
    """

    left: int
    seconds_left: int


class SessionOpened(SessionStatus, frozen=True):
    """A session that is open.

    Attributes:
        session: what uses it; a secret of this page. It is good on this connection, and for a minute after
            that is gone on a new one of the same origin.
        certificate: that of the card, whose signatures will be made.
    """

    session: str
    certificate: bytes


class SessionParams(NativeMessage, frozen=True):
    """The parameters of a method that uses an open session."""

    session: SessionId


class SessionSignParams(SignatureChoice, frozen=True, kw_only=True):
    """Sign a document in a session, without a question; bare digests are never signed there."""

    session: SessionId
    document: Document


class SessionSignature(SignatureResult, frozen=True, kw_only=True):
    """A signature made in a session.

    Attributes:
        left: how many signatures can still be made.
    """

    left: int


class OpenSession(SessionStatus, frozen=True):
    """A session that is open, as the person's own programs see it; nothing in it uses the session.

    Attributes:
        origin: whose it is; null for a program of this person.
    """

    number: str
    origin: str | None


class OpenSessions(NativeMessage, frozen=True):
    """All sessions that are open."""

    sessions: tuple[OpenSession, ...]


class SessionStopParams(NativeMessage, frozen=True):
    """Stop a session by its number, as the person does in the icon's menu."""

    number: Annotated[str, Meta(max_length=64)]


class SessionEnded(BilingualText, frozen=True):
    """A session of this connection ended; the sentence is for the person."""

    session: str
    reason: SessionEnd


class BatchDocument(SignatureChoice, frozen=True, kw_only=True):
    """One document of a batch; the person sees its name, size and format in the list that they agree to."""

    document: Document


class BatchParams(CardParams, frozen=True, kw_only=True):
    """Sign many documents: one list, to which the person agrees with one PIN.

    Attributes:
        batch: what this page calls it, in notifications and to cancel it; not in use on this connection.
        items: all of them, in one request of at most 32 MB.
    """

    batch: BatchName
    items: Annotated[tuple[BatchDocument, ...], Meta(min_length=1, max_length=100_000)]


class BatchItem(NativeMessage, frozen=True, kw_only=True):
    """What became of one document: either a result or an error.

    Attributes:
        index: its place in `items`, from 0.
    """

    batch: str
    index: int
    result: SignatureResult | UnsetType = UNSET
    error: ErrorData | UnsetType = UNSET


class BatchProgress(NativeMessage, frozen=True, kw_only=True):
    """How far a batch is.

    Attributes:
        done: documents that are signed.
        failed: documents that could not be.
        rate: documents a second, of late.
        seconds_left: left out until it can be said.
    """

    batch: str
    done: int
    failed: int
    of: int
    rate: float
    seconds_left: float | UnsetType = UNSET


class BatchDone(NativeMessage, frozen=True, kw_only=True):
    """How a batch ended.

    Attributes:
        left: documents that nothing was done with.
        stopped: why it ended before its last document: its PIN, its card, `batch.cancelled`.
    """

    done: int
    failed: int
    left: int
    seconds: float
    stopped: ErrorData | UnsetType = UNSET


class BatchCancelParams(NativeMessage, frozen=True):
    """End a batch: what the card has begun is still told, nothing more is begun."""

    batch: BatchName


class VerifyParams(NativeMessage, frozen=True):
    """Say what the signatures of a document are worth; no card is needed.

    Attributes:
        document: the signed document, or what a detached signature is over.
        signature: the detached signature; left out where it is inside the document.
        certificate: the signer's, for a signature that does not hold it.
        hash: of a bare signature; every other one says it itself.
        name: the file's, to be repeated in the report.
    """

    document: Document
    signature: Document | UnsetType = UNSET
    certificate: CertificateDer | UnsetType = UNSET
    hash: HashName = "SHA-256"
    name: Annotated[str, Meta(max_length=260)] = ""


class VerifyResult(NativeMessage, frozen=True):
    """What the signatures are worth.

    Attributes:
        valid: every signature is over exactly this document and of its certificate's key. Whether the
            certificate can be believed stands in the report's verdict alone.
        report: the verdict, in one sentence and then in detail.
        error: why it is not `valid`.
    """

    valid: bool
    report: DocumentReport
    error: ErrorData | UnsetType = UNSET


class EncryptParams(CardParams, frozen=True, kw_only=True):
    """Encrypt for the holder of a certificate, or for the one whose card is in the reader.

    Attributes:
        data: with `pkcs1` as much as one block takes, 245 bytes with RSA 2048.
        format: `pkcs1`, one RSA block; or `cms`, AuthEnvelopedData with AES-256-GCM.
        certificate: left out to use the encryption certificate of the card.
        certificates: of several recipients, instead; with `cms`.
    """

    data: Document
    format: CipherFormat = "pkcs1"
    certificate: CertificateDer | UnsetType = UNSET
    certificates: Certificates | UnsetType = UNSET


class EncryptResult(NativeMessage, frozen=True):
    """What `encrypt` gives."""

    cipher: bytes


class DecryptParams(CardParams, frozen=True, kw_only=True):
    """Decrypt with the card's encryption key.

    Attributes:
        cipher: what `encrypt` gave, or another program in the same format.
        format: `cms` is taken with AES-GCM alone: with CBC a change of the content would not be found.
    """

    cipher: Document
    format: CipherFormat = "pkcs1"


class DecryptResult(NativeMessage, frozen=True):
    """What `decrypt` gives."""

    data: bytes


class ErrorData(NativeMessage, frozen=True):
    """The `data` of an error (JSON-RPC 2.0 §5.1).

    Attributes:
        id: stable; what a program compares.
        next_zh: what to do next.
        next_en: the same in English.
        tries_left: PIN errors, where the card said so.
        retry_after: seconds, where waiting helps.
    """

    id: str
    zh: str
    en: str
    next_zh: str
    next_en: str
    tries_left: int | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET


class CardChanged(NativeMessage, frozen=True):
    """A card came, went or changed its state; `reader` is the reader as it is now."""

    reader: ReaderInfo
