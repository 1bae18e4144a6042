"""From the loggers to a file, the system log and the Windows Event Log, by a queue and a thread."""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from agent.config import LogSettings
from agent.errors import AgentError
from agent.logs.formats import JsonLine, LogMessage, Shipped, TextLine
from agent.logs.repetition import Unrepeated
from agent.paths import Paths

log = logging.getLogger(__name__)

AUDIT_ROWS: Final = "agent.audit.rows"
"""The logger to which each audit row is said, as it stands in its file; heard only where it is shipped."""

_QUEUE_MAX: Final = 10_000
_LAST_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.02
_SYSLOG_PORT: Final = 514
_LOCAL_SYSLOG: Final = {"linux": "/dev/log", "darwin": "/var/run/syslog"}


class _Queue(logging.handlers.QueueHandler):
    """Into the queue; where the writer cannot keep up, records are lost rather than anybody kept waiting.

    How many were lost is the next thing that is said.
    """

    _lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                self.queue.put_nowait(_record(logging.WARNING, f"{self._lost} records were lost here"))
                self._lost = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._lost += 1


class _Writer(logging.handlers.QueueListener):
    """The thread that writes; at the end it is waited for, but not for ever."""

    def stop(self) -> None:
        """Write what is waiting, and close the places; one that hangs is left to hang."""
        thread, until = self._thread, time.monotonic() + _LAST_SECONDS
        while True:
            try:
                self.enqueue_sentinel()
                break
            except queue.Full:
                if time.monotonic() > until:
                    return
                time.sleep(_LOOK_SECONDS)
        if thread is not None:
            thread.join(_LAST_SECONDS)
            if thread.is_alive():
                return
        for handler in self.handlers:
            handler.close()


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A file that this user alone can read, the ones put aside too.

    Where it cannot be written, a full disk for example, that is said once, everywhere else.
    """

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's own name)
        """Say it once."""
        error = sys.exception()
        if not self._told:
            self._told = True
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            log.error("the log cannot be written: %s: %s", self.baseFilename, why)

    def close(self) -> None:
        """Close the file; what it did not take by now, it will not take."""
        with suppress(OSError):
            super().close()

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding, errors=self.errors)


class _Syslog(logging.handlers.SysLogHandler):
    """RFC 3164 datagrams: to this machine's socket, or to another by UDP."""

    append_nul = False

    def __init__(self, address: str | tuple[str, int]) -> None:
        super().__init__(address, logging.handlers.SysLogHandler.LOG_USER, socket.SOCK_DGRAM)
        self.ident = f"hca-agent[{os.getpid()}]: "


@contextmanager
def logged(settings: LogSettings, paths: Paths) -> Iterator[None]:
    """Run the body; its log records, and audit rows where wanted, go to all places configured.

    Args:
        settings: which places, and from which level on.
        paths: the agent's folder; the file is `hca-agent.log` in it.
    """
    shipping, troubles = _open_places(settings)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_MAX)
    said = _Queue(waiting)
    said.setFormatter(LogMessage())
    repetition = Unrepeated(exempt=AUDIT_ROWS)
    said.addFilter(repetition)
    try:
        file = [_file(settings, paths)]
    except OSError as error:
        file, troubles = [], [*troubles, f"{paths.log}: {error.strerror}"]
    for each in file:
        # Audit rows have a file of their own beside it.
        each.addFilter(lambda record: record.name != AUDIT_ROWS)
    listener = _Writer(waiting, *file, *shipping, respect_handler_level=True)
    root, rows = logging.getLogger(), logging.getLogger(AUDIT_ROWS)
    before, rows_before = root.level, rows.level
    level = getattr(logging, settings.level.upper())
    root.setLevel(min(level, before) if root.handlers else level)
    said.setLevel(level)
    root.addHandler(said)
    if shipping and settings.audit:
        rows.addHandler(said)
        rows.setLevel(logging.INFO)
    listener.start()
    try:
        for trouble in troubles:
            log.warning("the log cannot be written there: %s", trouble)
        yield
    except Exception as error:
        # Started at the login, it has no terminal that anybody sees; on a terminal it is said once already.
        ended = f"ended: {error if isinstance(error, AgentError) else type(error).__name__}"
        said.handle(_record(logging.ERROR, ended))
        raise
    finally:
        for name, left_out in repetition.uncounted():
            said.enqueue(
                logging.makeLogRecord(
                    {
                        "name": name,
                        "levelno": logging.INFO,
                        "levelname": "INFO",
                        "msg": f"{left_out} records more, like those before",
                    }
                )
            )
        root.removeHandler(said)
        root.setLevel(before)
        rows.removeHandler(said)
        rows.setLevel(rows_before)
        listener.stop()


def _record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord(log.name, level, __file__, 0, "%s", (text,), None)


def _file(settings: LogSettings, paths: Paths) -> logging.Handler:
    handler = _PrivateFile(
        paths.log,
        maxBytes=settings.kilobytes * 1024,
        backupCount=settings.keep,
        encoding="utf-8",
        errors="backslashreplace",
    )
    handler.setFormatter(JsonLine() if settings.format == "json" else TextLine())
    return handler


def _open_places(settings: LogSettings) -> tuple[list[logging.Handler], list[str]]:
    """Open the places outside this program; return them, and what is wrong with the others."""
    handlers: list[logging.Handler] = []
    troubles: list[str] = []
    if settings.syslog:
        try:
            handlers.append(_syslog(settings.syslog))
        except OSError as error:
            troubles.append(f"syslog {settings.syslog}: {error.strerror or error}")
    if settings.event_log:
        from agent.logs.event_log import EventLog

        try:
            handlers.append(EventLog())
        except OSError as error:
            troubles.append(f"Event Log: {error.strerror or error}")
    for handler in handlers:
        handler.setFormatter(Shipped())
    return handlers, troubles


def _syslog(where: str) -> logging.Handler:
    if where != "local":
        host, _, port = where.rpartition(":") if where[-1] != "]" and ":" in where else (where, "", "")
        return _Syslog((host.strip("[]"), int(port or _SYSLOG_PORT)))
    place = _LOCAL_SYSLOG.get(sys.platform)
    if place is None or not Path(place).exists():
        raise FileNotFoundError(2, "this system has no local syslog")
    return _Syslog(place)
