"""What the agent and a window process say to each other over the window's pipes: one JSON object a line.

The agent says one thing when the window opens; the window gives one answer and ends. Only the window of
allowed sites goes on: each `Forget` is answered with the list as it is then. A window that ends without an
answer is a "no". Unknown members, missing ones and wrong types are refused on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final

import msgspec

from agent.interaction import CardShown, DocumentShown, Verb
from hca_card.model import CardKind, PinStatus
from hca_card.pin import Pin

ANSWER_MAX: Final = 65536
"""Bytes of the longest line that the agent takes."""

TOLD_MAX: Final = 1 << 20
"""Bytes of the longest line that a window takes: a list of sites can be long."""

Octet = Annotated[int, msgspec.Meta(ge=0x20, lt=0x7F)]
Octets = Annotated[list[Octet], msgspec.Meta(min_length=1, max_length=64)]
"""A PIN on its way: numbers in a list can be wiped, which text and bytes cannot."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Card(_Part, frozen=True, kw_only=True):
    """`CardShown`, as it is written."""

    reader: str
    kind: CardKind
    serial: str
    holder: str
    simulated: bool

    @classmethod
    def of(cls, card: CardShown) -> Card:
        """The card as it is written."""
        return cls(
            reader=card.reader,
            kind=card.kind,
            serial=card.serial,
            holder=card.holder,
            simulated=card.simulated,
        )


class Tries(_Part, frozen=True, kw_only=True):
    """`PinStatus`, as it is written."""

    left: Count | None
    low: Count
    high: Count

    @classmethod
    def of(cls, status: PinStatus) -> Tries:
        """How a PIN stands, as it is written."""
        return cls(left=status.tries_left, low=status.min_length, high=status.max_length)

    @property
    def last(self) -> bool:
        """Whether the next mistake locks the card."""
        return self.left == 1


class Document(_Part, frozen=True, kw_only=True):
    """`DocumentShown`, as it is written."""

    size: Count | None
    hash: str
    digest: bytes

    @classmethod
    def of(cls, document: DocumentShown | None) -> Document | None:
        """The document as it is written."""
        if document is None:
            return None
        return cls(size=document.size, hash=document.hash, digest=document.digest)


class Site(_Part, frozen=True, kw_only=True):
    """One site in the list; `until` is None and `verbs` is empty for one that the configuration names."""

    origin: str
    allowed: bool
    verbs: tuple[Verb, ...] = ()
    until: datetime | None = None


class Message(_Part, frozen=True, kw_only=True):
    """What a window is told when it opens.

    Attributes:
        simulated: every card of this agent is a simulated one.
        seconds: how long the window stays open; None is as long as the person likes.
    """

    simulated: bool = False
    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None


class AskConsent(Message, frozen=True, kw_only=True, tag="consent"):
    """May `origin` do `verb`, and `also` what that brings with it? A yes holds for `days`.

    Attributes:
        once: the yes is for this one time, because the site's last PIN was wrong.
    """

    origin: str
    verb: Verb
    days: Count
    once: bool = False
    also: tuple[Verb, ...] = ()
    document: Document | None = None


class AskPin(Message, frozen=True, kw_only=True, tag="pin"):
    """The PIN, please; or, with `keypad`, on the reader's keypad, and the window has no answer to give."""

    origin: str | None
    verb: Verb
    card: Card
    tries: Tries
    document: Document | None = None
    keypad: bool = False


class AskNewPin(Message, frozen=True, kw_only=True, tag="change-pin"):
    """The PIN and a new one, please."""

    origin: str | None
    card: Card
    tries: Tries


class AskUnblock(Message, frozen=True, kw_only=True, tag="unblock"):
    """The PUK and a new PIN, please; `tries` are the new PIN's lengths."""

    origin: str | None
    card: Card
    tries: Tries
    puk: Tries


class AskCard(Message, frozen=True, kw_only=True, tag="choose"):
    """Which card?"""

    origin: str | None
    cards: Annotated[tuple[Card, ...], msgspec.Meta(min_length=1)]


class TellAbout(Message, frozen=True, kw_only=True, tag="about"):
    """Which version this is, and which old program's it stands in for."""

    version: str
    compatible: str


class TellNotice(Message, frozen=True, kw_only=True, tag="notice"):
    """Something that needs no answer."""

    zh: str
    en: str


class TellOrigins(Message, frozen=True, kw_only=True, tag="origins"):
    """The sites with an answer kept, or named by the configuration."""

    sites: tuple[Site, ...]


class Decided(_Part, frozen=True, kw_only=True, tag="decided"):
    """The person said yes or no to a consent."""

    allowed: bool


class Typed(_Part, frozen=True, kw_only=True, tag="typed"):
    """The PIN; with `new`, the PIN or PUK and the new PIN."""

    pin: Octets
    new: Octets | None = None


class Picked(_Part, frozen=True, kw_only=True, tag="picked"):
    """The card of that place in the list."""

    index: Count


class Forget(_Part, frozen=True, kw_only=True, tag="forget"):
    """Forget every answer for a site, and tell the list anew."""

    origin: str


class Expired(_Part, frozen=True, kw_only=True, tag="expired"):
    """Nobody answered in time."""


class Closed(_Part, frozen=True, kw_only=True, tag="closed"):
    """The person closed the window, or cancelled."""


Answer = Decided | Typed | Picked | Forget | Expired | Closed

KINDS: Final[Mapping[str, type[Message]]] = MappingProxyType(
    {
        str(kind.__struct_config__.tag): kind
        for kind in (
            AskConsent,
            AskPin,
            AskNewPin,
            AskUnblock,
            AskCard,
            TellAbout,
            TellNotice,
            TellOrigins,
        )
    }
)
"""The windows there are, by the word that starts them."""

_ANSWERS: Final = msgspec.json.Decoder(Answer)
_ENCODER: Final = msgspec.json.Encoder()


def kind_of(message: Message) -> str:
    """The word that starts the window for `message`."""
    return str(message.__struct_config__.tag)


def line(message: Message | Answer) -> bytearray:
    """One message as it is written; wipe it when it holds a PIN."""
    buffer = bytearray()
    _ENCODER.encode_into(message, buffer)
    buffer += b"\n"
    return buffer


def told(kind: str, text: bytes | bytearray) -> Message:
    """A line from the agent, which must be for that kind of window.

    Raises:
        KeyError: there is no such kind.
        msgspec.MsgspecError: it is not what the agent says.
    """
    return msgspec.json.decode(text, type=KINDS[kind])


def answered(text: bytes | bytearray) -> Answer:
    """A line from a window.

    Raises:
        msgspec.MsgspecError: it is not what a window says.
    """
    answer: Answer = _ANSWERS.decode(text)
    return answer


def take(octets: list[int]) -> Pin:
    """The PIN of a list of octets, which is emptied."""
    buffer = bytearray(octets)
    octets.clear()
    try:
        return Pin(buffer)
    finally:
        buffer[:] = bytes(len(buffer))
