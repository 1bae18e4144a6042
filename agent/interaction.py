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


VERB_WORDS: Final[dict[Verb, tuple[str, str]]] = {
    Verb.READ: ("讀取卡片資料", "read the card"),
    Verb.LOGIN: ("用卡片登入", "log in with the card"),
    Verb.SIGN: ("用卡片簽章", "sign with the card"),
    Verb.DECRYPT: ("用卡片解密", "decrypt with the card"),
    Verb.PAGE_PIN: ("使用在網頁輸入的 PIN 碼", "use a PIN typed in the page"),
}
"""What each verb is called in front of a person: after 要 ("wants to") and after "to"."""


@dataclass(frozen=True, slots=True)
class CardShown:
    """The card as a window names it; nothing in it needs masking on the person's own screen."""

    reader: str
    kind: CardKind
    serial: str
    holder: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """May `origin` do `verb`?"""

    origin: str
    verb: Verb


@dataclass(frozen=True, slots=True)
class PinRequest:
    """The PIN of `card`, asked because `origin` (None: this person's own command) wants `verb`."""

    origin: str | None
    verb: Verb
    card: CardShown
    status: PinStatus


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

    async def choose_card(self, origin: str | None, cards: tuple[CardShown, ...]) -> CardShown | None:
        """Which card to use, or None when the person cancelled."""
        ...

    async def notify(self, zh: str, en: str) -> None:
        """Tell the person something that needs no answer."""
        ...
