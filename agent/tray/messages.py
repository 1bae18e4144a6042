"""What the daemon and its tray write to each other over the tray's standard streams: one JSON object a line.

The daemon writes the whole state each time; the tray writes what the person chose and does nothing itself.
Unknown members, missing ones and wrong types are refused on both sides.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from agent.expiry import Expiry, Urgency, expiry
from agent.operations.messages import ReaderCondition
from agent.vocabulary import Errand, Verb
from hca_card.model import CardKind

LINE_MAX: Final = 65536
"""Bytes of the longest line either side takes."""

ACTIVITY_ROWS: Final = 10
"""How many rows of the audit log the menu shows."""

NO_TRAY: Final = 3
"""The tray's exit code where there is nothing to show an icon on; starting it again would not help."""


class _TrayPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class TrayReader(_TrayPart, frozen=True):
    """One reader, as it stands without any command sent to its card."""

    name: str
    condition: ReaderCondition
    virtual: bool


class TrayCard(_TrayPart, frozen=True):
    """What earlier work of this agent read of the card that is still in that reader.

    Attributes:
        reader: its reader's name.
        number: masked.
        tries_left: None where not known any more; opening a menu is no reason to ask a card.
        asked: when the tries were read, aware; None with `tries_left`.
        ends: when the certificate looked at ends, aware; None where that is not known.
        revoked: its authority said so.
    """

    reader: str
    kind: CardKind
    number: str
    simulated: bool
    tries_left: int | None
    asked: datetime | None
    ends: datetime | None = None
    revoked: bool = False

    @property
    def expiry(self) -> Expiry | None:
        """What is to be said of the end of its certificate now."""
        return expiry(self.ends, self.kind)

    @property
    def ended(self) -> bool:
        """Whether its certificate has expired or is revoked."""
        told = self.expiry
        return self.revoked or (told is not None and told.urgency is Urgency.ENDED)


class ProblemKind(StrEnum):
    """What keeps portals or cards from working although the agent runs."""

    PORT = "port"
    SERVICE = "service"
    TRUST = "trust"
    RECORDS = "records"


class TrayProblem(_TrayPart, frozen=True):
    """One problem; `detail` is the port and the program on it, or how many records, for people."""

    kind: ProblemKind
    detail: str = ""


class TrayQueue(_TrayPart, frozen=True):
    """The records that wait for a signature.

    Attributes:
        waiting: nobody has signed them yet.
        owed: the institution has, and the person has not.
        due: by when the first of those waiting must be signed, aware.
    """

    waiting: int
    owed: int
    due: datetime | None = None


class TrayActivity(_TrayPart, frozen=True):
    """One row of the audit log: `origin` is None for the person's own command, `result` is an error id."""

    time: datetime
    origin: str | None
    verb: Verb
    result: str
    simulated: bool


class TraySession(_TrayPart, frozen=True):
    """One signing session that is open.

    Attributes:
        number: what the session is called; no secret.
        origin: whose it is; None for the person's own program.
        left: how many signatures can still be made.
        until: when it ends, aware.
    """

    number: str
    origin: str | None
    left: int
    until: datetime


class TrayState(_TrayPart, frozen=True, tag="state"):
    """All that the icon and its menu show.

    Attributes:
        simulated: every card of this agent is a simulated one.
        working: a card is being worked with at this moment.
        activity: the newest first.
        answers: how many menu openings this answers; the tray waits for the answer to the last.
        silence: some or all unknown sites are refused unasked at this moment.
        updates: newer versions can be looked for here.
        sessions: signing sessions that are open.
        queue: the records that wait; None where there is no queue.
    """

    version: str
    simulated: bool
    working: bool
    readers: tuple[TrayReader, ...]
    cards: tuple[TrayCard, ...]
    problems: tuple[TrayProblem, ...]
    activity: tuple[TrayActivity, ...]
    answers: int = 0
    silence: bool = False
    updates: bool = False
    sessions: tuple[TraySession, ...] = ()
    queue: TrayQueue | None = None


class Choice(StrEnum):
    """What a person can choose in the menu; every errand is among it."""

    ABOUT = "about"
    TRIES = "tries"
    SELF_TEST = "self-test"
    ORIGINS = Errand.SITES.value
    CHANGE_PIN = Errand.CHANGE_PIN.value
    UNBLOCK_PIN = Errand.UNBLOCK_PIN.value
    TRUST = Errand.TRUST.value
    AUTOSTART = Errand.AUTOSTART.value
    REPORT = Errand.REPORT.value
    UPDATE = Errand.UPDATE.value
    QUEUE = Errand.QUEUE.value
    ASK_AGAIN = "ask-again"
    STOP_SESSION = "stop-session"
    LOG_FOLDER = "log-folder"
    RESTART = "restart"
    QUIT = "quit"


class Chosen(_TrayPart, frozen=True, tag="chosen"):
    """The person chose something; what is about a card is about the one in `reader`, or about a session."""

    choice: Choice
    reader: str | None = None
    session: str | None = None


class Opened(_TrayPart, frozen=True, tag="opened"):
    """The menu is about to be shown, for the `number`-th time: what it shows should be fresh."""

    number: int


_TO_TRAY: Final = msgspec.json.Decoder(TrayState)
_FROM_TRAY: Final[msgspec.json.Decoder[Chosen | Opened]] = msgspec.json.Decoder(Chosen | Opened)
_ENCODER: Final = msgspec.json.Encoder()


def line(message: TrayState | Chosen | Opened) -> bytes:
    """Return one message as it is written."""
    return _ENCODER.encode(message) + b"\n"


def read_state(text: bytes) -> TrayState:
    """Return the daemon's line.

    Raises:
        UNREADABLE: it is not what the daemon writes.
    """
    return _TO_TRAY.decode(text)


def read_from_tray(text: bytes) -> Chosen | Opened:
    """Return the tray's line.

    Raises:
        UNREADABLE: it is not what a tray writes.
    """
    return _FROM_TRAY.decode(text)
