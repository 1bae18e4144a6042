"""The messages of the record queue, which local programs alone may use."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from agent.native.messages import Document, LevelName, NativeMessage, ReaderParams

RecordNumber = Annotated[int, Meta(ge=1, le=2**53 - 1)]
RecordFormat = Literal["cades", "xades", "pades", "emr"]
StateName = Literal["waiting", "signed", "signed-by-institution", "completed", "failed"]
PAGE_MAX = 1000


class QueueAddParams(NativeMessage, frozen=True):
    """A record to be signed.

    Attributes:
        name: the file's.
        signer: the number of the person's card, or the serialNumber in their certificate's subject; left out
            for whichever person opens a session.
        format: left out for the one that fits the document.
        reason: what the person's signature is for.
        key: what your program calls the record: adding it again, with the same document, changes nothing.
    """

    document: Document
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    signer: Annotated[str, Meta(pattern="^[A-Za-z0-9]{1,32}$")] | UnsetType = UNSET
    format: RecordFormat | UnsetType = UNSET
    level: LevelName = "B-B"
    reason: Annotated[str, Meta(max_length=200)] = ""
    key: Annotated[str, Meta(max_length=128)] = ""


class QueueSignature(NativeMessage, frozen=True):
    """One signature of a record.

    Attributes:
        card: the card's number, masked.
        certificate: the certificate's number, hexadecimal.
        time: when the card signed.
    """

    card_kind: str
    card: str
    certificate: str
    time: datetime
    reason: str


class QueueRecord(NativeMessage, frozen=True):
    """One record, without its content.

    Attributes:
        sha256: of the document as it was handed in.
        signer: masked; empty for no one in particular.
        due: by when it must be signed.
        error: the id of what kept it from being signed the last time; empty for nothing.
        file: the name of what was signed, in the folder of results; empty before.
        delivered: whether it lies there as it is now.
        signatures: in the order in which they were made.
    """

    record: RecordNumber
    name: str
    size: int
    sha256: bytes
    signer: str
    format: RecordFormat
    level: LevelName
    state: StateName
    received: datetime
    due: datetime
    error: str
    file: str
    delivered: bool
    signatures: tuple[QueueSignature, ...]


class QueueListParams(NativeMessage, frozen=True):
    """Which records to list.

    Attributes:
        after: only those that came after that one.
        states: in any of these; left out for all.
    """

    after: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = 100
    states: Annotated[tuple[StateName, ...], Meta(max_length=5)] = ()


class QueueList(NativeMessage, frozen=True):
    """Records in the order in which they came, and how the queue stands.

    Attributes:
        owed: the institution has signed them, and the person has not.
        overdue: of those waiting, how many have no time left.
        left: how many things lie in the watched folders and cannot be taken in.
    """

    records: tuple[QueueRecord, ...]
    waiting: int
    owed: int
    overdue: int
    failed: int
    left: int


class QueueResultParams(NativeMessage, frozen=True):
    """Which record's content to give."""

    record: RecordNumber


class QueueResult(NativeMessage, frozen=True):
    """A record and its content as it is now: the document, or what was signed."""

    record: QueueRecord
    document: bytes


class QueueSignParams(ReaderParams, frozen=True):
    """A signing session for what waits; the person types the PIN in the agent's own window.

    Attributes:
        institution: the institution's card, for what nobody signs in time.
        signatures: how many at most; left out for as many as are allowed.
        minutes: for how long; left out for half an hour.
    """

    institution: bool = False
    signatures: Annotated[int, Meta(ge=1, le=250)] | UnsetType = UNSET
    minutes: Annotated[int, Meta(ge=1, le=1440)] | UnsetType = UNSET


class QueueSession(NativeMessage, frozen=True):
    """The session that was opened.

    Attributes:
        number: what it is called in the audit log and the tray.
    """

    number: str
    signatures: int
    seconds: int
