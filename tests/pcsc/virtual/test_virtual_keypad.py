"""The keypad of a virtual reader, from the reader's side: what it sends, and what it ends by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pcsc.pinpad import MODIFY_STRUCTURE, VERIFY_STRUCTURE, Features, KeypadStatus
from pcsc.virtual.keypad import FEATURES, KeypadPrompt, perform

CODES = Features.decode(FEATURES)
LIMITS = 0x0608


def verify_structure() -> bytes:
    fields = list(VERIFY_STRUCTURE.unpack(bytes(VERIFY_STRUCTURE.size)))
    fields[5] = LIMITS
    return VERIFY_STRUCTURE.pack(*fields) + bytes.fromhex("00200001") + b"ignored"


def modify_structure() -> bytes:
    fields = list(MODIFY_STRUCTURE.unpack(bytes(MODIFY_STRUCTURE.size)))
    fields[7] = LIMITS
    return MODIFY_STRUCTURE.pack(*fields) + bytes.fromhex("00240001")


def typing(*typed: bytes | None) -> Callable[[KeypadPrompt], bytes | None]:
    return lambda prompt: typed[prompt]


def card(sent: list[bytes]) -> Callable[[bytes], bytes | None]:
    def transmit(command: bytes) -> bytes:
        sent.append(command)
        return b"\x90\x00"

    return transmit


def test_the_pin_typed_goes_to_the_card_behind_the_header() -> None:
    sent: list[bytes] = []
    assert CODES.verify is not None
    assert perform(CODES.verify, verify_structure(), typing(b"123456"), card(sent)) == b"\x90\x00"
    assert sent == [bytes.fromhex("00200001 06") + b"123456"]


def test_the_old_and_the_new_pin_go_to_the_card_together() -> None:
    sent: list[bytes] = []
    assert CODES.modify is not None
    typed = typing(b"123456", b"7654321", b"7654321")
    assert perform(CODES.modify, modify_structure(), typed, card(sent)) == b"\x90\x00"
    assert sent == [bytes.fromhex("00240001 0D") + b"1234567654321"]


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ((None,), KeypadStatus.CANCELLED),
        ((b"12345",), KeypadStatus.LENGTH),
        ((b"123456789",), KeypadStatus.LENGTH),
        ((b"123456", b"654321", b"654322"), KeypadStatus.DIFFERENT),
        ((b"123456", b"654321", None), KeypadStatus.CANCELLED),
    ],
)
def test_what_the_keypad_ends_by_itself_never_reaches_the_card(
    typed: tuple[bytes | None, ...], status: KeypadStatus
) -> None:
    sent: list[bytes] = []
    assert CODES.modify is not None
    answer = perform(CODES.modify, modify_structure(), typing(*typed), card(sent))
    assert answer == status.to_bytes(2, "big")
    assert not sent


def test_a_code_of_no_feature_is_not_performed() -> None:
    assert perform(0x1234, verify_structure(), typing(b"123456"), card([])) is None
