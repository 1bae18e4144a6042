"""Whose turn it is on the screen: one window of this program asks at a time, in whichever process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from agent.paths import Paths


class Turn:
    """A lock that the operating system gives back when a process ends, however it does.

    Where no lock is to be had, it is everybody's turn: a question that is covered is better than none.

    Args:
        file: the same for all windows on a screen; made where it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._descriptor: int | None = None
        self._mine = False
        with suppress(OSError):
            # Only this user's, and no link to what is somebody else's.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            self._descriptor = os.open(file, flags, 0o600)

    @classmethod
    def of_screen(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Return the one of this process's screen.

        Args:
            environment: `os.environ` when None.
        """
        known = os.environ if environment is None else environment
        private = known.get("XDG_RUNTIME_DIR") if sys.platform != "win32" else None
        folder = Path(private) if private else Paths.of(known).home
        return cls(folder / f"hca-agent-asking-{quote(known.get('DISPLAY', ''), safe='')}.lock")

    def take(self) -> bool:
        """Return whether it is this window's turn, which it then is until `end`."""
        self._mine = self._mine or self._descriptor is None or _lock(self._descriptor)
        return self._mine

    def is_free(self) -> bool:
        """Return whether no window asks now."""
        if self._descriptor is None:
            return True
        free = _lock(self._descriptor)
        if free:
            _unlock(self._descriptor)
        return free

    def end(self) -> None:
        """Let the next one come."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        with suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            return True
        return False

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
