"""Answers to reset as some readers give them: with a byte too many."""

from __future__ import annotations

import pytest

from hca_card.recognise import NHI_ATRS, recognise
from pcsc.atr import historical_bytes, protocols, without_extra
from pcsc.connection import Connection
from pcsc.context import ReaderState
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from pcsc.winscard import ReaderFlags
from tests.support.cards import simulated

ATRS = [
    *sorted(NHI_ATRS),
    bytes.fromhex("3B F9 18 00 00 81 31 FE 45 50 56 5F 4A 32 44 30 38 31 B6"),
    bytes.fromhex("3B B8 13 00 81 31 FA 52 43 48 54 4D 4F 49 43 41 A5"),
    bytes.fromhex("3B D8 96 00 81 B1 FE 45 1F 07 43 48 54 47 50 4B 49 4A DD"),
    bytes.fromhex("3B 65 00 00 20 63 CB 68 00"),  # T=0 alone: no TCK, and its last byte is 00
    bytes.fromhex("3F 65 25 00 2C 09 69 90 00"),
    bytes.fromhex("3B 00"),
]


@pytest.mark.parametrize("atr", ATRS, ids=bytes.hex)
@pytest.mark.parametrize(("before", "behind"), [("", ""), ("00", ""), ("", "00"), ("00", "00"), ("", "0000")])
def test_a_byte_too_many_is_left_out(atr: bytes, before: str, behind: str) -> None:
    given = bytes.fromhex(before) + atr + bytes.fromhex(behind)
    assert without_extra(given) == atr
    state = ReaderState.decode("Reader", int(ReaderFlags.PRESENT), list(given))
    assert state.atr == atr


@pytest.mark.parametrize(
    "atr",
    ["", "00", "3B", "3B F9", "3B F9 18 00 00 81 31 FE 45 50", "00 00 3B", "3B 65 00 00 20 63 CB 68 00 01"],
)
def test_what_is_cut_or_ends_in_anything_else_stays_as_it_is(atr: str) -> None:
    assert without_extra(bytes.fromhex(atr)) == bytes.fromhex(atr)


@pytest.mark.parametrize(
    ("atr", "named"),
    [
        pytest.param("3B 65 00 00 20 63 CB 68 00", [], id="none: T=0"),
        pytest.param("3B 81 81 31 FE 45 41 CA", [1, 1], id="T=1"),
        pytest.param("3B 81 80 01 41 41", [0, 1], id="T=0 and T=1"),
        pytest.param("3B D8 96 00 81 B1 FE 45 1F 07 43 48 54 47 50 4B 49 4A DD", [1, 1], id="T=15 left out"),
        pytest.param("3B 81", [], id="cut"),
    ],
)
def test_the_protocols_that_an_atr_names(atr: str, named: list[int]) -> None:
    assert protocols(bytes.fromhex(atr)) == named


class OddReader:
    """A card in a reader that adds bytes to its ATR."""

    def __init__(self, kind: str) -> None:
        self._card = simulated(kind)

    def power_on(self) -> bytes:
        return b"\x00" + self._card.power_on() + b"\x00"

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        return self._card.transmit(command)


@pytest.mark.parametrize("kind", ["hpc", "nhi-new", "hicos"])
def test_a_card_in_such_a_reader_is_known(kind: str) -> None:
    winscard = VirtualWinscard()
    winscard.add_reader("Castles EZ100PU 00 00").insert(OddReader(kind))
    with (
        Service(winscard).context() as context,
        Connection(context, "Castles EZ100PU 00 00") as connection,
        connection.transaction() as transaction,
    ):
        assert connection.atr == simulated(kind).power_on() and historical_bytes(connection.atr)
        card = recognise(transaction, connection.atr)
    assert card.serial
