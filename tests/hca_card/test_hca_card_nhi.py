"""The NHI card in an ordinary reader."""

from __future__ import annotations

import pytest

from hca_card.errors import CardDataError, UnsupportedError
from hca_card.model import CardKind, Insured, KeyUse
from hca_card.nhi import NhiCard
from hca_card.pin import Pin
from tests.support.script import ScriptedChannel

SELECT = "00 A4 04 00 10 D1580000010000000000000000001100"
GET_DATA = "00 CA 11 00 02 0000 00"
RECORD = (
    b"000000000001"
    + "測試民眾".encode("cp950").ljust(20, b"\0")
    + b"A100000001"
    + b"-010203"
    + b"F"
    + b"1100101"
)
BASIC = RECORD.hex() + "9000"


@pytest.mark.parametrize(
    ("why", "script"),
    [
        ("the first generation", [(SELECT, "9000"), (GET_DATA, BASIC)]),
        ("6D00 to every SELECT", [(SELECT, "6D00"), (GET_DATA, BASIC)]),
        ("a cold card fails its first read", [(SELECT, "9000"), (GET_DATA, "6F00"), (GET_DATA, BASIC)]),
        ("a first read cut short", [(SELECT, "9000"), (GET_DATA, "30 9000"), (GET_DATA, BASIC)]),
    ],
)
def test_the_basic_data_is_read(why: str, script: list[tuple[str, str]]):
    with ScriptedChannel(script) as channel:
        card = NhiCard.open(channel, expected=False)
        assert card is not None
        facts = card.metadata()
    assert (facts.kind, facts.serial, facts.issued) == (CardKind.NHI, "000000000001", "1100101")
    assert facts.holder == Insured("測試民眾", "A100000001", "-010203", "F")


def test_a_card_that_knows_neither_command_is_asked_once_only():
    with ScriptedChannel([(SELECT, "6A82"), (GET_DATA, "6A86")]) as channel:
        assert NhiCard.open(channel, expected=False) is None


def test_an_nhi_card_without_its_data_is_broken_and_not_unknown():
    script = [(SELECT, "9000"), (GET_DATA, "6F00"), (GET_DATA, "6F00")]
    with ScriptedChannel(script) as channel, pytest.raises(CardDataError):
        NhiCard.open(channel, expected=True)


@pytest.mark.parametrize("record", [b"", RECORD[:-1], RECORD + b"0", b"\0" * 57, b"\xff" * 57])
def test_a_record_that_is_none_is_refused(record: bytes):
    with ScriptedChannel([]) as channel, pytest.raises(CardDataError):
        NhiCard(channel, record)


@pytest.mark.parametrize(
    ("answer", "cancelled"), [("31 9000", False), ("32 41 9000", True), ("39 9000", None), ("6A88", None)]
)
def test_the_status_text_is_optional(answer: str, cancelled: bool | None):
    with ScriptedChannel([("00 CA 24 00 02 0000 00", answer)]) as channel:
        assert NhiCard(channel, RECORD).cancelled() is cancelled


def test_all_else_needs_the_nhi_reader_and_sends_nothing():
    with ScriptedChannel([]) as channel:
        card = NhiCard(channel, RECORD)
        assert card.certificate_indexes() == () and not card.has_key(KeyUse.SIGNATURE)
        for attempt in (
            card.pin_status,
            lambda: card.verify(Pin("123456")),
            lambda: card.change_pin(Pin("123456"), Pin("654321")),
            lambda: card.unblock_pin(Pin("12345678"), Pin("654321")),
            lambda: card.certificate(1),
            lambda: card.sign(KeyUse.SIGNATURE, b""),
            lambda: card.decipher(KeyUse.ENCRYPTION, b""),
        ):
            with pytest.raises(UnsupportedError, match="reader"):
                attempt()
