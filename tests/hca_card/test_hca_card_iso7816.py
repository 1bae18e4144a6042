"""READ BINARY, SELECT and key commands, exchange by exchange."""

from __future__ import annotations

import pytest

from hca_card import iso7816
from hca_card.errors import CardDataError, ObjectMissingError
from pcsc.apdu import Response
from pcsc.status import StatusError
from tests.support.script import AnsweringChannel, ScriptedChannel

CERTIFICATE = "30 82 02 58" + "AB" * 600
"""604 bytes that begin as a certificate does."""
BYTES = bytes.fromhex(CERTIFICATE)


def part(start: int, end: int) -> str:
    return BYTES[start:end].hex() + "9000"


def test_a_certificate_is_one_extended_command_where_the_card_takes_it():
    script = [("00 B0 8B 00 00 00 00", CERTIFICATE + "9000")]  # READ BINARY, SFI 0B, all there is
    with ScriptedChannel(script) as channel:
        assert iso7816.read_binary(channel, sfi=0x0B, der=True) == BYTES


def test_short_answers_are_put_together_up_to_the_length_that_the_certificate_announces():
    script = [
        ("00 B0 8B 00 00 00 00", part(0, 256)),  # the channel had to do with the short form: 256 bytes came
        ("00 B0 01 00 00", part(256, 512)),  # the rest of the current EF
        ("00 B0 02 00 5C", part(512, 604)),  # and no byte more than it has
    ]
    with ScriptedChannel(script) as channel:
        assert iso7816.read_binary(channel, sfi=0x0B, der=True) == BYTES


def test_what_follows_the_certificate_in_its_file_is_left_out():
    with ScriptedChannel([("00 B0 8B 00 00 00 00", CERTIFICATE + "FF" * 40 + "9000")]) as channel:
        assert iso7816.read_binary(channel, sfi=0x0B, der=True) == BYTES


def test_a_file_of_unknown_size_ends_where_the_offset_is_refused():
    script = [
        ("00 B0 00 00 00 00 00", part(0, 256)),
        ("00 B0 01 00 00", part(256, 512)),
        ("00 B0 02 00 00", "6B00"),  # wrong parameters P1-P2: the offset is past the end
    ]
    with ScriptedChannel(script) as channel:
        assert iso7816.read_binary(channel) == BYTES[:512]


def test_a_file_of_unknown_size_ends_with_the_warning_6282():
    with ScriptedChannel([("00 B0 00 00 00 00 00", "AA BB 6282")]) as channel:
        assert iso7816.read_binary(channel) == b"\xaa\xbb"


def test_a_known_size_is_asked_for_exactly():
    with ScriptedChannel([("00 B0 84 00 03", "31 32 33 9000")]) as channel:
        assert iso7816.read_binary(channel, sfi=4, size=3) == b"123"


def test_a_part_of_a_file_is_read_at_its_offset():
    with ScriptedChannel([("00 B0 12 34 02", "AA BB 9000")]) as channel:
        assert iso7816.read_binary(channel, offset=0x1234, size=2) == b"\xaa\xbb"


def test_a_file_that_was_never_written_is_empty():
    with ScriptedChannel([("00 B0 8B 00 00 00 00", "FF" * 64 + "9000")]) as channel:
        assert iso7816.read_binary(channel, sfi=0x0B, der=True) == b""


def test_a_file_that_is_not_there_keeps_its_status_word():
    with ScriptedChannel([("00 B0 8B 00 00 00 00", "6A82")]) as channel, pytest.raises(StatusError) as caught:
        iso7816.read_binary(channel, sfi=0x0B)
    assert caught.value.sw == 0x6A82
    with pytest.raises(ObjectMissingError), iso7816.missing_object():
        raise caught.value


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        ("it claims 64 kB", "30 82 FF F0 00 9000"),
        ("it claims more than it has", "30 82 01 00 00 9000"),
        ("its length has no end", "30 80 9000"),
        ("it is cut inside its header", "30 9000"),
    ],
)
def test_a_certificate_file_that_lies_is_refused(why: str, answer: str):
    channel = AnsweringChannel([Response.decode(bytes.fromhex(answer)), Response(b"", 0x6B00)])
    with pytest.raises(CardDataError):
        iso7816.read_binary(channel, sfi=0x0B, der=True)


def test_a_record_shorter_than_its_layout_is_refused():
    with ScriptedChannel([("00 B0 84 00 18", "31 6282")]) as channel, pytest.raises(CardDataError):
        iso7816.read_binary(channel, sfi=4, size=24)


def test_a_record_longer_than_asked_is_refused():
    with ScriptedChannel([("00 B0 84 00 02", "31 32 33 9000")]) as channel, pytest.raises(CardDataError):
        iso7816.read_binary(channel, sfi=4, size=2)


@pytest.mark.parametrize("size", [None, 0x7FFF, 0x10000, -1])
def test_a_card_that_never_ends_is_stopped(size: int | None):
    channel = AnsweringChannel([Response(bytes(256), 0x9000)])
    with pytest.raises(CardDataError):
        iso7816.read_binary(channel, size=size, offset=1)
    assert channel.count <= iso7816.MAX_READS


def test_a_file_larger_than_any_of_a_card_is_refused():
    channel = AnsweringChannel([Response(bytes(iso7816.FILE_LIMIT + 1), 0x6282)])
    with pytest.raises(CardDataError, match="larger"):
        iso7816.read_binary(channel)


def test_a_card_that_gives_a_byte_at_a_time_is_stopped():
    channel = AnsweringChannel([Response(b"\x00", 0x9000)])
    with pytest.raises(CardDataError, match="commands"):
        iso7816.read_binary(channel, size=2000)
    assert channel.count == iso7816.MAX_READS


