"""What a worker has signed and the broker has not stored so far: on disk, so that nothing is signed twice."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from agent.broker.connection import RESULT_DAYS
from agent.errors import AgentError
from agent.journal import Journal

FILE: Final = "worker.sqlite"
_STEPS: Final = (
    """
    CREATE TABLE outcome (
        item TEXT PRIMARY KEY,
        batch TEXT NOT NULL,
        at REAL NOT NULL,
        message BLOB
    )
    """,
)
"""`message` is NULL once the broker has stored it: signed documents stay here no longer than they must."""


class Outcomes:
    """The journal of the workers of one user; a context manager. Every method blocks for the disk.

    Args:
        folder: the agent's.

    Raises:
        AgentError: journal.*; so do the methods.
    """

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder / FILE, _STEPS)
        self._stored: deque[str] = deque()
        # What is not stored so far stays, whatever the clock says: else it would be signed a second time.
        self._journal.run(
            "DELETE FROM outcome WHERE message IS NULL AND at < ?", (time.time() - RESULT_DAYS * 86_400,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        with suppress(AgentError), self._journal.transaction():
            self._forget()
        self._journal.close()

    def find(self, item: str) -> bytes | None:
        """Return what was made of an item and is not stored so far; None where there is nothing."""
        rows = self._journal.rows("SELECT message FROM outcome WHERE item = ?", (item,))
        return rows[0][0] if rows else None

    def add(self, item: str, batch: str, message: bytes) -> None:
        """Take down what was made of an item; on the disk then."""
        with self._journal.transaction():
            self._forget()
            self._journal.run(
                "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)", (item, batch, time.time(), message)
            )

    def stored(self, item: str) -> None:
        """Forget what the broker has now, together with the next that is taken down."""
        self._stored.append(item)

    def _forget(self) -> None:
        while self._stored:
            self._journal.run("UPDATE outcome SET message = NULL WHERE item = ?", (self._stored.pop(),))
