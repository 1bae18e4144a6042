"""Every error has the two numbers that pages of the HiPKI dialect know, and the documentation has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.errors import facts, row_for, table
from agent.errors.numbers.hipki import HipkiNumbers, RetCode, hipki_numbers
from hca_card.errors import PinLockedError, PinWrongError

PAGE = (Path(__file__).parents[3] / "docs" / "hipki.md").read_text("utf-8")
# PKCS#11 v2.40 §A: the return values are below 0x200; those of a vendor's own have the highest bit.
CKR = range(0x200)


def test_every_row_has_both() -> None:
    for row in table().values():
        numbers = hipki_numbers(row)
        assert numbers.ret_code is not RetCode.OK, row.id
        assert 0x76000001 <= numbers.ret_code <= 0x76500002, row.id
        assert numbers.last_error in CKR, row.id
        # The numbers from 9001 on stand for PKCS#11's own, and none of those is lost.
        assert (numbers.last_error == 0) is (row.servisign not in range(9001, 10000)), row.id


@pytest.mark.parametrize(
    ("error_id", "ret_code", "last_error"),
    [
        ("pin.wrong", 0x76100006, 0xA0),
        ("pin.length", 0x76100006, 0xA2),
        ("pin.locked", 0x76100006, 0xA4),
        ("pin.cancelled", 0x76000999, 0x01),
        ("request.cancelled", 0x76000999, 0x50),
        ("pin.unavailable", 0x76000998, 0x101),
        ("origin.refused", 0x76000031, 0),
        ("consent.refused", 0x76000031, 0),
        ("interaction.unavailable", 0x76000031, 0),
        ("digest.refused", 0x76000031, 0),
        ("card.none", 0x76000006, 0xE0),
        ("reader.none", 0x76100003, 0xE0),
        ("certificate.not_yet_valid", 0x76500001, 0),
        ("certificate.expired", 0x76500002, 0),
        ("card.timeout", 0x7600000D, 0x30),
        ("consent.timeout", 0x7600000D, 0x01),
        ("internal", 0x7600000D, 0x05),
    ],
)
def test_the_numbers_that_pages_know(error_id: str, ret_code: int, last_error: int) -> None:
    numbers = hipki_numbers(table()[error_id])
    assert (numbers.ret_code, numbers.last_error) == (ret_code, last_error)


@pytest.mark.parametrize(
    ("left", "last_error"), [(None, 0xA0), (0, 0xA4), (1, -2147483647), (2, -2147483646), (3, 0xA0)]
)
def test_a_wrong_pin_says_how_many_tries_are_left(left: int | None, last_error: int) -> None:
    error = PinWrongError(tries_left=left)
    assert hipki_numbers(row_for(error), left) == HipkiNumbers(RetCode.LOGIN_FAILED, last_error)


def test_tries_left_of_another_error_are_not_taken_for_a_wrong_pin() -> None:
    error = PinLockedError(tries_left=0)
    assert facts(error) == {"tries_left": 0}
    assert hipki_numbers(row_for(error), 0).last_error == 0xA4
    assert hipki_numbers(table()["pin.last_try"], 1).last_error == 0xA1


def test_the_documentation_has_every_number() -> None:
    table = set(re.findall(r"^\| (0x[0-9A-F]{8}) \|", PAGE, re.MULTILINE))
    assert table == {f"0x{code:08X}" for code in RetCode if code is not RetCode.OK}
