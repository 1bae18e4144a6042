"""A record of the queue: what it is, who has to sign it, by when, and what became of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from agent.errors import AgentError, ErrorId
from hca_card.model import CardKind
from signing.formats import Level, SignatureFormat
from signing.formats.choice import format_of, highest_level

FORMATS: Final = (
    SignatureFormat.CADES,
    SignatureFormat.XADES,
    SignatureFormat.PADES,
    SignatureFormat.EMR,
)
"""What records are signed in: a reason and a second signature have a place in each of them."""

DOCUMENT_BYTES_MAX: Final = 32 * 1024 * 1024
NAME_BYTES_MAX: Final = 200
REASON_MAX: Final = 200
SIGNER: Final = re.compile(r"[A-Za-z0-9]{1,32}")
"""A card's number, or the serialNumber of a certificate's subject."""

KEY_MAX: Final = 200


class RecordState(StrEnum):
    """How far a record has come."""

    WAITING = "waiting"
    SIGNED = "signed"
    """By the person, and by nobody before."""
    BY_INSTITUTION = "signed-by-institution"
    """By the institution's card; the person's signature is still owed."""
    COMPLETED = "completed"
    """By the institution's card, and later by the person."""
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self not in (RecordState.WAITING, RecordState.BY_INSTITUTION)


_STATE_WORDS: Final = {
    RecordState.WAITING: "待簽 waiting",
    RecordState.SIGNED: "已簽 signed",
    RecordState.BY_INSTITUTION: "機構已簽，待補簽 signed by institution",
    RecordState.COMPLETED: "已補簽 completed",
    RecordState.FAILED: "無法簽署 failed",
}


def words_of(state: RecordState) -> str:
    """Return what a state is called in front of a person."""
    return _STATE_WORDS[state]


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants signed, besides the document.

    Attributes:
        name: the file's.
        signer: whose card; empty for whichever person opens a session.
        format: None for the one that fits the document.
        level: the baseline level.
        reason: what the person's signature is for; empty for none.
        key: whoever hands it in calls it so, and handing it in again changes nothing; empty for none.
        folder: where it came from; empty for no folder.
    """

    name: str
    signer: str = ""
    format: SignatureFormat | None = None
    level: Level = Level.B_B
    reason: str = ""
    key: str = ""
    folder: str = ""

    def settled(self, document: bytes) -> Order:
        """Return the order with its format, if the queue can do it.

        Raises:
            AgentError: request.parameters, request.too_large.
        """
        if len(document) > DOCUMENT_BYTES_MAX:
            raise AgentError(ErrorId.REQUEST_TOO_LARGE)
        found = self.format or format_of(document, self.name)
        wrong = (
            "the document is empty"
            if not document
            else "the name is no file name"
            if not is_name(self.name)
            else "the signer is no number"
            if self.signer and not SIGNER.fullmatch(self.signer)
            else f"the queue signs in {', '.join(FORMATS)}"
            if found not in FORMATS
            else f"{found} has no level {self.level}"
            if not highest_level(found).reaches(self.level)
            else "the reason or the key is too long, or holds control characters"
            if not (_is_text(self.reason, REASON_MAX) and _is_text(self.key, KEY_MAX))
            else ""
        )
        if wrong:
            raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=wrong)
        return Order(self.name, self.signer, found, self.level, self.reason, self.key, self.folder)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of a record.

    Attributes:
        kind: of the card.
        card: its number.
        certificate: the certificate's number, hexadecimal.
        time: when the card signed, aware.
        reason: what it says it is for.
    """

    kind: CardKind
    card: str
    certificate: str
    time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record, without its octets.

    Attributes:
        number: of the record in this queue.
        digest: SHA-256 of the document as it was handed in.
        due: by when it must be signed, aware.
        error: the id of what kept it from being signed the last time; empty for nothing.
        result: the file name of what was signed; empty before.
        delivered: whether that lies in the folder of results as it is now.
        signatures: in the order in which they were made.
    """

    number: int
    name: str
    size: int
    digest: bytes
    signer: str
    format: SignatureFormat
    level: Level
    reason: str
    folder: str
    received: datetime
    due: datetime
    state: RecordState
    error: str
    result: str
    delivered: bool
    signatures: tuple[Signature, ...] = ()

    def overdue(self, now: datetime) -> bool:
        """Whether nobody has signed it although its time is up."""
        return self.state is RecordState.WAITING and self.due <= now


@dataclass(frozen=True, slots=True)
class Counts:
    """How the queue stands.

    Attributes:
        waiting: nobody has signed them yet.
        owed: the institution has, and the person has not.
        warned: of those waiting, how many have less time left than the warning says.
        overdue: of those waiting, how many have none left.
        failed: they cannot be signed as they are.
        next_due: of the first that waits, aware; None where none does.
    """

    waiting: int = 0
    owed: int = 0
    warned: int = 0
    overdue: int = 0
    failed: int = 0
    next_due: datetime | None = None


def is_name(name: str) -> bool:
    """Return whether it is the name of a file, of nothing but letters that can be seen."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # octets that were no UTF-8
        return False
    return (
        0 < size <= NAME_BYTES_MAX and name not in (".", "..") and not _BAD_NAME.search(name) and _seen(name)
    )


_BAD_NAME: Final = re.compile(r'[/\\:*?"<>|]')
"""What parts a path, here or on Windows, or has a meaning there."""


def _is_text(text: str, longest: int) -> bool:
    return len(text) <= longest and _seen(text)


def _seen(text: str) -> bool:
    """Whether there is nothing that acts on a terminal or turns the direction of writing."""
    return not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in text)
