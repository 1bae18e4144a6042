"""How the agent speaks with the person: an interface, implemented by the terminal, by windows, by scripts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from hca_card.model import CardKind, PinStatus
from hca_card.pin import Pin


class Verb(StrEnum):
    """The kinds of work that are allowed or refused for an origin, each with its own answer."""

    READ = "read"
    LOGIN = "login"
    SIGN = "sign"
    DECRYPT = "decrypt"
    PAGE_PIN = "page-pin"
    CHANGE_PIN = "change-pin"


VERB_WORDS: Final[dict[Verb, tuple[str, str]]] = {
    Verb.READ: ("讀取卡片資料", "read the card"),
    Verb.LOGIN: ("用卡片登入", "log in with the card"),
    Verb.SIGN: ("用卡片簽章", "sign with the card"),
    Verb.DECRYPT: ("用卡片解密", "decrypt with the card"),
    Verb.PAGE_PIN: ("使用在網頁輸入的 PIN 碼", "use a PIN typed in the page"),
    Verb.CHANGE_PIN: ("變更或解鎖 PIN 碼", "change or unblock the PIN"),
}
"""What each verb is called in front of a person: after 要 ("wants to") and after "to"."""


KIND_WORDS: Final[dict[CardKind, tuple[str, str]]] = {
    CardKind.PERSONNEL: ("醫事人員卡", "HCA personnel card"),
    CardKind.INSTITUTION: ("醫事機構卡", "HCA institution card"),
    CardKind.INSTITUTION_SECONDARY: ("醫事機構卡附卡", "HCA institution secondary card"),
    CardKind.NHI: ("健保卡", "NHI card"),
    CardKind.CITIZEN: ("自然人憑證", "citizen certificate card"),
    CardKind.PKCS15: ("PKCS#15 卡片", "PKCS#15 card"),
}
"""What each kind of card is called in front of a person."""


@dataclass(frozen=True, slots=True)
class CardShown:
    """The card as a window names it; nothing in it needs masking on the person's own screen."""

    reader: str
    kind: CardKind
    serial: str
    holder: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class DocumentShown:
    """What is about to be signed, as far as it can be named.

    Attributes:
        size: in bytes; None where only its digest is known.
        hash: the hash's name, "SHA-256".
        digest: its value, big-endian as the hash gives it.
    """

    size: int | None
    hash: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """May `origin` do all of `verbs`, first of all with `document`? One answer holds for each of them.

    Attributes:
        verb: the work that is wanted now.
        also: what it brings with it and was not answered before.
        once: the yes is for this one time, because the site's last PIN was wrong.
    """

    origin: str
    verb: Verb
    document: DocumentShown | None = None
    also: tuple[Verb, ...] = ()
    once: bool = False

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """Everything that is asked for, in the order of `Verb`."""
        return tuple(verb for verb in Verb if verb is self.verb or verb in self.also)


@dataclass(frozen=True, slots=True)
class PinRequest:
    """The PIN of `card`, asked because `origin` (None: this person's own command) wants `verb`."""

    origin: str | None
    verb: Verb
    card: CardShown
    status: PinStatus
    document: DocumentShown | None = None


@dataclass(frozen=True, slots=True)
class NewPinRequest:
    """The PIN of `card` and the one to replace it, because `origin` (None: this person) wants that."""

    origin: str | None
    card: CardShown
    status: PinStatus


@dataclass(frozen=True, slots=True)
class UnblockRequest:
    """The PUK of `card` and a new PIN, because `origin` (None: this person) wants that.

    Attributes:
        status: of the PIN; its lengths are those of the new one.
        puk: of the PUK.
    """

    origin: str | None
    card: CardShown
    status: PinStatus
    puk: PinStatus


class Interaction(Protocol):
    """Questions to the person. Each is awaited on the event loop, never inside a PC/SC transaction."""

    @property
    def available(self) -> bool:
        """Whether anybody can be asked at all; headless says no, and unknown then means no."""
        ...

    async def ask_consent(self, request: ConsentRequest) -> bool | None:
        """Yes, no, or None when nobody answered in time."""
        ...

    async def ask_pin(self, request: PinRequest) -> Pin | None:
        """The PIN, or None when the person cancelled. The caller wipes it.

        With `request.status.last_try` the person is told that a wrong PIN locks the card, and giving the PIN
        after that is the extra yes.
        """
        ...

    async def show_keypad(self, request: PinRequest) -> None:
        """Point the person to the reader's keypad; returns when they have been told, or runs until cancelled.

        The caller runs it beside the card's work and cancels it when the keypad has answered.
        """
        ...

    async def ask_new_pin(self, request: NewPinRequest) -> tuple[Pin, Pin] | None:
        """The PIN and the new one, typed twice alike, or None when the person cancelled.

        The caller wipes both. With `request.status.last_try` the extra yes is asked as in `ask_pin`.
        """
        ...

    async def ask_unblock(self, request: UnblockRequest) -> tuple[Pin, Pin] | None:
        """The PUK and a new PIN, typed twice alike, or None when the person has no PUK or cancelled.

        The caller wipes both. With `request.puk.last_try` the extra yes is asked first.
        """
        ...

    async def choose_card(self, origin: str | None, cards: tuple[CardShown, ...]) -> CardShown | None:
        """Which card to use, or None when the person cancelled."""
        ...

    async def notify(self, zh: str, en: str) -> None:
        """Tell the person something that needs no answer."""
        ...
