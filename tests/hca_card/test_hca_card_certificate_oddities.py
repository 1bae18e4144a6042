"""What is odd in how a certificate is written, and what is as it should be."""

from __future__ import annotations

from functools import cache

import pytest

from hca_card.certificate_oddities import CertificateOddity, oddities
from hca_card.errors import CardDataError
from hca_card.simulator.der import oid, sequence, tlv
from tests.support.software_card import rewritten, signature_certificate

O = CertificateOddity  # noqa: E741
PLAIN, FAR = tlv(0x17, b"200101000000Z"), tlv(0x18, b"20600101000000Z")


@cache
def certificate() -> bytes:
    return signature_certificate()


def named(*values: bytes) -> bytes:
    """The certificate with that common name for subject and issuer."""
    return rewritten(
        certificate(), "ca", names=sequence(*(tlv(0x31, sequence(oid("2.5.4.3"), value)) for value in values))
    )


@pytest.mark.parametrize(
    ("tag", "octets", "found"),
    [
        (0x13, b"Ministry (Health), No. 1", ()),
        (0x13, b"a_b@c", (O.PRINTABLE,)),
        (0x14, b"Mueller", ()),
        (0x14, "Müller".encode("latin-1"), (O.TELETEX,)),
        (0x12, b"12 34", ()),
        (0x12, b"12-34", (O.STRING,)),
        (0x16, b"a@b.tw", ()),
        (0x16, b"\xb4\xfa", (O.STRING,)),
        (0x1A, b"visible", ()),
        (0x0C, "測試".encode(), ()),
        (0x0C, b"\xff", (O.STRING,)),
        (0x1E, "測試".encode("utf-16-be"), ()),
        (0x1E, b"\x00", (O.STRING,)),
        (0x1C, "測試".encode("utf-32-be"), ()),
        (0x1C, b"\x00\x00\x00", (O.STRING,)),
        (0x04, b"octets", (O.NO_STRING,)),
    ],
)
def test_names(tag: int, octets: bytes, found: tuple[CertificateOddity, ...]) -> None:
    assert oddities(named(tlv(tag, octets))) == found


def test_each_oddity_is_told_once_and_in_one_order() -> None:
    der = named(tlv(0x04, b""), tlv(0x13, b"_"), tlv(0x13, b"_"), tlv(0x14, b"\xff"))
    assert oddities(der) == (O.PRINTABLE, O.TELETEX, O.NO_STRING)


def test_a_name_that_is_none_has_nothing_odd_that_could_be_named() -> None:
    assert oddities(rewritten(certificate(), "ca", names=sequence(tlv(0x31, sequence())))) == ()


@pytest.mark.parametrize(
    ("times", "odd"),
    [
        (sequence(PLAIN, FAR), False),
        (sequence(tlv(0x17, b"2001010000Z"), FAR), True),
        (sequence(tlv(0x17, b"200101080000+0800"), FAR), True),
        (sequence(tlv(0x18, b"20200101000000Z"), FAR), True),
        (sequence(tlv(0x18, b"20600101000000.0Z"), FAR), True),
        (sequence(tlv(0x0C, b"200101000000Z"), FAR), True),
    ],
)
def test_times(times: bytes, odd: bool) -> None:
    assert oddities(rewritten(certificate(), "ca", times=times)) == ((O.TIME,) if odd else ())


def test_what_is_no_certificate_has_no_oddities() -> None:
    with pytest.raises(CardDataError):
        oddities(b"none")
