"""The Windows Event Log (winbase.h: RegisterEventSource, ReportEvent): source `HCA Card Agent`, Application.

The source needs no registration to be written to; without one the Event Viewer says that it knows no
description and shows the text below that.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any, Final

SOURCE: Final = "HCA Card Agent"
EVENT_ID: Final = 1
_ERROR, _WARNING, _INFORMATION = 1, 2, 4
_TEXT_MAX: Final = 31_839
"""Characters in one string of an event; a longer one is refused."""


class EventLog(logging.Handler):
    """Writes events.

    Args:
        api: as the module `win32evtlog`, which is the default.

    Raises:
        OSError: if this is no Windows, or the log cannot be opened.
    """

    def __init__(self, api: Any = None) -> None:
        super().__init__()
        if api is None:
            try:
                api = import_module("win32evtlog")
            except ImportError:
                raise OSError("only Windows has one") from None
        self._api = api
        try:
            self._handle = api.RegisterEventSource(None, SOURCE)
        except Exception as error:  # pywintypes.error, which other systems do not have
            raise OSError("the Event Log cannot be opened") from error

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event."""
        try:
            text = self.format(record)[:_TEXT_MAX]
            self._api.ReportEvent(self._handle, _kind(record.levelno), 0, EVENT_ID, None, [text], None)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the log; safe to call twice."""
        if self._handle is not None:
            self._api.DeregisterEventSource(self._handle)
            self._handle = None
        super().close()


def _kind(level: int) -> int:
    if level >= logging.ERROR:
        return _ERROR
    return _WARNING if level >= logging.WARNING else _INFORMATION
