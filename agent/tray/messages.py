"""What the daemon and its tray say to each other over the tray's standard streams: one JSON object a line.

The daemon tells the whole state each time; the tray tells what the person chose, and does nothing by itself.
Unknown members, missing ones and wrong types are refused on both sides.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from agent.operations.messages import ReaderCondition
from agent.vocabulary import Verb
from hca_card.model import CardKind

LINE_MAX: Final = 65536
"""Bytes of the longest line either side takes."""

ACTIVITY_ROWS: Final = 10
"""How many rows of the audit log the menu shows."""

NO_TRAY: Final = 3
"""The tray's exit code where there is nothing to show an icon on; starting it again would not help."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Reader(_Part, frozen=True):
    """One reader, as it stands without any command sent to its card."""

    name: str
    condition: ReaderCondition
    virtual: bool


class Card(_Part, frozen=True):
    """What earlier work of this agent told about the card that is still in that reader.

    Attributes:
        reader: its reader's name.
        number: masked.
        tries_left: None where not known any more; opening a menu is no reason to ask a card.
        asked: when the tries were read, aware; None with `tries_left`.
    """

    reader: str
    kind: CardKind
    number: str
    simulated: bool
    tries_left: int | None
    asked: datetime | None


class ProblemKind(StrEnum):
    """What keeps portals or cards from working although the agent runs."""

    PORT = "port"
    SERVICE = "service"
    TRUST = "trust"


class Problem(_Part, frozen=True):
    """One problem; `detail` is the port and the program on it, for people."""

    kind: ProblemKind
    detail: str = ""


class Activity(_Part, frozen=True):
    """One row of the audit log: `origin` is None for the person's own command, `result` is an error id."""

    time: datetime
    origin: str | None
    verb: Verb
    result: str
    simulated: bool


class State(_Part, frozen=True, tag="state"):
    """All that the icon and its menu show.

    Attributes:
        simulated: every card of this agent is a simulated one.
        working: a card is being worked with at this moment.
        activity: the newest first.
        answers: how many menu openings this answers; the tray waits for the answer to the last.
    """

    version: str
    simulated: bool
    working: bool
    readers: tuple[Reader, ...]
    cards: tuple[Card, ...]
    problems: tuple[Problem, ...]
    activity: tuple[Activity, ...]
    answers: int = 0


class Choice(StrEnum):
    """What a person can choose in the menu."""

    ABOUT = "about"
    TRIES = "tries"
    SELF_TEST = "self-test"
    ORIGINS = "origins"
    LOG_FOLDER = "log-folder"
    RESTART = "restart"
    QUIT = "quit"


class Chosen(_Part, frozen=True, tag="chosen"):
    """The person chose something; `reader` says whose card is meant by `Choice.TRIES`."""

    choice: Choice
    reader: str | None = None


class Opened(_Part, frozen=True, tag="opened"):
    """The menu is about to be shown, for the `number`-th time: what it shows should be fresh."""

    number: int


_TO_TRAY: Final = msgspec.json.Decoder(State)
_FROM_TRAY: Final[msgspec.json.Decoder[Chosen | Opened]] = msgspec.json.Decoder(Chosen | Opened)
_ENCODER: Final = msgspec.json.Encoder()


def line(message: State | Chosen | Opened) -> bytes:
    """One message as it is written."""
    return _ENCODER.encode(message) + b"\n"


def told(text: bytes) -> State:
    """A line from the daemon.

    Raises:
        msgspec.MsgspecError: it is not what the daemon says.
    """
    return _TO_TRAY.decode(text)


def chosen(text: bytes) -> Chosen | Opened:
    """A line from the tray.

    Raises:
        msgspec.MsgspecError: it is not what a tray says.
    """
    return _FROM_TRAY.decode(text)
