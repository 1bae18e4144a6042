from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcsc.apdu import Command, Response
from pcsc.status import StatusError

octet = st.integers(0, 255)
# The lengths where the encodings change, and anything else.
data = st.one_of(
    st.just(b""), st.binary(min_size=1, max_size=300),
    st.sampled_from([255, 256, 65535]).map(bytes),
)  # fmt: skip
le = st.one_of(st.none(), st.sampled_from([1, 255, 256, 257, 65535, 65536]), st.integers(1, 65536))
commands = st.builds(Command, octet, octet, octet, octet, data=data, le=le)


@given(commands)
def test_every_command_comes_back_from_its_encoding(command: Command) -> None:
    assert Command.decode(command.encode()) == command


@given(st.binary(max_size=600))
def test_any_bytes_are_either_a_command_or_refused_as_none(raw: bytes) -> None:
    try:
        command = Command.decode(raw)
    except ValueError:
        return
    assert Command.decode(command.encode()) == command


@given(st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_every_response_comes_back_from_its_encoding(data: bytes, sw: int) -> None:
    assert Response.decode(Response(data, sw).encode()) == Response(data, sw)


@pytest.mark.parametrize(
    ("raw", "data", "le"),
    [
        pytest.param("00A40000", b"", None, id="case 1"),
        pytest.param("00A4000000", b"", 256, id="case 2 short, all"),
        pytest.param("00A4000005", b"", 5, id="case 2 short"),
        pytest.param("00A40000000000", b"", 65536, id="case 2 extended, all"),
        pytest.param("00A40000000101", b"", 257, id="case 2 extended"),
        pytest.param("00A4000002AABB", b"\xaa\xbb", None, id="case 3 short"),
        pytest.param("00A40000000002AABB", b"\xaa\xbb", None, id="case 3 extended"),
        pytest.param("00A4000002AABB00", b"\xaa\xbb", 256, id="case 4 short"),
        pytest.param("00A40000000002AABB0000", b"\xaa\xbb", 65536, id="case 4 extended"),
    ],
)
def test_the_cases_of_iso_7816_3_are_told_apart(raw: str, data: bytes, le: int | None) -> None:
    command = Command.decode(bytes.fromhex(raw))
    assert (command.header, command.data, command.le) == (b"\x00\xa4\x00\x00", data, le)


@pytest.mark.parametrize("raw", ["", "00A400", "00A4000003AABB", "00A40000000002AA", "00A40000000000AA"])
def test_bytes_whose_lengths_disagree_are_no_command(raw: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Command.decode(bytes.fromhex(raw))


def test_a_command_with_a_pin_never_shows_it() -> None:
    command = Command(0, 0x20, 0, 1, b"123456", secret=True)
    assert "31 32" not in repr(command)
    assert "123456" not in f"{command!r}{command}"


def test_impossible_commands_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="P2"):
        Command(0, 0, 0, 256)
    with pytest.raises(ValueError, match="65535"):
        Command(0, 0, 0, 0, bytes(65536))
    with pytest.raises(ValueError, match="Le"):
        Command(0, 0, 0, 0, le=0)


def test_a_torn_response_is_refused() -> None:
    with pytest.raises(ValueError, match="two bytes"):
        Response.decode(b"\x90")


def test_a_status_word_that_is_not_accepted_is_an_error_that_carries_it() -> None:
    assert Response(b"x", 0x6285).require(0x6285) == b"x"
    with pytest.raises(StatusError, match="6A82") as caught:
        Response(b"", 0x6A82).require()
    assert caught.value.sw == 0x6A82


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        pytest.param(Command(0, 0xDA, 0, 1, bytes(300)), "00 DA 00 01 00 01 2C 00", id="case 3"),
        pytest.param(Command(0, 0xCA, 0, 1, le=65536), "00 CA 00 01 00 00 00", id="case 2"),
        pytest.param(Command(0, 0x2A, 0, 1, bytes(300), le=257), "00 2A 00 01 00 01 2C 00", id="case 4"),
    ],
)
def test_what_does_not_fit_the_short_form_goes_in_the_extended_one(command: Command, begins: str) -> None:
    raw = command.encode()
    assert raw.hex(" ").upper().startswith(begins)
    assert Command.decode(raw) == command
