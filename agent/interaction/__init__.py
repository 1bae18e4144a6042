"""How the agent speaks with the person: questions, and what terminal, windows and scripts do with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, Final, Generic, Never, Protocol, TypeVar

import msgspec

from agent.expiry import Expiry, expiry
from agent.vocabulary import Errand, Verb
from hca_card.model import CardKind, PinStatus
from hca_card.pin import Pin
from signing.preview import Preview

AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


CARD_PULLED: Final = (
    "卡片已拔出，請插回同一張卡片",
    "The card was pulled out: put the same card back",
)
"""What is said at once where a card is pulled out while its PIN is asked."""


class CardShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The card as a window names it; nothing in it needs masking on the person's own screen.

    Attributes:
        ends: when the certificate looked at ends; None where that is not known.
    """

    reader: str
    kind: CardKind
    serial: str
    holder: str
    simulated: bool
    ends: datetime | None = None

    @property
    def expiry(self) -> Expiry | None:
        """What is to be said of the end of its certificate."""
        return expiry(self.ends, self.kind)


class CertificateEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the certificate of a card ends, and of which kind the card is."""

    ends: datetime
    kind: CardKind

    @property
    def expiry(self) -> Expiry | None:
        """What is to be said of it."""
        return expiry(self.ends, self.kind)


class DocumentShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is about to be signed, as far as it can be named and shown.

    Attributes:
        size: in bytes; None where only its digest is known.
        hash: the hash's name, "SHA-256".
        digest: its value, big-endian as the hash gives it.
        name: the file's; empty where nobody says.
        preview: how it looks.
    """

    size: Annotated[int, msgspec.Meta(ge=0)] | None
    hash: str
    digest: bytes
    name: str = ""
    preview: Preview = Preview()


class ItemShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of many documents that are about to be signed.

    Attributes:
        name: the file's, or what whoever asks calls it.
        size: in bytes.
        kind: what it becomes: the name of a format.
        digest: SHA-256 of the document, which fixes what is signed.
    """

    name: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    kind: str
    digest: bytes


class SessionTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a signing session is opened for: the person agrees to it with the PIN.

    Attributes:
        number: what the session is called in the audit log and the tray; no secret.
        most: how many signatures at most.
        seconds: for how long.
        items: the documents, where they are known and no others will be signed.
    """

    number: str
    most: Annotated[int, msgspec.Meta(ge=1)]
    seconds: Annotated[int, msgspec.Meta(ge=1)]
    items: tuple[ItemShown, ...] = ()


ShowDocument = Callable[[], Awaitable[DocumentShown]]
"""Gives a document as it is shown, when somebody is asked about it: a preview takes a while."""


class Question(msgspec.Struct, Generic[AnswerT_co], frozen=True, forbid_unknown_fields=True):
    """A question to the person, for `origin` (None: their own command), and the type of its answer.

    A window process is sent the question as it is.
    """

    origin: str | None


class ConsentReply(Enum):
    """What the person says to a consent; only the yes is true."""

    YES = "yes"
    NO = "no"
    NO_TO_UNKNOWN = "no-to-unknown"
    """No, and no to every unknown site for a while, without being asked."""

    def __bool__(self) -> bool:
        """Return whether it is the yes."""
        return self is ConsentReply.YES


class ConsentQuestion(Question[ConsentReply], frozen=True, tag="consent"):
    """May `origin` do all of `verbs`, first of all with `document`? One answer holds for each of them.

    Attributes:
        verb: the work that is wanted now.
        also: what it brings with it and was not answered before.
        once: the yes is for this one time, because the site's last PIN was wrong.
        unknown: nobody has allowed the site anything so far.
        ending: of the cards known to be in a reader, the end of the certificate that ends first.
    """

    origin: str
    verb: Verb
    document: DocumentShown | None = None
    also: tuple[Verb, ...] = ()
    once: bool = False
    unknown: bool = False
    ending: CertificateEnd | None = None

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """Everything that is asked for, in the order of `Verb`."""
        return tuple(verb for verb in Verb if verb is self.verb or verb in self.also)


class CardQuestion(Question[AnswerT_co], Generic[AnswerT_co], frozen=True):
    """A question about `card`, whose PIN stands as `status` says."""

    card: CardShown
    status: PinStatus


class PinQuestion(CardQuestion[Pin], frozen=True, tag="pin"):
    """The PIN for `verb`. With `status.last_try`, the PIN given after the warning is the extra yes.

    With `terms` it is kept and used for as many signatures as they say.
    """

    verb: Verb
    document: DocumentShown | None = None
    terms: SessionTerms | None = None


class KeypadQuestion(CardQuestion[Never], frozen=True, tag="keypad"):
    """The PIN for `verb`, to be typed on the reader's keypad, which gives the answer.

    The caller asks this beside the card's work, and cancels it when the keypad has answered.
    """

    verb: Verb
    document: DocumentShown | None = None


class NewPinQuestion(CardQuestion[tuple[Pin, Pin]], frozen=True, tag="change-pin"):
    """The PIN and the one to replace it, with the extra yes of `PinQuestion`."""


class UnblockQuestion(CardQuestion[tuple[Pin, Pin]], frozen=True, tag="unblock"):
    """The PUK, which stands as `puk` says, and a new PIN; `puk.last_try` asks for the extra yes first."""

    puk: PinStatus


class CardChoiceQuestion(Question[CardShown], frozen=True, tag="choose"):
    """Which of `cards` to use."""

    cards: Annotated[tuple[CardShown, ...], msgspec.Meta(min_length=1)]


class ErrandQuestion(Question[ConsentReply], frozen=True, tag="errand"):
    """Shall `errand` be done? Other programs of the session can use the icon's menu too; `off` undoes it."""

    errand: Errand
    off: bool = False


class Interaction(Protocol):
    """Ask and tell the person; awaited on the event loop, never inside a PC/SC transaction."""

    @property
    def available(self) -> bool:
        """Whether anybody can be asked at all; headless says no, and unknown then means no."""
        ...

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Return the answer; None if the person cancelled, has none, or did not answer in time.

        The caller wipes PINs. A consent that is cancelled is a no.
        """
        ...

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """Tell the person something that needs no answer, and offer the errand that helps."""
        ...

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Learn which readers hold a card now, to tell who is asked about a card that it was pulled out."""
        ...
