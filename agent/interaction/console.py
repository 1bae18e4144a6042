"""One line from a terminal: with a time limit, stoppable, and without echo for a PIN.

The reading blocks a thread of its own, never the event loop; a wait that is given up leaves no thread behind
that would swallow the next line.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from agent.terminal_text import encoded, hanging

LINE_MAX: Final = 256
_LOOK_SECONDS: Final = 0.1


class Console(Protocol):
    """A terminal, or what stands for one in tests."""

    def write(self, text: str) -> None:
        """Show text."""
        ...

    def forget_typed(self) -> None:
        """Drop what was typed so far: it answers no question that comes later."""
        ...

    def unseen(self) -> AbstractContextManager[None]:
        """Run the body without showing what is typed; entered before the words that ask for a secret."""
        ...

    def read_line(self, *, secret: bool, seconds: float, stop: threading.Event) -> bytearray | None:
        """Return the line without its end; None if time ran out, `stop` was set, or the input ended.

        Args:
            secret: end the line on the screen, too, as what is typed in `unseen` does not.
            seconds: how long to wait.
            stop: looked at while waiting.
        """
        ...


class PosixConsole:
    """A terminal on file descriptors.

    Args:
        source: descriptor to read from; echo is switched off only where it is a terminal.
        target: descriptor to write to.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target

    def write(self, text: str) -> None:
        """Show text; lines that are too long for a terminal go on below their own words."""
        width = self._width()
        view = memoryview(encoded("\n".join(hanging(line, width) for line in text.split("\n"))))
        while view:
            view = view[os.write(self._target, view) :]

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._target).columns
        except OSError:  # no terminal
            return 0

    def forget_typed(self) -> None:
        """Drop what a terminal holds; what came through a pipe stays."""
        if os.isatty(self._source):
            import termios

            termios.tcflush(self._source, termios.TCIFLUSH)

    def unseen(self) -> AbstractContextManager[None]:
        """Run the body without echo, where this is a terminal."""
        return unseen(self._source)

    def read_line(self, *, secret: bool, seconds: float, stop: threading.Event) -> bytearray | None:
        """Return the line."""
        line = self._collect(time.monotonic() + seconds, stop)
        if secret:
            self.write("\n")
        return line

    def _collect(self, deadline: float, stop: threading.Event) -> bytearray | None:
        import select

        line = bytearray()
        while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
            ready = select.select([self._source], [], [], min(left, _LOOK_SECONDS))[0]
            if not ready or stop.is_set():  # what is typed after the end is for whoever reads next
                continue
            octet = os.read(self._source, 1)
            if octet == b"\n":
                return line
            if not octet or len(line) >= LINE_MAX:
                break
            line += octet
        line[:] = bytes(len(line))
        return None


@contextmanager
def unseen(descriptor: int) -> Iterator[None]:
    """Run the body without echo on a terminal; what was typed before it, or is left after it, is dropped.

    What is left could be a second try at a secret, which a shell would show.
    """
    if not os.isatty(descriptor) or sys.platform == "win32":
        yield
        return
    import termios

    before, without = termios.tcgetattr(descriptor), termios.tcgetattr(descriptor)
    without[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, without)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


if sys.platform == "win32":
    import msvcrt

    class WindowsConsole:
        """The console window of Windows, by the C runtime's keyboard functions."""

        def write(self, text: str) -> None:
            """Show text."""
            sys.stderr.write(text)
            sys.stderr.flush()

        def forget_typed(self) -> None:
            """Drop the keys that nobody has read."""
            while msvcrt.kbhit():
                msvcrt.getwch()

        @contextmanager
        def unseen(self) -> Iterator[None]:
            """Run the body: these functions show nothing by themselves."""
            self.forget_typed()
            yield

        def read_line(self, *, secret: bool, seconds: float, stop: threading.Event) -> bytearray | None:
            """Return the line; backspace takes a character back, Ctrl+C gives up."""
            line = bytearray()
            deadline = time.monotonic() + seconds
            while not stop.is_set() and time.monotonic() < deadline:
                if not msvcrt.kbhit():
                    time.sleep(_LOOK_SECONDS / 5)
                    continue
                character = msvcrt.getwch()
                if character in "\r\n":
                    self.write("\n")
                    return line
                if character == "\x03" or len(line) >= LINE_MAX:
                    break
                if character == "\b":
                    if line:
                        line.pop()
                        self.write("" if secret else "\b \b")
                    continue
                line += character.encode()
                self.write("" if secret else character)
            line[:] = bytes(len(line))
            return None


def open_console() -> Console | None:
    """Return the terminal of this program, even when its streams are redirected; None without one."""
    if sys.platform == "win32":
        return WindowsConsole() if sys.stdin is not None and sys.stdin.isatty() else None
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    return PosixConsole(descriptor, descriptor)
