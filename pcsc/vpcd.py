"""A card in vpcd, the virtual reader driver of the vsmartcard project, so that a real pcscd has it.

The driver listens on TCP and the card connects to it. Every message is a two-byte big-endian length and that
many bytes; a message of one byte from the driver is an order (`Order`), a longer one a command APDU.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from enum import IntEnum
from typing import Final, Self

from pcsc.winscard import VirtualCard

_log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
PORT: Final = 35963

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_FRAME_SECONDS: Final = 10.0
"""How long a message may take from its first byte to its last, and an answer to be taken."""
_LENGTH_MAX: Final = 0xFFFF
_WRONG_LENGTH: Final = bytes.fromhex("6700")


class Order(IntEnum):
    """The orders of one byte; only `ATR` is answered."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    ATR = 4


class VpcdClient:
    """Serves `card` to the driver until `stop`; `insert`, `remove` and `stop` are for other threads.

    A service that goes away is waited for with back-off: there is nothing that could announce a TCP port.
    The driver looks for a card every 0.4 s, so that `remove` and `insert` take that long to be noticed.

    Args:
        card: the card; used by the thread in `run` only.
        host: where vpcd listens.
        port: 35963 for the first reader, 35964 for the second.
    """

    def __init__(self, card: VirtualCard, host: str = HOST, port: int = PORT) -> None:
        self._card = card
        self._address = (host, port)
        self._atr = b""
        self._changed = threading.Condition()
        self._inserted = True
        self._stopped = False
        self._link: _Link | None = None

    @property
    def connected(self) -> bool:
        """Whether the driver has the card at this moment."""
        with self._changed:
            return self._link is not None

    def run(self) -> None:
        """Serve the card until `stop` is called."""
        pause = _FIRST_PAUSE
        while self._wait_for_insertion():
            try:
                link = socket.create_connection(self._address, timeout=_LONGEST_PAUSE)
            except OSError:
                self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            spoke = False
            with link, contextlib.suppress(OSError), _Link(link) as connected:
                spoke = self._hold(connected)
            # A driver that takes cards and drops them at once must not become a busy loop.
            pause = _FIRST_PAUSE if spoke else min(pause * 2, _LONGEST_PAUSE)
            self._sleep(pause)

    def _hold(self, link: _Link) -> bool:
        """Serve the card until it is pulled out or the driver hangs up; whether the driver said anything."""
        if link.is_to_itself or not self._take(link):
            return False
        try:
            self._serve(link)
        except OSError as end:
            _log.debug("the card is out of the vpcd reader: %s", end)
        finally:
            self._give_back()
        return link.spoke

    def insert(self) -> None:
        """Put the card (back) into the reader."""
        with self._changed:
            self._inserted = True
            self._changed.notify_all()

    def remove(self) -> None:
        """Pull the card out, in mid-command too: the driver sees its connection end."""
        with self._changed:
            self._inserted = False
            self._cut()

    def stop(self) -> None:
        """End `run`, with the card pulled out."""
        with self._changed:
            self._stopped = True
            self._cut()
            self._changed.notify_all()

    def _cut(self) -> None:
        if self._link is not None:
            self._link.cut()

    def _wait_for_insertion(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._inserted or self._stopped)
            return not self._stopped

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)

    def _take(self, link: _Link) -> bool:
        with self._changed:
            if self._stopped or not self._inserted:
                return False
            self._link = link
            return True

    def _give_back(self) -> None:
        with self._changed:
            self._link = None
        self._atr = b""
        self._card.power_off()

    def _serve(self, link: _Link) -> None:
        while True:
            answer = self._answer(link.receive())
            if answer is not None:
                if len(answer) > _LENGTH_MAX:
                    answer = _WRONG_LENGTH  # 65536 bytes and a status word fit into no message
                link.send(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, message: bytes) -> bytes | None:
        if len(message) > 1:
            return self._card.transmit(message)
        order = message[0] if message else None
        if order == Order.POWER_OFF:
            self._card.power_off()
        elif order in (Order.POWER_ON, Order.RESET):
            self._atr = self._card.power_on()
        elif order == Order.ATR:
            # Asked every 0.4 s to see whether the card is there: that must not reset a card in use.
            self._atr = self._atr or self._card.power_on()
            return self._atr
        return None


class _Link:
    """The connection to the driver, which another thread can cut; a context manager.

    Attributes:
        spoke: a whole message came.
    """

    def __init__(self, connection: socket.socket) -> None:
        # For what is sent: reading begins when there is something to read.
        connection.settimeout(_FRAME_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.spoke = False
        self._connection = connection
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._selector.close()
        self._wake.close()
        self._woken.close()

    @property
    def is_to_itself(self) -> bool:
        """Whether nobody listens: a port that the system may give to whoever connects connects to itself."""
        return bool(self._connection.getsockname() == self._connection.getpeername())

    def cut(self) -> None:
        """End it, and wake the thread that waits for the driver."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        # On Windows a shutdown does not wake who waits for bytes.
        with contextlib.suppress(OSError):
            self._wake.shutdown(socket.SHUT_WR)

    def send(self, message: bytes) -> None:
        """All of `message`.

        Raises:
            OSError: the driver does not take it, hung up, or the link was cut.
        """
        self._connection.sendall(message)

    def receive(self) -> bytes:
        """Wait for a message, for however long, and return its content.

        Raises:
            OSError: the driver hung up or says the rest too slowly, or the link was cut.
        """
        first = self._receive(1, None)
        end = time.monotonic() + _FRAME_SECONDS
        length = int.from_bytes(first + self._receive(1, end), "big")
        content = self._receive(length, end)
        self.spoke = True
        return content

    def _receive(self, length: int, end: float | None) -> bytes:
        received = bytearray()
        while len(received) < length:
            if hasattr(socket, "TCP_QUICKACK"):
                # The driver sends length and content in two segments with Nagle's algorithm on: without an
                # acknowledgement at once every command takes 44 ms. Linux forgets the option after each use.
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            left = None if end is None else max(end - time.monotonic(), 0.0)
            ready = self._selector.select(left)
            if not ready:
                raise TimeoutError("vpcd stopped in the middle of a message")
            if any(key.fileobj is self._woken for key, _ in ready):
                raise ConnectionError("the card was pulled out")
            part = self._connection.recv(length - len(received))
            if not part:
                raise ConnectionError("vpcd closed the connection")
            received += part
        return bytes(received)
