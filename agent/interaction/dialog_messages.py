"""What the agent and a window process write to each other over the window's pipes: one JSON object a line.

The agent writes one `Opening`; the window writes one answer and ends. Only the window of allowed sites goes
on: each `Forget` or `Allow` is answered with an `Opening` of the list as it is then. A window that asks for a
PIN is told with a `CardThere` that its card was pulled out or put back. A window that ends without an answer
is a "no". Unknown members, missing ones and wrong types are refused on both sides.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, get_args

import msgspec

from agent.interaction import (
    CardChoiceQuestion,
    ConsentQuestion,
    ConsentReply,
    ErrandQuestion,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    UnblockQuestion,
)
from agent.vocabulary import Errand, Verb
from hca_card.pin import Pin

ANSWER_MAX: Final = 65536
"""Bytes of the longest line that the agent takes."""

OPENING_MAX: Final = 64 << 20
"""Bytes of the longest line that a window takes: a batch can have a hundred thousand documents."""

Octet = Annotated[int, msgspec.Meta(ge=0x20, lt=0x7F)]
Octets = Annotated[list[Octet], msgspec.Meta(min_length=1, max_length=64)]
"""A PIN on its way: numbers in a list can be wiped, which text and bytes cannot."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class _DialogPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Notice(_DialogPart, frozen=True, kw_only=True, tag="notice"):
    """Something that needs no answer, and a button for the errand that helps."""

    zh: str
    en: str
    errand: Errand | None = None


class About(_DialogPart, frozen=True, kw_only=True, tag="about"):
    """Which version this is, and which old program it stands in for."""

    version: str
    compatible: str


class Ending(_DialogPart, frozen=True, kw_only=True, tag="end"):
    """Shall this program end, or with `again` begin anew? A menu can be used by other programs."""

    again: bool


class SiteShown(_DialogPart, frozen=True, kw_only=True):
    """One site in the list; `until` is None and `verbs` is empty for one that the configuration names."""

    origin: str
    allowed: bool
    verbs: tuple[Verb, ...] = ()
    until: datetime | None = None


class SiteList(_DialogPart, frozen=True, kw_only=True, tag="origins"):
    """The sites with an answer kept, or named by the configuration.

    Attributes:
        zh: what became of the address that the person typed; empty where none was.
        en: the same in English.
        taken: whether it was allowed.
    """

    sites: tuple[SiteShown, ...]
    zh: str = ""
    en: str = ""
    taken: bool = False


Content = (
    ConsentQuestion
    | PinQuestion
    | KeypadQuestion
    | NewPinQuestion
    | UnblockQuestion
    | CardChoiceQuestion
    | ErrandQuestion
    | Notice
    | About
    | Ending
    | SiteList
)

KINDS: Final = frozenset(str(content.__struct_config__.tag) for content in get_args(Content))
"""The windows there are, by the word that starts them."""


class Opening(_DialogPart, frozen=True, kw_only=True):
    """What a window shows.

    Attributes:
        simulated: every card of this agent, or the card shown, is a simulated one.
        seconds: how long the window stays open; None is as long as the person likes.
        days: how long a consent holds.
        dark: light on dark, as the person has other programs.
        silence_minutes: for how long all unknown sites can be refused with one answer.
    """

    content: Content
    simulated: bool = False
    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    days: Count = 0
    dark: bool = False
    silence_minutes: Count = 0

    @property
    def kind(self) -> str:
        """The word that starts the window."""
        return str(self.content.__struct_config__.tag)


class CardThere(_DialogPart, frozen=True, kw_only=True, tag="card"):
    """Whether the card that a window asks about is in its reader; written to it after the `Opening`."""

    there: bool


class Decided(_DialogPart, frozen=True, kw_only=True, tag="decided"):
    """The person said yes or no."""

    reply: ConsentReply


class Typed(_DialogPart, frozen=True, kw_only=True, tag="typed"):
    """The PIN; with `new`, the PIN or PUK and the new PIN."""

    pin: Octets
    new: Octets | None = None


class Picked(_DialogPart, frozen=True, kw_only=True, tag="picked"):
    """The card of that place in the list."""

    index: Count


class Forget(_DialogPart, frozen=True, kw_only=True, tag="forget"):
    """Forget every answer for a site, and show the list anew."""

    origin: str


class Allow(_DialogPart, frozen=True, kw_only=True, tag="allow"):
    """Allow the site with that address, as the person typed it, and show the list anew."""

    address: Annotated[str, msgspec.Meta(max_length=2048)]


class Expired(_DialogPart, frozen=True, kw_only=True, tag="expired"):
    """Nobody answered in time."""


class Closed(_DialogPart, frozen=True, kw_only=True, tag="closed"):
    """The person closed the window, or cancelled."""


WindowAnswer = Decided | Typed | Picked | Forget | Allow | Expired | Closed

_OPENINGS: Final = msgspec.json.Decoder(Opening)
_CARDS: Final = msgspec.json.Decoder(CardThere)
_ANSWERS: Final = msgspec.json.Decoder[WindowAnswer](WindowAnswer)
_ENCODER: Final = msgspec.json.Encoder()


def line(message: Opening | CardThere | WindowAnswer) -> bytearray:
    """Return one message as it is written; wipe it when it holds a PIN."""
    buffer = bytearray()
    _ENCODER.encode_into(message, buffer)
    buffer += b"\n"
    return buffer


def read_opening(kind: str, text: bytes | bytearray) -> Opening:
    """Return the agent's line for a window of `kind`.

    Raises:
        UNREADABLE: it is not what the agent writes, or for another kind.
    """
    opening = _OPENINGS.decode(text)
    if opening.kind != kind:
        raise msgspec.ValidationError(f"{opening.kind!r} is shown by another window than {kind!r}")
    return opening


def read_card_there(text: bytes | bytearray) -> CardThere:
    """Return the agent's line about the card that a window asks about.

    Raises:
        UNREADABLE: it is not what the agent writes.
    """
    return _CARDS.decode(text)


def read_answer(text: bytes | bytearray) -> WindowAnswer:
    """Return a window's line.

    Raises:
        UNREADABLE: it is not what a window writes.
    """
    answer: WindowAnswer = _ANSWERS.decode(text)
    return answer


def take_pin(octets: list[int]) -> Pin:
    """Return the PIN of a list of octets, which is emptied."""
    buffer = bytearray(octets)
    octets.clear()
    try:
        return Pin(buffer)
    finally:
        buffer[:] = bytes(len(buffer))
