"""The queue's journal: one database in the agent's folder, which has every record and its octets.

Whoever signs decides by the state that is on the disk: a result is taken only while the record still is in
the state in which it was given out, so that two programs at work with one queue never sign a record twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from agent.errors import AgentError, ErrorId
from agent.journal import Journal, Values
from agent.queue.model import Counts, Order, Record, RecordState, Signature
from hca_card.model import CardKind
from signing.formats import Level, SignatureFormat
from signing.hashes import Hash

_STEPS: Final = (
    """
    CREATE TABLE record (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT UNIQUE,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        digest BLOB NOT NULL,
        signer TEXT NOT NULL,
        format TEXT NOT NULL,
        level TEXT NOT NULL,
        reason TEXT NOT NULL,
        folder TEXT NOT NULL,
        received REAL NOT NULL,
        due REAL NOT NULL,
        state TEXT NOT NULL,
        error TEXT NOT NULL DEFAULT '',
        result TEXT NOT NULL DEFAULT '',
        delivered INTEGER NOT NULL DEFAULT 1,
        changed REAL NOT NULL
    );
    CREATE INDEX record_by_due ON record (state, due);
    CREATE INDEX record_by_signer ON record (state, signer, due);
    CREATE INDEX record_undelivered ON record (number) WHERE delivered = 0;
    CREATE TABLE content (record INTEGER PRIMARY KEY REFERENCES record, octets BLOB NOT NULL);
    CREATE TABLE signature (
        record INTEGER NOT NULL REFERENCES record,
        place INTEGER NOT NULL,
        kind TEXT NOT NULL,
        card TEXT NOT NULL,
        certificate TEXT NOT NULL,
        time REAL NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (record, place)
    ) WITHOUT ROWID
    """,
)
_COLUMNS: Final = (
    "number, name, size, digest, signer, format, level, reason, folder, received, due, state, error, result,"
    " delivered"
)

_COUNTS: Final = """
    SELECT (SELECT count(*) FROM record WHERE state = 'waiting'),
        (SELECT count(*) FROM record WHERE state = 'waiting' AND due <= ?),
        (SELECT count(*) FROM record WHERE state = 'waiting' AND due <= ?),
        (SELECT min(due) FROM record WHERE state = 'waiting'),
        (SELECT count(*) FROM record WHERE state = 'signed-by-institution'),
        (SELECT count(*) FROM record WHERE state = 'failed')
