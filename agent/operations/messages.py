"""What operations are asked by and answer with: plain frozen messages, the same for every dialect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hca_card.model import CardKind, CertificateUse, Metadata, PinStatus
from signing.formats import Level, SignatureFormat
from signing.hashes import Hash


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        origin: the page's origin; None is this person's own command line or a local program with the token.
        session: the caller's session within that origin; any text, never trusted to be secret.
    """

    origin: str | None
    session: str = ""


class ReaderCondition(StrEnum):
    """What a reader says without being sent a command."""

    EMPTY = "empty"
    CARD = "card"
    MUTE = "mute"
    BUSY = "busy"
    UNNAMEABLE = "unnameable"
    """There, and of no use here: its name does not get through to the service."""
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class ReaderView:
    """One reader.

    Attributes:
        pin_pad: whether it has a key pad of its own for the PIN; known only while a card is in it.
        keypad_failed: whether it claims a key pad that turned out to be of no use.
        virtual: no real reader: in this program, Windows Hello, a driver for simulated cards.
        atr: of the card in it, else empty.
        event_counter: counts cards put in and taken out.
        module: file name of the PKCS#11 module that serves the card in it, as last seen; empty for none.
    """

    name: str
    condition: ReaderCondition
    pin_pad: bool
    virtual: bool
    atr: bytes
    event_counter: int
    module: str = ""
    keypad_failed: bool = False


@dataclass(frozen=True, slots=True)
class CardView:
    """A card as far as it can be read without its PIN.

    Attributes:
        pin: None for a card without a PIN that this program can use (NHI cards).
        simulated: made by the simulator; never to be taken for a real card.
        ends: when its signature certificate ends, aware UTC; None where that is not known.
    """

    reader: str
    metadata: Metadata
    simulated: bool
    pin: PinStatus | None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReadCertificate:
    """One certificate and the card it is on.

    Attributes:
        serial: the card's number.
        index: HCA's number, 0 to 4.
        use: what it is for.
        der: as the card holds it, hostile until something has parsed it.
    """

    serial: str
    index: int
    use: CertificateUse
    der: bytes


@dataclass(frozen=True, slots=True)
class Selected:
    """The card that a session of an old dialect works with from then on."""

    reader: str
    serial: str
    event_counter: int
    kind: CardKind
    atr: bytes


@dataclass(frozen=True, slots=True)
class SignResult:
    """A signature and what it takes to verify it.

    Attributes:
        signature: PKCS#1 v1.5, big-endian, as long as the modulus; or CMS, DER, where that was asked for.
        certificate: DER of the certificate whose key signed.
        serial: the number of the card that signed.
    """

    signature: bytes
    certificate: bytes
    hash: Hash
    serial: str


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document with its signature, in one of the formats.

    Attributes:
        document: the signed document, or the signature alone where it was to be detached.
        format: what it is.
        level: the baseline level it was brought to.
        certificate: DER of the certificate whose key signed.
        serial: the number of the card that signed.
    """

    document: bytes
    format: SignatureFormat
    level: Level
    certificate: bytes
    hash: Hash
    serial: str
