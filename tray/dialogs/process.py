"""What a window process does beside its window: harden itself, read what the agent writes, answer."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

from agent.interaction.dialog_messages import OPENING_MAX, WindowAnswer, line

_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_PIECE: Final = 65536


def harden() -> None:
    """Prevent memory dumps of this process, where the system lets it: a PIN is typed into it."""
    if sys.platform == "win32":
        # SEM_FAILCRITICALERRORS and SEM_NOGPFAULTERRORBOX: no error report, and so no dump in it.
        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002)
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Neither a dump nor a debugger, nor /proc/PID/mem for other programs of the same person.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def see_every_dot() -> None:
    """Have Windows give real dots on screens of high density, instead of a magnified blur."""
    if sys.platform == "win32":
        with suppress(OSError, AttributeError):
            ctypes.windll.shcore.SetProcessDpiAwareness(1)  # PROCESS_SYSTEM_DPI_AWARE


class Pipe:
    """The agent's end of this process: lines in, one line out.

    Standard output is the agent's alone: whatever else is printed goes to standard error.

    Args:
        source: descriptor to read from; taken over.
        target: descriptor to write to; taken over.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._listen, name="agent", daemon=True)

    @classmethod
    def standard(cls) -> Pipe:
        """Take over standard input and output, which this process then has no more."""
        source, target = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        os.close(nothing)
        return cls(source, target)

    def first(self) -> bytes | None:
        """Wait for the first line and return it; None when the agent has closed the pipe."""
        self._thread.start()
        return self._lines.get()

    def next(self) -> bytes | None:
        """Return the next line that has arrived; None when the agent has closed the pipe.

        Raises:
            queue.Empty: nothing has arrived.
        """
        return self._lines.get_nowait()

    def say(self, answer: WindowAnswer) -> None:
        """Write one answer, if the agent still reads."""
        buffer = line(answer)
        try:
            with suppress(OSError), memoryview(buffer) as view:
                written = 0
                while written < len(view):
                    written += os.write(self._target, view[written:])
        finally:
            buffer[:] = bytes(len(buffer))

    def _listen(self) -> None:
        buffer = bytearray()
        with suppress(OSError):
            while len(buffer) <= OPENING_MAX and (piece := os.read(self._source, _PIECE)):
                first, *others = piece.split(b"\n")
                buffer += first
                for other in others:
                    self._lines.put(bytes(buffer))
                    buffer = bytearray(other)
        self._lines.put(None)