"""


class Records:
    """The records; a context manager that closes the journal. Every method blocks.

    Args:
        path: of the journal.
        most: how many may wait at the same time.

    Raises:
        AgentError: journal.*, from every method too.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._journal = Journal(path, _STEPS)
        self._most = most

    def add(self, order: Order, document: bytes, received: datetime, time: timedelta) -> Record:
        """Take in one record, which is on the disk afterwards, or return the one whose key it has.

        Raises:
            AgentError: request.parameters, request.too_large; queue.full; queue.other_content: its key is
                known with another document.
        """
        for number in self.add_all([(order, document)], received, time):
            return self.find(number)
        raise AgentError(ErrorId.QUEUE_FULL)

    def add_all(
        self, orders: Iterable[tuple[Order, bytes]], received: datetime, time: timedelta
    ) -> Sequence[int]:
        """Take in records in one transaction, as many as there is room for; return their numbers."""
        with self._journal.transaction():
            [[waiting]] = self._journal.rows("SELECT count(*) FROM record WHERE state = 'waiting'")
            numbers = []
            for order, document in orders:
                if waiting >= self._most:
                    break
                number, new = self._insert(order.settled(document), document, received, received + time)
                numbers.append(number)
                waiting += new
        return numbers

    def _insert(self, order: Order, document: bytes, received: datetime, due: datetime) -> tuple[int, bool]:
        digest = Hash.SHA_256.digest(document)
        run, rows = self._journal.run, self._journal.rows
        if order.key and (known := rows("SELECT number, digest FROM record WHERE key = ?", (order.key,))):
            [(number, before)] = known
            if before != digest:
                raise AgentError(ErrorId.QUEUE_OTHER_CONTENT)
            return number, False
        [[number]] = rows(
            "INSERT INTO record (key, name, size, digest, signer, format, level, reason, folder, received,"
            " due, state, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?) RETURNING number",
            (
                *(
                    order.key or None,
                    order.name,
                    len(document),
                    digest,
                    order.signer,
                    order.format,
                    order.level,
                ),
                *(order.reason, order.folder, received.timestamp(), due.timestamp(), received.timestamp()),
            ),
        )
        run("INSERT INTO content VALUES (?, ?)", (number, document))
        return number, True

    def find(self, number: int) -> Record:
        """Return one record.

        Raises:
            AgentError: queue.unknown.
        """
        found = self._read("WHERE number = ?", (number,))
        if not found:
            raise AgentError(ErrorId.QUEUE_UNKNOWN)
        return found[0]

    def page(self, after: int = 0, limit: int = 1000, states: Collection[RecordState] = ()) -> list[Record]:
        """Return at most `limit` records that came after that one, in any state or in these."""
        wanted = json.dumps([*(states or RecordState)])
        return self._read(
            "WHERE number > ? AND state IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT ?",
            (after, wanted, limit),
        )

    def newest(self, limit: int, states: Collection[RecordState] = ()) -> list[Record]:
        """Return at most `limit` records, those that came last."""
        found = self._read(
            "WHERE state IN (SELECT value FROM json_each(?)) ORDER BY number DESC LIMIT ?",
            (json.dumps([*(states or RecordState)]), limit),
        )
        return found[::-1]

    def all(self, states: Collection[RecordState] = ()) -> Iterator[Record]:
        """Give every record, however many, in the order in which they came."""
        after = 0
        while page := self.page(after, states=states):
            yield from page
            after = page[-1].number

    def next(
        self,
        states: Collection[RecordState],
        *,
        signers: Collection[str] | None = None,
        folder: str | None = None,
        due: datetime | None = None,
        without: Collection[int] = (),
    ) -> Record | None:
        """Return the record that has least time left.

        Args:
            states: those it may be in.
            signers: whose it may be; None for anybody's.
            folder: where it came from; None from anywhere.
            due: its time is up by then.
            without: the numbers of others.
        """
        wanted: dict[str, object] = {"due": float("inf") if due is None else due.timestamp()}
        condition = "WHERE state = :state AND due <= :due"
        condition += "" if signers is None else " AND signer = :signer"
        if folder is not None:
            condition, wanted["folder"] = f"{condition} AND folder = :folder", folder
        condition += " AND number NOT IN (SELECT value FROM json_each(:without)) ORDER BY due, number LIMIT 1"
        wanted["without"] = json.dumps([*without])
        # One by one: an index then has them in the order of their time.
        found = [
            record
            for state in states
            for signer in (("",) if signers is None else signers)
            for record in self._read(condition, {**wanted, "state": state, "signer": signer})
        ]
        return min(found, key=lambda record: (record.due, record.number), default=None)

    def folders(self, due: datetime) -> list[str]:
        """Return where the records came from whose time is up by then; empty for those of no folder."""
        found = self._journal.rows(
            "SELECT DISTINCT folder FROM record WHERE state = 'waiting' AND due <= ?", (due.timestamp(),)
        )
        return [folder for (folder,) in found]

    def content(self, number: int) -> bytes:
        """Return a record's octets as they are now: the document, or what was made of it.

        Raises:
            AgentError: queue.unknown: there is no such record, or its octets were forgotten.
        """
        found = self._journal.rows("SELECT octets FROM content WHERE record = ?", (number,))
        if not found:
            raise AgentError(ErrorId.QUEUE_UNKNOWN)
        return bytes(found[0][0])

    def signed(
        self, record: Record, state: RecordState, document: bytes, result: str, signature: Signature
    ) -> bool:
        """Keep what was made of a record, if that still is as `record` says; return whether it is."""
        run = self._journal.run
        with self._journal.transaction():
            changed = run(
                "UPDATE record SET state = ?, error = '', result = ?, delivered = 0, changed = ?"
                " WHERE number = ? AND state = ?",
                (state, result, signature.time.timestamp(), record.number, record.state),
            )
            if changed:
                run("UPDATE content SET octets = ? WHERE record = ?", (document, record.number))
                run(
                    "INSERT INTO signature SELECT ?, count(*), ?, ?, ?, ?, ? FROM signature WHERE record = ?",
                    (
                        *(record.number, signature.kind, signature.card, signature.certificate),
                        *(signature.time.timestamp(), signature.reason, record.number),
                    ),
                )
        return bool(changed)

    def troubled(self, record: Record, error: ErrorId) -> None:
        """Write down why a record was not signed this time."""
        self._journal.run(
            "UPDATE record SET error = ? WHERE number = ? AND state = ?",
            (error, record.number, record.state),
        )

    def failed(self, record: Record, error: ErrorId, result: str, now: datetime) -> None:
        """Write down that a record cannot be signed as it is; the document goes back under that name."""
        self._journal.run(
            "UPDATE record SET state = 'failed', error = ?, result = ?, delivered = 0, changed = ?"
            " WHERE number = ? AND state = 'waiting'",
            (error, result, now.timestamp(), record.number),
        )

    def undelivered(self, limit: int, without: Collection[int] = ()) -> list[Record]:
        """Return records whose results do not lie in the folder of results yet, but for those."""
        return self._read(
            "WHERE delivered = 0 AND number NOT IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT ?",
            (json.dumps([*without]), limit),
        )

    def delivered(self, record: Record) -> None:
        """Write down that the result of the record, as it is there, lies in its folder."""
        self._journal.run(
            "UPDATE record SET delivered = 1 WHERE number = ? AND state = ?", (record.number, record.state)
        )

    def forget(self, before: datetime) -> int:
        """Delete the octets of records that ended before then and lie in their folder; return how many."""
        return self._journal.run(
            "DELETE FROM content WHERE record IN (SELECT number FROM record WHERE changed < ?"
            " AND delivered = 1 AND state IN ('signed', 'completed', 'failed'))",
            (before.timestamp(),),
        )

    def counts(self, now: datetime, warning: timedelta) -> Counts:
        """Return how the queue stands."""
        [(waiting, warned, overdue, first, owed, failed)] = self._journal.rows(
            _COUNTS, ((now + warning).timestamp(), now.timestamp())
        )
        next_due = None if first is None else _moment(first)
        return Counts(waiting, owed, warned, overdue, failed, next_due)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def _read(self, condition: str, values: Values) -> list[Record]:
        rows = self._journal.rows(f"SELECT {_COLUMNS} FROM record {condition}", values)  # noqa: S608  (ours)
        found: dict[int, list[Signature]] = {row[0]: [] for row in rows}
        for number, kind, *rest in self._journal.rows(
            "SELECT record, kind, card, certificate, time, reason FROM signature"
            " WHERE record IN (SELECT value FROM json_each(?)) ORDER BY record, place",
            (json.dumps([*found]),),
        ):
            card, certificate, time, reason = rest
            found[number].append(Signature(CardKind(kind), card, certificate, _moment(time), reason))
        return [_record(row, tuple(found[row[0]])) for row in rows]


def _record(row: tuple[Any, ...], signatures: tuple[Signature, ...]) -> Record:
    number, name, size, digest, signer, kind, level, reason, folder, received, due, state, *rest = row
    error, result, delivered = rest
    return Record(
        *(number, name, size, bytes(digest), signer, SignatureFormat(kind), Level(level), reason, folder),
        *(_moment(received), _moment(due), RecordState(state), error, result, bool(delivered), signatures),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
