"""The tray's side of the link to the daemon: states come in on one stream, choices go out on the other."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO, Self

from agent.tray.messages import LINE_MAX, Chosen, Opened, TrayState, line, read_state
from hca_card.decoding import UNREADABLE
from tray.icon_states import Face, face

log = logging.getLogger(__name__)


class DaemonLink:
    """The two streams; every method may be called from any thread.

    Args:
        incoming: where the daemon writes states; its end is the end of the tray.
        outgoing: where choices are written.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()

    @classmethod
    def standard(cls) -> Self:
        """Take the standard streams; whatever else prints from now on goes to standard error."""
        outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(sys.stdin.buffer, outgoing)

    def faces(self) -> Iterator[tuple[TrayState, Face]]:
        """Yield each state and its face; block between them, and end with the daemon.

        Raises:
            UNREADABLE: the daemon wrote what no daemon of this version does.
        """
        while text := self._incoming.readline(LINE_MAX):
            state = read_state(text)
            yield state, face(state)

    async def states(self) -> AsyncIterator[tuple[TrayState, Face]]:
        """Yield the same on an event loop.

        Raises:
            UNREADABLE: as `faces`.
        """
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[tuple[TrayState, Face] | Exception | None] = asyncio.Queue()

        def read() -> None:
            last: Exception | None = None
            try:
                for one in self.faces():
                    loop.call_soon_threadsafe(arrived.put_nowait, one)
            except (OSError, *UNREADABLE) as error:
                last = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.put_nowait, last)

        # A daemon thread: a read that blocks must not keep a tray alive whose desktop has ended.
        threading.Thread(target=read, name="from the daemon", daemon=True).start()
        while isinstance(one := await arrived.get(), tuple):
            yield one
        if one is not None:
            raise one

    def send(self, message: Chosen | Opened) -> None:
        """Write what the person did, if the daemon still reads."""
        try:
            with self._lock:
                self._outgoing.write(line(message))
                self._outgoing.flush()
        except (OSError, ValueError) as error:
            log.info("the daemon does not listen any more: %s", error)
