"""How documents look, for whoever is asked to sign them; each is drawn in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from typing import Final, cast

from agent.desktop import converse, own_command
from agent.environment import Child
from signing.preview import Preview
from signing.preview.child import ANSWER_MAX, DOCUMENT_MAX, decoded

log = logging.getLogger(__name__)

_SECONDS: Final = 10.0
_AT_ONCE: Final = 2
_PIECE: Final = 65536


class Previews:
    """Makes previews, a few at a time.

    Args:
        command: gives the words that start the process.
        seconds: how long one may take; the question is then shown without.
    """

    def __init__(
        self,
        command: Callable[[], Sequence[str]] = lambda: own_command("preview"),
        *,
        seconds: float = _SECONDS,
    ) -> None:
        self._command = command
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def of(self, document: bytes) -> Preview:
        """Return how a document looks; nothing where that cannot be told in time."""
        if len(document) > DOCUMENT_MAX:
            return Preview()
        async with self._places:
            try:
                process = converse(self._command(), Child.PREVIEW)
            except OSError as error:
                log.warning("a preview cannot be started: %s", error)
                return Preview()
            try:
                async with asyncio.timeout(self._seconds):
                    octets = await asyncio.to_thread(_ask, process, document)
                return decoded(octets)
            except (TimeoutError, OSError, ValueError) as error:
                log.warning("a document has no preview: %s", type(error).__name__)
                return Preview()
            finally:
                # Its thread ends with it, whatever the document made of it.
                with suppress(OSError):
                    process.kill()


def _ask(process: subprocess.Popen[bytes], document: bytes) -> bytes:
    """Give the document to the process, and return its answer."""
    source, target = cast(FileIO, process.stdout), cast(FileIO, process.stdin)
    writer = threading.Thread(target=_give, args=(target, document), name="to preview", daemon=True)
    writer.start()
    answer = b""
    try:
        while len(answer) <= ANSWER_MAX and (piece := source.read(_PIECE)):
            answer += piece
    finally:
        process.kill()
        process.wait()
        writer.join()
        source.close()
    return answer


def _give(target: FileIO, document: bytes) -> None:
    with suppress(OSError), target:
        rest = memoryview(document)
        while rest:
            rest = rest[target.write(rest) :]
