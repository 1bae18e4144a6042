"""BER-TLV with bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hca_card import tlv
from hca_card.errors import CardDataError


def test_a_two_byte_tag_and_a_long_length_are_read():
    item, end = tlv.read(bytes.fromhex("7F4982000131") + b"\xee")
    assert (item.tag, item.value, item.constructed, end) == (0x7F49, b"\x31", True, 6)


@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("nothing at all", ""),
        ("a tag and no length", "30"),
        ("a tag that does not end", "1F 81 82 83 01 00"),
        ("an indefinite length", "30 80 02 01 00 00 00"),
        ("a length of five octets", "30 85 00 00 00 00 01 00"),
        ("a length whose octets are cut off", "30 82 01"),
        ("a length beyond the data", "04 05 01 02"),
        ("a length of 16 MB", "30 83 FF FF FF 00"),
    ],
)
def test_what_lies_is_refused(why: str, data: str):
    with pytest.raises(CardDataError):
        tlv.read(bytes.fromhex(data))


def test_the_length_a_file_announces_is_known_from_its_header_alone():
    assert tlv.announced_length(bytes.fromhex("30 82 04 B0")) == 0x4B4


def test_padding_between_objects_is_skipped_in_files_and_refused_inside_values():
    padded = bytes.fromhex("00 00 04 01 AA FF FF 04 01 BB 00")
    assert [item.value for item in tlv.objects(padded)] == [b"\xaa", b"\xbb"]
    with pytest.raises(CardDataError):
        tlv.objects(b"\xff\xff\xff\xff", padded=False)


def test_a_value_is_found_by_its_path_of_tags():
    fci = bytes.fromhex("6F 09 84 02 F0 48 53 03 32 31 31")
    assert tlv.find(fci, 0x6F, 0x53) == b"211"
    assert tlv.find(fci, 0x6F, 0x50) is None
    assert tlv.find(fci, 0x62) is None


def test_a_primitive_object_has_no_children():
    with pytest.raises(CardDataError):
        _ = tlv.Tlv(0x04, b"\x04\x00").children


def test_nesting_has_an_end():
    data = b""
    for _ in range(tlv.MAX_DEPTH + 1):
        data = tlv.Tlv(0x30, data).encode()
    tlv.check(tlv.read(data)[0].value)
    with pytest.raises(CardDataError, match="deep"):
        tlv.check(data)


def test_more_objects_than_any_card_needs_are_refused():
    with pytest.raises(CardDataError, match="too many"):
        tlv.objects(b"\x05\x00" * (tlv.MAX_OBJECTS + 1))
    one_sequence = tlv.Tlv(0x30, b"\x05\x00" * tlv.MAX_OBJECTS).encode()
    with pytest.raises(CardDataError, match="too many"):
        tlv.check(one_sequence)


def test_check_takes_exactly_one_object():
    tlv.check(bytes.fromhex("30 02 05 00"))
    with pytest.raises(CardDataError, match="after"):
        tlv.check(bytes.fromhex("30 02 05 00 00"))


@given(st.integers(0, 0x1E), st.binary(max_size=300))
def test_what_is_encoded_is_read_again(tag: int, value: bytes):
    item = tlv.Tlv(tag, value)
    assert tlv.read(item.encode()) == (item, len(item.encode()))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    for reader in (tlv.read, tlv.announced_length, tlv.objects, tlv.check):
        try:
            reader(data)
        except CardDataError:
            continue


def test_a_length_beyond_any_file_of_a_card_is_not_announced() -> None:
    with pytest.raises(CardDataError, match="claims"):
        tlv.announced_length(bytes.fromhex("30 84 7F FF FF FF"))


def test_a_constructed_object_has_its_children() -> None:
    assert [child.value for child in tlv.Tlv(0x30, bytes.fromhex("0401AA 0401BB")).children] == [
        b"\xaa",
        b"\xbb",
    ]
