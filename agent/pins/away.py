"""Whether the person went away, found out by looking: for systems that do not say so by themselves.

Looked at every few seconds and only while something is kept for the person. A locked screen is asked for
where the system has a plain question for it: Windows by WTSQuerySessionInformation (`WTSSessionInfoEx`),
macOS by CGSessionCopyCurrentDictionary; Linux tells by itself (`screen_lock`). A sleep that nobody told about
is seen by the clocks: between two looks more time went by than this process can have waited for its turn.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
"""How often to look."""

_SLEPT_SECONDS: Final = 30.0
_CURRENT_SESSION: Final = -1
_SESSION_INFO_EX: Final = 25


class Away:
    """Looks whether the person went away since the last look.

    Args:
        locked: whether the screen is locked now.
        wall: the clock on the wall, which goes on in a sleep on every system, and which can be set.
        steady: a clock that nobody sets, and that stands still in a sleep on some systems.
    """

    def __init__(
        self,
        locked: Callable[[], bool] | None = None,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._locked = locked or screen_is_locked
        self._wall = wall
        self._steady = steady
        self.begin()

    def begin(self) -> None:
        """Forget the last look: there was nothing to look for until now."""
        self._last = self._wall(), self._steady()

    def went(self) -> bool:
        """Return whether the screen is locked, or the computer slept since the last look."""
        before, now = self._last, (self._wall(), self._steady())
        self._last = now
        gap = max(later - earlier for earlier, later in zip(before, now, strict=True))
        if gap > LOOK_SECONDS + _SLEPT_SECONDS:
            log.info("the computer slept, or its clock was set, by %.0f s", gap)
            return True
        return self._locked()


def screen_is_locked() -> bool:
    """Return whether the screen is locked, as far as this system can be asked; a failure is no answer."""
    try:
        if sys.platform == "win32":
            return _windows()
        if sys.platform == "darwin":
            return _macos()
    except Exception as error:
        log.debug("whether the screen is locked cannot be told: %s", error)
    return False


def read_windows(information: bytes) -> bool:
    """Return whether a WTSINFOEXW says that its session is locked, or not the one at the screen.

    Level (1) is followed, aligned to eight bytes, by WTSINFOEX_LEVEL1_W: SessionId, SessionState (WTSActive
    is 0), SessionFlags (WTS_SESSIONSTATE_LOCK is 0, UNLOCK 1, UNKNOWN -1); wtsapi32.h.
    """
    level, state, flags = (
        int.from_bytes(information[at : at + 4], "little", signed=True) for at in (0, 12, 16)
    )
    return len(information) >= 20 and level == 1 and (state != 0 or flags == 0)


def read_macos(session: object) -> bool:
    """Return whether CGSessionCopyCurrentDictionary says that the screen is locked, or shows another user."""
    get = getattr(session, "get", None)
    if get is None:
        return False
    return bool(get("CGSSessionScreenIsLocked", False)) or not get("kCGSSessionOnConsoleKey", True)


def _windows() -> bool:
    if sys.platform == "win32":
        import ctypes

        buffer, size = ctypes.c_void_p(), ctypes.c_ulong()
        asked = ctypes.windll.wtsapi32.WTSQuerySessionInformationW(
            None, _CURRENT_SESSION, _SESSION_INFO_EX, ctypes.byref(buffer), ctypes.byref(size)
        )
        if asked and buffer.value is not None:
            try:
                return read_windows(ctypes.string_at(buffer.value, size.value))
            finally:
                ctypes.windll.wtsapi32.WTSFreeMemory(buffer)
    return False


def _macos() -> bool:
    from Quartz import CGSessionCopyCurrentDictionary  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return read_macos(CGSessionCopyCurrentDictionary())
