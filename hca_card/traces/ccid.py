"""CCID messages to APDUs: at APDU level, extended APDUs in pieces, T=1 blocks with their chains, T=0 TPDUs.

CCID: USB-IF, Device Class: Smart Card CCID, revision 1.1, chapter 6; T=1: ISO/IEC 7816-3 §11.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Final

from hca_card.pin_block import PinEncoding
from hca_card.traces.secrets import PinShape
from hca_card.traces.sink import Sink
from pcsc.atr import protocols

POWER_ON: Final = 0x62
POWER_OFF: Final = 0x63
TRANSFER: Final = 0x6F
SECURE: Final = 0x69
DATA_BLOCK: Final = 0x80

_TO_READER: Final = frozenset(
    {0x61, 0x62, 0x63, 0x65, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F, 0x71, 0x72, 0x73}
)
_FROM_READER: Final = frozenset({0x80, 0x81, 0x82, 0x83, 0x84})
_SLOTS_MOST: Final = 16
_APDU_MOST: Final = 0x10000 + 16
_MORE: Final = 0x20
_FAILED: Final = 0x40
_TIME_EXTENSION: Final = 0x80
_CONTINUES: Final = 0x10
_VERIFICATION: Final = 0
_VERIFY_TEMPLATE: Final = 15
_MODIFY_TEMPLATES: Final = {0: 18, 1: 19, 2: 19, 3: 20}


class Reader:
    """One CCID device.

    Args:
        name: tells it from others in the same capture.
        sink: where its slots' dealings go.
    """

    def __init__(self, name: str, sink: Sink) -> None:
        self._name = name
        self._sink = sink
        self._slots: dict[int, _Slot] = {}

    @staticmethod
    def begins(data: bytes | bytearray, *, incoming: bool) -> bool:
        """Return whether a CCID message may begin so."""
        return bool(data) and data[0] in (_FROM_READER if incoming else _TO_READER)

    def message(self, message: bytes, *, incoming: bool) -> None:
        """Take one whole message."""
        number = message[5]
        if number >= _SLOTS_MOST:
            return
        slot = self._slots.setdefault(number, _Slot(f"{self._name}/{number}", self._sink))
        if incoming:
            slot.answered(message)
        else:
            slot.asked(message)


class _Slot:
    def __init__(self, name: str, sink: Sink) -> None:
        self._name = name
        self._sink = sink
        self._asked = 0
        self._blocks: bool | None = None
        self._command = bytearray()
        self._response = bytearray()

    def asked(self, message: bytes) -> None:
        """Take a message to the reader."""
        self._asked = message[0]
        if message[0] in (POWER_ON, POWER_OFF):
            self._forget()
        elif message[0] == SECURE:
            self._secure(message[10:])
        elif message[0] == TRANSFER:
            data = message[10:]
            if self._blocks is not False and _is_block(data):
                self._blocks = True
                self._block(data, self._command, incoming=False)
            elif not self._blocks:
                self._blocks = False
                self._piece(data, int.from_bytes(message[8:10], "little"))

    def answered(self, message: bytes) -> None:
        """Take a message from the reader."""
        status, data = message[7], message[10:]
        if message[0] != DATA_BLOCK or status & _TIME_EXTENSION:
            return
        if self._asked == POWER_ON:
            if data and not status & _FAILED:
                self._blocks = None if 1 in protocols(data) else False
                self._sink.reset(self._name, data)
            return
        if self._asked == SECURE and self._blocks and _is_block(data):
            data = data[3 : 3 + data[2]]  # the keypad's answer is in a block where the reader takes blocks
        elif self._blocks and self._asked == TRANSFER:
            if _is_block(data):
                self._block(data, self._response, incoming=True)
            return
        if self._asked in (TRANSFER, SECURE):
            if self._response or message[9]:
                self._grow(self._response, data)
                if message[9] in (1, 3, _CONTINUES):
                    return
                data = bytes(self._response)
                self._response.clear()
            if data:
                self._sink.response(self._name, data)

    def _piece(self, data: bytes, level: int) -> None:
        """Take an APDU, or a piece of an extended one (wLevelParameter, table 6.1-4)."""
        if level == _CONTINUES:
            return
        self._grow(self._command, data)
        if level in (0, 2):
            self._send()

    def _block(self, block: bytes, held: bytearray, *, incoming: bool) -> None:
        """Take a block of T=1: information blocks are put together, all others are the line's own affair."""
        pcb = block[1]
        if pcb & 0x80:
            return
        self._grow(held, block[3 : 3 + block[2]])
        if pcb & _MORE:
            return
        if incoming:
            data = bytes(held)
            held.clear()
            self._sink.response(self._name, data)
        else:
            self._send()

    def _send(self) -> None:
        data = bytes(self._command)
        self._command[:] = bytes(len(self._command))
        self._command.clear()
        if data:
            self._sink.command(self._name, data)

    def _grow(self, held: bytearray, data: bytes) -> None:
        if len(held) + len(data) <= _APDU_MOST:
            held += data

    def _forget(self) -> None:
        for held in (self._command, self._response):
            held[:] = bytes(len(held))
            held.clear()

    def _secure(self, structure: bytes) -> None:
        """Take PC_to_RDR_Secure (§6.1.11): the frame of the command, into which the reader puts the PIN."""
        if len(structure) < _VERIFY_TEMPLATE:
            return
        operation = structure[0]
        if operation == _VERIFICATION:
            template = structure[_VERIFY_TEMPLATE:]
        elif operation == 1 and len(structure) > 12:
            # Messages to show decide where it begins (bNumberMessage).
            template = structure[_MODIFY_TEMPLATES.get(structure[11], 20) :]
        else:
            return
        if len(template) >= 4:
            shape = _keypad_shape(structure, template) if operation == _VERIFICATION else None
            self._sink.keypad(self._name, template[:4], shape)


def _keypad_shape(structure: bytes, template: bytes) -> PinShape | None:
    """Return how the keypad writes the PIN: bmFormatString, bmPINBlockString and the frame's own padding."""
    kind, block = structure[2] & 0x03, structure[3]
    stored = block & 0x0F
    frame = template[5:]
    pad = frame[-1] if frame else 0xFF
    if kind == 2:
        return PinShape(PinEncoding.ASCII, max(stored, len(frame)), pad)
    if kind == 1:
        iso = bool(block >> 4) and len(frame) == 8 and frame[0] >> 4 == 2
        return (
            PinShape(PinEncoding.ISO_9564, 0, 0xFF)
            if iso
            else PinShape(PinEncoding.BCD, max(stored, len(frame)), pad)
        )
    return None


def _is_block(data: bytes) -> bool:
    """Return whether `data` is a block of T=1: length and LRC agree. No reader is known that uses the CRC."""
    return len(data) >= 4 and len(data) == data[2] + 4 and reduce(xor, data, 0) == 0
