"""The smallest card that shows all a transport has to carry, for tests in-process and with a real pcscd."""

from __future__ import annotations

import hmac
import threading
import time

from pcsc.apdu import Command, Response

PIN = b"123456"
# T=1, historical bytes 80 73 00 00 40: card capabilities with extended length (ISO/IEC 7816-4 §12.1.1.9).
EXTENDED_ATR = bytes.fromhex("3B 85 81 31 FE 45 80 73 00 00 40 43")
SHORT_ATR = bytes.fromhex("3B 85 81 31 FE 45 80 73 00 00 00 03")

READ = 0xB0
"""READ BINARY: P1-P2 is how many bytes the file has; byte n of it is n mod 251."""
ECHO = 0xEC
"""Answers the command data, whatever its length."""
VERIFY = 0x20
TRIES = 0x21
"""Answers one byte: whether the PIN is verified."""
SLOW = 0x30
"""Takes P1 hundredths of a second."""


class PlainCard:
    """A virtual card: reads, echoes, verifies a PIN.

    Args:
        extended: whether it takes extended length; if not it answers 6700 and sends 61XX.
        pin: what VERIFY takes.

    Attributes:
        log: every command it was sent, and "on" and "off".
        slow: set while a SLOW command is at work.
    """

    def __init__(self, *, extended: bool = True, pin: bytes = PIN) -> None:
        self.extended = extended
        self.pin = pin
        self.verified = False
        self.log: list[str] = []
        self.slow = threading.Event()
        self._chained = bytearray()
        self._rest = b""

    def power_on(self) -> bytes:
        self.log.append("on")
        self.verified = False
        self._chained.clear()
        return EXTENDED_ATR if self.extended else SHORT_ATR

    def power_off(self) -> None:
        self.log.append("off")
        self.verified = False

    def transmit(self, command: bytes) -> bytes:
        self.log.append(command.hex())
        try:
            decoded = Command.decode(command)
        except ValueError:
            return b"\x67\x00"
        if not self.extended and len(command) > 5 and command[4] == 0:
            return b"\x67\x00"
        return self._answer(decoded).encode()

    def _answer(self, command: Command) -> Response:
        if command.ins == 0xC0:
            return self._give(self._rest, command.le)
        if command.cla & 0x10:
            self._chained += command.data
            return Response(b"", 0x9000)
        data = bytes(self._chained) + command.data
        self._chained.clear()
        if command.ins == READ:
            return self._give(file_content(command.p1 << 8 | command.p2), command.le)
        if command.ins == ECHO:
            return self._give(data, command.le)
        if command.ins == VERIFY:
            self.verified = hmac.compare_digest(data, self.pin)
            return Response(b"", 0x9000 if self.verified else 0x63C2)
        if command.ins == TRIES:
            return Response(bytes((self.verified,)), 0x9000)
        if command.ins == SLOW:
            self.slow.set()
            time.sleep(command.p1 / 100)  # a card's deliberate slowness
            return Response(b"", 0x9000)
        return Response(b"", 0x6D00)

    def _give(self, data: bytes, le: int | None) -> Response:
        wanted = le or 0
        part, self._rest = data[:wanted], data[wanted:]
        if self._rest and not self.extended:
            return Response(part, 0x6100 | min(len(self._rest), 255))
        return Response(part, 0x9000)


def file_content(length: int) -> bytes:
    """What READ gives."""
    return bytes(position % 251 for position in range(length))
