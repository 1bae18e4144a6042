"""What submitters and workers say to each other: MessagePack, each member known, each size bounded.

A broker is run by others, and whoever may publish there may send anything: what is decoded here is hostile
until `read_job` or `read_outcome` has returned it.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agent.audit import AuditRow
from agent.batch.choice import Choice
from agent.errors import AgentError, ErrorId
from hca_card.big5 import printable
from hca_card.decoding import UNREADABLE

Batch = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
"""A batch: 128 random bits, for nobody may guess where results of others are."""

Item = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
"""One document of a batch; `item_id` says how."""

CARD_KEY: Final = re.compile("[0-9a-f]{32}")
DETAIL_MAX: Final = 300

TAKEN: Final = b"taken"
"""What a submitter leaves in the place of a result that it has stored: the item is done for good."""

FAILED_BEFORE: Final = b"failed"
"""What it leaves in the place of an error that it has noted: the item may be tried again."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
_YEARS: Final = range(2000, 9000)
"""In which the time of a row may lie: at the ends of the calendar not every zone has one."""


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One document that a card is to sign.

    Attributes:
        batch: which it belongs to.
        number: its place there, so that two equal documents are two.
        name: the file's, for who reads a log; never a path, and nothing is ever opened or written by it.
        choice: how it is signed, its format decided; the worker fetches what its level needs.
        made: when it was put to the broker, aware; what is too old is signed no more, because nobody can tell
            then whether it was signed before.
        document: the file itself.
    """

    version: Literal[1] = 1
    batch: Batch
    number: Annotated[int, Meta(ge=1, le=100_000_000)]
    name: Name
    choice: Choice
    made: datetime
    document: bytes

    @property
    def item(self) -> str:
        """The same for the same work, whoever puts it to the broker, however often: what it is known by."""
        what = [
            self.batch,
            self.number,
            self.name,
            self.choice,
            hashlib.sha256(self.document).hexdigest(),
        ]
        return hashlib.sha256(msgspec.json.encode(what)).hexdigest()


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="signed"):
    """A job that was done.

    Attributes:
        item: the job's.
        document: the signed document or the signature.
        certificate: the signer's, DER.
        digest: SHA-256 of what was signed, as the worker had it.
        audit: the row that stands in the worker's audit log.
    """

    version: Literal[1] = 1
    item: Item
    document: bytes
    certificate: Annotated[bytes, Meta(max_length=65536)]
    digest: Annotated[bytes, Meta(min_length=32, max_length=32)]
    audit: AuditRow


class Failed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="failed"):
    """A job that cannot be done, and would not be however often it were tried.

    Attributes:
        item: the job's.
        error: the stable id of what is wrong.
        detail: more for whoever looks after it, short and printable.
        audit: the row in the worker's audit log; None where no card was asked.
    """

    version: Literal[1] = 1
    item: Item
    error: Annotated[str, Meta(max_length=64)]
    detail: Annotated[str, Meta(max_length=DETAIL_MAX)] = ""
    audit: AuditRow | None = None


Outcome = Signed | Failed

_JOBS: Final = msgspec.msgpack.Decoder(Job)
_OUTCOMES: Final[msgspec.msgpack.Decoder[Outcome]] = msgspec.msgpack.Decoder(Outcome)


def packed(message: Job | Outcome) -> bytes:
    """Return a message as the broker carries it."""
    return msgspec.msgpack.encode(message)


def read_job(data: bytes, *, batch: str) -> Job:
    """Return the job that came under the subject of `batch`.

    Raises:
        AgentError: job.invalid.
    """
    try:
        job = _JOBS.decode(data)
    except UNREADABLE as error:
        raise AgentError(ErrorId.JOB_INVALID, detail=str(error)[:200]) from None
    if job.batch != batch:
        raise AgentError(ErrorId.JOB_INVALID, detail="it belongs to another batch than its subject says")
    if fault := name_fault(job.name):
        raise AgentError(ErrorId.JOB_INVALID, detail=fault)
    if job.choice.format is None:
        raise AgentError(ErrorId.JOB_INVALID, detail="its format is not decided")
    try:
        job.choice.fitted(job.document, job.name)
    except ValueError as error:
        raise AgentError(ErrorId.JOB_INVALID, detail=str(error)) from None
    if job.made.tzinfo is None:
        raise AgentError(ErrorId.JOB_INVALID, detail="its time has no time zone")
    return job


def read_outcome(data: bytes) -> Outcome:
    """Return an outcome.

    Raises:
        AgentError: job.outcome.
    """
    try:
        outcome = _OUTCOMES.decode(data)
    except UNREADABLE as error:
        raise AgentError(ErrorId.JOB_OUTCOME, detail=str(error)[:200]) from None
    time = None if outcome.audit is None else outcome.audit.time
    if time is not None and (time.tzinfo is None or time.year not in _YEARS):
        raise AgentError(ErrorId.JOB_OUTCOME, detail="the time of its row is none")
    return outcome


def room_for(document: bytes) -> int:
    """Return how large a message must be that holds the document signed: base64, and what lies around it."""
    return len(document) * 3 // 2 + 65_536


def name_fault(name: str) -> str:
    """Return why a file's name may not be in a job; empty where it may."""
    if not 1 <= len(name) <= 255:
        return "a name has 1 to 255 characters"
    if name in (".", "..") or not {"/", "\\"}.isdisjoint(name) or printable(name) != name:
        return "a name has no path and no character that is not seen"
    return ""


def card_key(certificate: bytes) -> str:
    """Return by what a card is known to the broker: it tells nobody whose card it is.

    Args:
        certificate: the card's for signing, DER.
    """
    return hashlib.sha256(certificate).hexdigest()[:32]


def now() -> datetime:
    """Return the time of a job."""
    return datetime.now(UTC)
