"""Processes that read one hostile document each, and end with their answer."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from typing import Final, cast

from agent.desktop import converse, own_command
from agent.environment import Child

_PIECE: Final = 65536


class DocumentProcesses:
    """Gives octets to processes of this program, a few at a time.

    Args:
        word: the hidden command that they run.
        child: what they are given of the environment.
        seconds: how long one may take.
        answer_max: octets of an answer; a longer one is cut off there.
        at_once: how many there may be.
        command: gives the words that start one; the program's own where None.
    """

    def __init__(
        self,
        word: str,
        child: Child,
        *,
        seconds: float,
        answer_max: int,
        at_once: int = 2,
        command: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._command = command or (lambda: own_command(word))
        self._child = child
        self._seconds = seconds
        self._answer_max = answer_max
        self._places = asyncio.Semaphore(at_once)

    async def ask(self, octets: bytes) -> bytes:
        """Return what a process made of the octets; empty where it ended without an answer.

        Raises:
            TimeoutError: it took too long.
            OSError: it cannot be started.
        """
        async with self._places:
            process = converse(self._command(), self._child)
            try:
                async with asyncio.timeout(self._seconds):
                    return await asyncio.to_thread(_ask, process, octets, self._answer_max)
            finally:
                # Its thread ends with it, whatever the document made of it.
                with suppress(OSError):
                    process.kill()


def _ask(process: subprocess.Popen[bytes], octets: bytes, answer_max: int) -> bytes:
    source, target = cast(FileIO, process.stdout), cast(FileIO, process.stdin)
    writer = threading.Thread(target=_give, args=(target, octets), name="to a document", daemon=True)
    writer.start()
    answer = b""
    try:
        while len(answer) <= answer_max and (piece := source.read(_PIECE)):
            answer += piece
    finally:
        process.kill()
        process.wait()
        writer.join()
        source.close()
    return answer


def _give(target: FileIO, octets: bytes) -> None:
    with suppress(OSError), target:
        rest = memoryview(octets)
        while rest:
            rest = rest[target.write(rest) :]
