"""One line for each record, as text or as JSON; of an exception its type and places, never its words.

What an unforeseen exception says could be anything that was being handled: a page's data, a name, a path.
"""

from __future__ import annotations

import json
import logging
import traceback
import unicodedata
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_LENGTH_MAX: Final = 8000


class LogMessage(logging.Formatter):
    """The message and, in the same line, where an exception came from."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without anything that a terminal or another line could be made of."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += f": {self.formatException(record.exc_info)}"
        return one_line(text)[:_LENGTH_MAX]

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802
        """The type and the places, the innermost first."""
        if ei[0] is None:
            return ""
        places = (
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(traceback.extract_tb(ei[2]))
        )
        return f"{ei[0].__name__} at {' < '.join(places)}"


class TextLine(logging.Formatter):
    """`2026-11-22T03:56:00.123Z INFO agent.daemon: …`."""

    def format(self, record: logging.LogRecord) -> str:
        """A record whose message is final."""
        return f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"


class JsonLine(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "message": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """A record whose message is final."""
        members = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        return json.dumps(members | {"message": record.getMessage()}, ensure_ascii=False)


class Shipped(logging.Formatter):
    """For syslog and Event Log, which add time and level themselves."""

    def format(self, record: logging.LogRecord) -> str:
        """A record whose message is final."""
        return f"{record.name}: {record.getMessage()}"


def one_line(text: str) -> str:
    """`text` with every control, direction mark and other invisible character shown as one that is not."""
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
