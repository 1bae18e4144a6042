"""Somebody's hand at a virtual reader of a pcscd: puts a simulated card in, pulls it, swaps it."""

from __future__ import annotations

import threading
from typing import Self

from hca_card.simulator import SimulatedCard
from pcsc.vpcd import VpcdClient
from tests.support.cards import simulated
from tests.support.waiting import until

_SECONDS = 30.0


class CardInReader:
    """A reader, in this thread's network; a context manager, which leaves the reader empty.

    Args:
        port: of the driver.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: VpcdClient | None = None
        self._thread: threading.Thread | None = None

    def put(self, kind: str) -> SimulatedCard:
        """Pull the card that is there, and put another in; the driver has it."""
        self.pull()
        card = simulated(kind)
        client = self._client = VpcdClient(card, port=self._port)
        self._thread = threading.Thread(target=client.run, daemon=True)
        self._thread.start()
        until(lambda: client.connected, "the reader does not take the card", _SECONDS)
        return card

    def pull(self) -> None:
        """Pull the card, if there is one."""
        if self._client is not None and self._thread is not None:
            self._client.stop()
            self._thread.join(_SECONDS)
        self._client = self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()
