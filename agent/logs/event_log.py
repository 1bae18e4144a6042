"""The Windows Event Log (winbase.h: RegisterEventSource, ReportEvent): source `HCA Card Agent`, Application.

The source needs no registration to be written to; without one the Event Viewer says that it knows no
description and shows the text below that.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any, Final, Self

SOURCE: Final = "HCA Card Agent"
EVENT_ID: Final = 1
_ERROR, _WARNING, _INFORMATION = 1, 2, 4
_TEXT_MAX: Final = 31_839
"""Characters in one string of an event; a longer one is refused."""


class EventLog(logging.Handler):
    """Writes events.

    Args:
        advapi: the functions of advapi32.

    Raises:
        OSError: the log cannot be opened.
    """

    def __init__(self, advapi: Any) -> None:
        super().__init__()
        self._advapi = advapi
        self._handle = advapi.RegisterEventSourceW(None, SOURCE)
        if not self._handle:
            raise OSError("the Event Log cannot be opened")

    @classmethod
    def system(cls, load: Callable[[str], Any] | None = None) -> Self:
        """This machine's.

        Args:
            load: loads a library of Windows; the system's own way when None.

        Raises:
            OSError: this is no Windows, or the log cannot be opened.
        """
        load = load or getattr(ctypes, "WinDLL", None)
        if load is None:
            raise OSError("only Windows has one")
        advapi = load("advapi32")
        advapi.RegisterEventSourceW.restype = ctypes.c_void_p
        advapi.RegisterEventSourceW.argtypes = (ctypes.c_wchar_p, ctypes.c_wchar_p)
        advapi.ReportEventW.argtypes = (
            ctypes.c_void_p,  # event log
            ctypes.c_ushort,  # type
            ctypes.c_ushort,  # category
            ctypes.c_uint32,  # event
            ctypes.c_void_p,  # user
            ctypes.c_ushort,  # number of strings
            ctypes.c_uint32,  # bytes of data
            ctypes.POINTER(ctypes.c_wchar_p),
            ctypes.c_void_p,  # data
        )
        advapi.DeregisterEventSource.argtypes = (ctypes.c_void_p,)
        return cls(advapi)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event."""
        try:
            texts = (ctypes.c_wchar_p * 1)(self.format(record)[:_TEXT_MAX])
            self._advapi.ReportEventW(
                self._handle, _kind(record.levelno), 0, EVENT_ID, None, 1, 0, texts, None
            )
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the log; safe to call twice."""
        if self._handle:
            self._advapi.DeregisterEventSource(self._handle)
            self._handle = None
        super().close()


def _kind(level: int) -> int:
    if level >= logging.ERROR:
        return _ERROR
    return _WARNING if level >= logging.WARNING else _INFORMATION
