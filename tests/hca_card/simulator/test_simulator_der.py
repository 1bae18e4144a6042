from __future__ import annotations

import pytest
from asn1crypto import core

from hca_card.simulator import der


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(der.integer(0), core.Integer(0), id="zero"),
        pytest.param(der.integer(127), core.Integer(127), id="the largest byte without a sign octet"),
        pytest.param(der.integer(128), core.Integer(128), id="the first number that needs a sign octet"),
        pytest.param(der.integer(1 << 2047), core.Integer(1 << 2047), id="a modulus"),
        pytest.param(
            der.oid("2.16.886.101.0.3.3"),
            core.ObjectIdentifier("2.16.886.101.0.3.3"),
            id="an arc of two octets",
        ),
        pytest.param(
            der.oid("1.2.840.113549.1.1.5"), core.ObjectIdentifier("1.2.840.113549.1.1.5"), id="RSA"
        ),
        pytest.param(der.utf8("測試"), core.UTF8String("測試"), id="text"),
        pytest.param(der.octets(b"x" * 200), core.OctetString(b"x" * 200), id="a length of two octets"),
        pytest.param(der.octets(b"x" * 300), core.OctetString(b"x" * 300), id="a length of three octets"),
        pytest.param(der.true(), core.Boolean(True), id="true"),
        pytest.param(der.enumerated(5), b"\x0a\x01\x05", id="an enumeration"),
        pytest.param(der.printable("TW"), core.PrintableString("TW"), id="plain text"),
        pytest.param(der.explicit(3, der.integer(1)), core.Integer(1, explicit=3), id="a tag around another"),
    ],
)
def test_what_is_written_is_what_another_encoder_writes(
    written: bytes, expected: core.Asn1Value | bytes
) -> None:
    assert written == (expected if isinstance(expected, bytes) else expected.dump())


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ((), "03 01 00"),
        ((0,), "03 02 07 80"),
        ((1, 5), "03 02 02 44"),
        ((0, 2, 3, 4), "03 02 03 B8"),
        ((7,), "03 02 00 01"),
        ((9,), "03 03 06 00 40"),
    ],
)
def test_named_bits_have_no_trailing_zeros(bits: tuple[int, ...], expected: str) -> None:
    assert der.flags(*bits) == bytes.fromhex(expected)