def test_a_file_is_selected_by_path_from_the_master_file_and_its_size_taken_from_the_fci():
    script = [
        ("00 A4 08 00 04 5015 4401 00", "6F 04 80 02 00 03 9000"),  # FCI: three bytes of data
        ("00 B0 00 00 03", "AA BB CC 9000"),
    ]
    with ScriptedChannel(script) as channel:
        assert iso7816.read_file(channel, bytes.fromhex("3F00 5015 4401")) == b"\xaa\xbb\xcc"


def test_a_card_that_selects_by_identifier_only_is_walked_down():
    script = [
        ("00 A4 08 00 04 5015 4401 00", "6A86"),  # P1 = 08 is not known here
        ("00 A4 00 00 02 3F00 00", "9000"),
        ("00 A4 00 00 02 5015 00", "9000"),
        ("00 A4 00 00 02 4401 00", "6283"),  # deactivated, and selected all the same
    ]
    with ScriptedChannel(script) as channel:
        assert iso7816.select_file(channel, bytes.fromhex("3F00 5015 4401")) == b""


def test_other_ways_of_naming_a_file():
    script = [
        ("00 A4 09 00 02 4401 00", "9000"),  # 3FFF: from the current DF
        ("00 A4 00 00 02 4401 00", "6A86"),  # identifier alone ...
        ("00 A4 02 00 02 4401 00", "9000"),  # ... as an EF under the current DF
    ]
    with ScriptedChannel(script) as channel:
        iso7816.select_file(channel, bytes.fromhex("3FFF 4401"))
        iso7816.select_file(channel, bytes.fromhex("4401"))


@pytest.mark.parametrize("path", [b"", b"\x3f", b"\x3f\x00\x50", bytes(18)])
def test_a_path_that_is_none_is_refused_unsent(path: bytes):
    with ScriptedChannel([]) as channel, pytest.raises(CardDataError):
        iso7816.select_file(channel, path)


@pytest.mark.parametrize("length", [0, 63, 513])
def test_an_answer_that_cannot_be_a_signature_is_refused(length: int):
    channel = AnsweringChannel([Response(bytes(length), 0x9000)])
    with pytest.raises(CardDataError):
        iso7816.signature(channel, 0x2A, 0x9E, 0x9A, b"digest info")


def test_more_plain_text_than_cipher_text_is_refused():
    with pytest.raises(CardDataError):
        iso7816.decipher(AnsweringChannel([Response(bytes(257), 0x9000)]), bytes(256))


def test_records_are_read_one_after_the_other_until_there_are_no_more():
    script = [("00 B2 01 0C 00", "AA BB 9000"), ("00 B2 02 0C 00", "CC 9000"), ("00 B2 03 0C 00", "6A83")]
    with ScriptedChannel(script) as channel:
        assert iso7816.read_records(channel, sfi=1, first=1, end=9) == b"\xaa\xbb\xcc"
    with ScriptedChannel([("00 B2 01 0C 00", "6A82")]) as channel, pytest.raises(StatusError):
        iso7816.read_records(channel, sfi=1, first=1, end=2)


def test_a_data_object_is_asked_for_by_its_tag():
    with ScriptedChannel(
        [("00 CA 01 01 00", "AA 9000"), ("00 CB 3F FF 03 5C 01 02 00", "BB 9000")]
    ) as channel:
        assert iso7816.get_data(channel, 0x0101) == b"\xaa"
        assert iso7816.get_data(channel, 0x3FFF, b"\x5c\x01\x02", ins=0xCB) == b"\xbb"


def test_records_and_objects_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(iso7816, "FILE_LIMIT", 3)
    endless = AnsweringChannel([Response(b"AA", 0x9000)])
    with pytest.raises(CardDataError, match="larger than 3"):
        iso7816.read_records(endless, sfi=1, first=1, end=9)
    with pytest.raises(CardDataError, match="larger than 3"):
        iso7816.get_data(AnsweringChannel([Response(bytes(4), 0x9000)]), 0x0101)


def test_what_both_sides_agree_upon_is_asked_for_with_the_other_ones_point():
    point = b"\x04" + bytes(64)
    script = [("00 2A 80 86 48 A6 46 7F 49 43 86 41 " + point.hex() + " 00", "AA BB 9000")]
    with ScriptedChannel(script) as channel:
        assert iso7816.agree(channel, point) == b"\xaa\xbb"


def test_the_size_that_a_file_says_of_itself():
    assert iso7816.file_size(bytes.fromhex("62 04 80 02 01 00")) == 256
    assert iso7816.file_size(bytes.fromhex("6F 04 80 02 00 10")) == 16
    assert iso7816.file_size(bytes.fromhex("62 03 82 01 01")) is None


def test_a_short_answer_is_the_end_of_a_file_of_unknown_size():
    with ScriptedChannel([("00 B0 00 00 00 00 00", part(0, 100))]) as channel:
        assert iso7816.read_binary(channel) == BYTES[:100]


def test_only_what_is_missing_is_missing():
    with pytest.raises(ObjectMissingError), iso7816.missing_object():
        raise StatusError(0x6A82)
    with pytest.raises(StatusError), iso7816.missing_object():
        raise StatusError(0x6982)
    assert iso7816.require_certificate(b"\x30\x00") == b"\x30\x00"
    with pytest.raises(ObjectMissingError):
        iso7816.require_certificate(b"")
    with pytest.raises(CardDataError, match="something else"):
        iso7816.require_certificate(b"\x04\x00")
