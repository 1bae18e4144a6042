"""The keypad of a virtual reader: PC/SC part 10 seen from the reader's side."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from pcsc.pinpad import MODIFY_STRUCTURE, VERIFY_STRUCTURE, Feature, KeypadStatus


class KeypadPrompt(IntEnum):
    """What the keypad asks for."""

    CURRENT = 0
    NEW = 1
    REPEATED = 2


KeypadInput = Callable[[KeypadPrompt], bytes | None]
"""Gives what the person types on the keypad: digits as ASCII, or None for the cancel key."""

_VERIFY_CODE: Final = 0x42330006
_MODIFY_CODE: Final = 0x42330007

FEATURES: Final = b"".join(
    bytes((tag, 4)) + code.to_bytes(4, "big")
    for tag, code in ((Feature.VERIFY_PIN_DIRECT, _VERIFY_CODE), (Feature.MODIFY_PIN_DIRECT, _MODIFY_CODE))
)
"""The answer to GET_FEATURE_REQUEST."""


class _RefusedError(Exception):
    """The keypad ends the entry by itself."""

    def __init__(self, status: KeypadStatus) -> None:
        super().__init__(status.name)
        self.status = status


def perform(
    code: int, structure: bytes, typed: KeypadInput, transmit: Callable[[bytes], bytes | None]
) -> bytes | None:
    """Ask for the PIN and send the command with it.

    Args:
        code: the control code of a feature.
        structure: PIN_VERIFY or PIN_MODIFY with the command header behind it.
        typed: the person at the keypad.
        transmit: sends an APDU to the card.

    Returns:
        The card's answer or the keypad's own status word; None if the reader has no such feature.
    """
    try:
        if code == _VERIFY_CODE:
            form = VERIFY_STRUCTURE
            pin = _entry(typed, KeypadPrompt.CURRENT, form.unpack_from(structure)[5])
        elif code == _MODIFY_CODE:
            form = MODIFY_STRUCTURE
            pin = _old_and_new(typed, form.unpack_from(structure)[7])
        else:
            return None
    except _RefusedError as refused:
        return refused.status.to_bytes(2, "big")
    header = structure[form.size :][:4]
    return transmit(header + bytes((len(pin),)) + pin)


def _old_and_new(typed: KeypadInput, limits: int) -> bytes:
    current = _entry(typed, KeypadPrompt.CURRENT, limits)
    new = _entry(typed, KeypadPrompt.NEW, limits)
    if _entry(typed, KeypadPrompt.REPEATED, limits) != new:
        raise _RefusedError(KeypadStatus.DIFFERENT)
    return current + new


def _entry(typed: KeypadInput, prompt: KeypadPrompt, limits: int) -> bytes:
    """Return one PIN within wPINMaxExtraDigit: the fewest digits in the high byte, the most in the low."""
    pin = typed(prompt)
    if pin is None:
        raise _RefusedError(KeypadStatus.CANCELLED)
    if not limits >> 8 <= len(pin) <= limits & 0xFF:
        raise _RefusedError(KeypadStatus.LENGTH)
    return pin
