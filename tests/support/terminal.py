"""A program at a terminal of its own, and the person who types there."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import termios
from collections.abc import Mapping, Sequence
from typing import Final

from tests.support.interruptible import interruptible
from tests.support.waiting import until_async

_SECONDS: Final = 60.0


class Terminal:
    """A program started under a pseudo-terminal, which is its controlling one.

    Args:
        command: program and arguments.
        environment: all of its environment.

    Attributes:
        screen: everything that was written so far.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self._program = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *interruptible(command)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
        )
        os.close(slave)
        self.screen = ""
        self._seen = 0

    async def expect(self, pattern: str) -> None:
        """Wait until `pattern` stands on the screen below what was expected before.

        Raises:
            AssertionError: it did not come; the message holds the screen.
        """

        def shown() -> bool:
            self._look()
            found = re.compile(pattern).search(self.screen, self._seen)
            if found is not None:
                self._seen = found.end()
            return found is not None

        await until_async(shown, lambda: f"{pattern!r} did not come:\n{self.screen[self._seen :]}", _SECONDS)

    async def answer(self, question: str, text: str) -> None:
        """Wait for a question and type the answer."""
        await self.expect(question)
        await self.type(text)

    async def answer_unseen(self, question: str, text: str) -> None:
        """Wait for a question whose answer is not shown, and type it."""
        await self.expect(question)
        await until_async(
            lambda: not termios.tcgetattr(self._master)[3] & termios.ECHO, "it would show what is typed"
        )
        await self.type(text)

    async def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, text.encode() + b"\n")

    async def interrupt(self) -> int:
        """Press Ctrl+C and wait for the end; the exit status."""
        os.write(self._master, b"\x03")
        status = await asyncio.to_thread(self._program.wait, _SECONDS)
        self._look()
        return status

    def close(self) -> None:
        """End the program if it has not ended."""
        if self._program.poll() is None:
            self._program.terminate()
            os.close(self._master)  # its terminal is gone: SIGHUP
            self._program.wait(_SECONDS)
        else:
            os.close(self._master)

    def _look(self) -> None:
        try:
            while chunk := os.read(self._master, 4096):
                self.screen += chunk.decode("utf-8", "replace")
        except OSError:
            return  # nothing more for now (EAGAIN), or the program has ended (EIO)
