"""PINs as bytes of a command."""

from __future__ import annotations

import pytest

from hca_card.errors import PinLengthError
from hca_card.pin import Pin
from hca_card.pin_block import PinEncoding, PinFormat


@pytest.mark.parametrize(
    ("form", "pin", "block"),
    [
        (PinFormat(6, 8), "Ab12#6", "41 62 31 32 23 36"),
        (PinFormat(4, 8, PinEncoding.ASCII_NUMERIC, 8, 0x00), "123456", "31 32 33 34 35 36 00 00"),
        (PinFormat(4, 8, PinEncoding.BCD, 4, 0xFF), "12345", "12 34 5F FF"),
        (PinFormat(4, 8, PinEncoding.HALF_NIBBLE_BCD), "1234", "F1 F2 F3 F4"),
        # ISO 9564-1 format 2: control 2, length, digits, filled with F.
        (PinFormat(4, 12, PinEncoding.ISO_9564, 8), "12345", "25 12 34 5F FF FF FF FF"),
    ],
)
def test_a_pin_is_encoded_as_the_card_takes_it(form: PinFormat, pin: str, block: str):
    assert form.encode(Pin(pin)) == bytes.fromhex(block)


@pytest.mark.parametrize(
    ("form", "pin"),
    [
        (PinFormat(6, 8), "12345"),
        (PinFormat(6, 8), "123456789"),
        (PinFormat(1, 8), ""),
        (PinFormat(6, 8, PinEncoding.ASCII_NUMERIC), "12345a"),
        (PinFormat(4, 16, PinEncoding.ISO_9564), "123456789012345"),
    ],
)
def test_a_pin_the_card_cannot_take_is_refused(form: PinFormat, pin: str):
    with pytest.raises(PinLengthError) as caught:
        form.encode(Pin(pin))
    assert not pin or pin not in str(caught.value)


def test_a_block_is_never_longer_than_the_card_stores() -> None:
    form = PinFormat(4, 6, PinEncoding.ISO_9564)
    with pytest.raises(PinLengthError, match="longer than the card"):
        form.encode(Pin("123456"))
    assert PinFormat(4, 6, prefix=b"\x01", stored_length=8).encode(Pin("1234")) == b"\x011234\xff\xff\xff"
