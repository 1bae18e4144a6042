"""A PIN in memory: never printed, compared or written, and gone after use."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from hca_card.pin import Pin


@pytest.mark.parametrize("given", ["123456", b"123456", bytearray(b"123456")])
def test_a_pin_is_the_bytes_that_a_card_is_sent(given: str | bytes | bytearray) -> None:
    with Pin(given) as pin:
        assert (pin.octets, len(pin), pin.wiped) == (b"123456", 6, False)
        assert "123456" not in f"{pin}{pin!r}"
    assert pin.wiped and len(pin) == 0
    with pytest.raises(ValueError, match="wiped"):
        _ = pin.octets
    pin.wipe()


@pytest.mark.parametrize("given", ["１２３４５６", "12\n34", b"\x7f", b"\x00"])
def test_what_no_pin_has_is_refused_without_being_shown(given: str | bytes) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        Pin(given)
    assert repr(given) not in str(caught.value)


def test_a_copy_is_wiped_by_itself() -> None:
    pin = Pin("123456")
    with pin.copy() as other:
        assert other.octets == pin.octets
    assert other.wiped and not pin.wiped


@pytest.mark.parametrize("use", [lambda pin: pin == pin.copy(), hash, pickle.dumps, copy.deepcopy])
def test_a_pin_is_not_compared_hashed_or_written(use: Callable[[Pin], object]) -> None:
    with pytest.raises(TypeError, match="PINs are not"):
        use(Pin("123456"))
