"""One line for each record, as text or as JSON; of an exception its type and places, never its words.

What an unforeseen exception says could be anything that was being handled: a page's data, a name, a path.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

from agent.errors import where
from hca_card.big5 import printable

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_LENGTH_MAX: Final = 8000


class LogMessage(logging.Formatter):
    """The message and, in the same line, where an exception came from."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without anything that a terminal or another line could be made of."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += f": {self.formatException(record.exc_info)}"
        if left_out := getattr(record, "left_out", 0):
            text += f" (and {left_out} more like it before)"
        return printable(text)[:_LENGTH_MAX]

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802
        """Name the type and the places, the innermost first."""
        return where(ei[1]) if ei[1] is not None else ""


class TextLine(logging.Formatter):
    """`2026-11-22T03:56:00.123Z INFO agent.daemon: …`."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record whose message is final."""
        return f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"


class JsonLine(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "message": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record whose message is final."""
        members = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        return json.dumps(members | {"message": record.getMessage()}, ensure_ascii=False)


class Shipped(logging.Formatter):
    """For syslog and Event Log, which add time and level themselves."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record whose message is final."""
        return f"{record.name}: {record.getMessage()}"


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
