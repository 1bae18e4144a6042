"""Readers with a keypad of their own: PC/SC part 10, revision 2.02.09.

The PIN goes from the keypad to the card and never through this computer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pcsc.apdu import Command, Response
from pcsc.errors import MalformedResponseError, ReaderLimitError
from pcsc.results import ReturnCode
from pcsc.winscard import control_code

GET_FEATURE_REQUEST: Final = control_code(3400)

ZH_TW: Final = 0x0404
"""The language a keypad's display is asked to use (USB language identifier)."""

_TIME_OUT: Final = 30
# Part 10 §2.5.2: PIN at byte 0 of the data field, left justified, ASCII; no PIN block, no length inside.
_ASCII_BYTES: Final = 0x82
_NO_BLOCK: Final = 0x00
_NO_LENGTH: Final = 0x00
_OK_KEY: Final = 0x02
_CONFIRM_NEW_AND_ASK_CURRENT: Final = 0x03

VERIFY_STRUCTURE: Final = struct.Struct("<BBBBBHBBHB3sI")
MODIFY_STRUCTURE: Final = struct.Struct("<BBBBBBBHBBBHBBB3sI")


class Feature(IntEnum):
    """Tags in the answer to GET_FEATURE_REQUEST, table 4-1, as far as they are used."""

    VERIFY_PIN_DIRECT = 0x06
    MODIFY_PIN_DIRECT = 0x07
    GET_TLV_PROPERTIES = 0x12


class KeypadStatus(IntEnum):
    """Status words that come from the keypad, not from the card; no try has been spent (§2.6.2)."""

    TIMEOUT = 0x6400
    CANCELLED = 0x6401
    DIFFERENT = 0x6402
    LENGTH = 0x6403


_MAX_APDU_DATA: Final = 0x0A


@dataclass(frozen=True, slots=True)
class Features:
    """What a reader can do beyond sending APDUs, as the control codes that ask for it.

    Attributes:
        verify: control code of FEATURE_VERIFY_PIN_DIRECT, or None.
        modify: control code of FEATURE_MODIFY_PIN_DIRECT, or None.
        properties: control code of FEATURE_GET_TLV_PROPERTIES, or None.
    """

    verify: int | None = None
    modify: int | None = None
    properties: int | None = None

    @classmethod
    def decode(cls, answer: bytes) -> Features:
        """Return the features in the answer to GET_FEATURE_REQUEST: tag, length 4, code in big-endian order.

        What is not of that shape is ignored, as is what follows it.
        """
        codes: dict[int, int] = {}
        for offset in range(0, len(answer) - 5, 6):
            tag, length = answer[offset], answer[offset + 1]
            if length != 4:
                break
            codes[tag] = int.from_bytes(answer[offset + 2 : offset + 6], "big")
        return cls(
            codes.get(Feature.VERIFY_PIN_DIRECT),
            codes.get(Feature.MODIFY_PIN_DIRECT),
            codes.get(Feature.GET_TLV_PROPERTIES),
        )


def max_apdu_data(properties: bytes) -> int | None:
    """Return dwMaxAPDUDataSize: 65536 for a reader that passes extended APDUs, 0 or 256 for others.

    Args:
        properties: the answer to FEATURE_GET_TLV_PROPERTIES; values are little-endian.

    Returns:
        None where the reader does not say.
    """
    while len(properties) >= 2:
        tag, length = properties[0], properties[1]
        value, properties = properties[2 : 2 + length], properties[2 + length :]
        if tag == _MAX_APDU_DATA and len(value) == length == 4:
            return int.from_bytes(value, "little")
    return None


class PinPad:
    """The keypad of a reader, for the length of a transaction; got from `Transaction.pin_pad`.

    Args:
        control: SCardControl: a control code and data in, the answer out; raises `PcscError`.
        features: what the reader can do.
    """

    def __init__(self, control: Callable[[int, bytes], bytes], features: Features) -> None:
        self._control = control
        self._features = features

    @property
    def can_modify(self) -> bool:
        """Whether a PIN can be changed on the keypad."""
        return self._features.modify is not None

    def verify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        """Have the person type the PIN, and send `command` with it.

        Args:
            command: VERIFY without data.
            min_length: fewest digits the keypad takes.
            max_length: most digits the keypad takes.

        Returns:
            The card's answer, or one of `KeypadStatus`.

        Raises:
            PcscError: the reader failed; it cannot be known whether a try was spent.
        """
        apdu = command.header + b"\x00"
        structure = VERIFY_STRUCTURE.pack(
            _TIME_OUT, _TIME_OUT, _ASCII_BYTES, _NO_BLOCK, _NO_LENGTH,
            min_length << 8 | max_length, _OK_KEY, 1, ZH_TW, 0, bytes(3), len(apdu),
        )  # fmt: skip
        return self._ask(self._features.verify, structure + apdu)

    def modify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        """Have the person type the old PIN, the new one and the new one again, and send `command` with them.

        Args:
            command: CHANGE REFERENCE DATA without data; the card takes old and new one after the other.
            min_length: fewest digits the keypad takes.
            max_length: most digits the keypad takes.

        Returns:
            The card's answer, or one of `KeypadStatus`.

        Raises:
            PcscError: the reader failed, or cannot do this (see `can_modify`).
        """
        apdu = command.header + b"\x00"
        structure = MODIFY_STRUCTURE.pack(
            _TIME_OUT, _TIME_OUT, _ASCII_BYTES, _NO_BLOCK, _NO_LENGTH, 0, 0,
            min_length << 8 | max_length, _CONFIRM_NEW_AND_ASK_CURRENT, _OK_KEY, 3, ZH_TW, 0, 1, 2,
            bytes(3), len(apdu),
        )  # fmt: skip
        return self._ask(self._features.modify, structure + apdu)

    def _ask(self, code: int | None, structure: bytes) -> Response:
        if code is None:
            raise ReaderLimitError(ReturnCode.UNSUPPORTED_FEATURE, "this reader's keypad cannot do that")
        answer = self._control(code, structure)
        if len(answer) != 2:
            raise MalformedResponseError(detail=f"the keypad answered {len(answer)} bytes, not a status word")
        return Response.decode(answer)
