"""What a test sees of the log: `caplog`, without what pytest's own does for tests that do not ask for it.

Pytest's goes through all loggers six times for each test, of which there are hundreds once everything is
imported: that took longer than most tests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Log(logging.Handler):
    """Keeps what is logged while it is the root logger's.

    Attributes:
        records: what was logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.setFormatter(logging.Formatter("%(levelname)-8s %(name)s:%(filename)s:%(lineno)d %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    @property
    def text(self) -> str:
        """Everything, as a file would have it."""
        return "".join(f"{self.format(record)}\n" for record in self.records)

    def set_level(self, level: int | str) -> None:
        """Log from this level on, until the test ends."""
        logging.getLogger().setLevel(level)

    @contextmanager
    def at_level(self, level: int | str) -> Iterator[None]:
        """Log from this level on, inside."""
        root = logging.getLogger()
        before = root.level
        root.setLevel(level)
        try:
            yield
        finally:
            root.setLevel(before)


@contextmanager
def caught() -> Iterator[Log]:
    """Keep what is logged inside; the level is put back."""
    root, log = logging.getLogger(), Log()
    before = root.level
    root.addHandler(log)
    try:
        yield log
    finally:
        root.removeHandler(log)
        root.setLevel(before)
