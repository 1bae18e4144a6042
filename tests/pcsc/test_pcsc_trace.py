"""What is told of an exchange: never a secret, and of content only how long it is."""

from __future__ import annotations

import pytest

from pcsc.apdu import Command, Response
from pcsc.apdu_processors import LengthForm, assemble
from pcsc.connection import Connection
from pcsc.errors import CardRemovedError, MalformedResponseError
from pcsc.service import Service
from pcsc.trace import Exchange
from pcsc.virtual import VirtualWinscard
from tests.support.plain_card import PIN, PlainCard

SECRET = b"123456"


@pytest.mark.parametrize("ins", [0x20, 0x24, 0x2C, 0xA4, 0x22, 0xCA])
def test_a_secret_command_tells_its_header_and_nothing_else(ins: int):
    told = Exchange.of(Command(0, ins, 0, 1, SECRET, le=256, secret=True), Response(SECRET, 0x9000), 0.1)
    assert (told.header, told.lc, told.data, told.answer) == (bytes((0, ins, 0, 1)), None, None, None)
    assert SECRET.hex() not in repr(told) and repr(SECRET) not in repr(told)


@pytest.mark.parametrize("ins", [0x2A, 0xB0, 0xB2, 0xC0, 0xCA, 0x88, 0x84])
def test_no_answer_but_that_of_select_is_told(ins: int):
    told = Exchange.of(Command(0, ins, 0, 0, le=256), Response(b"personal data", 0x9000), 0.1)
    assert (told.answer, told.length) == (None, 13)


@pytest.mark.parametrize("ins", [0x20, 0x2A, 0xD6, 0xDA])
def test_data_of_other_commands_is_told_by_its_length(ins: int):
    told = Exchange.of(Command(0, ins, 0, 0, b"something"), Response(b"", 0x9000), 0.1)
    assert (told.data, told.lc) == (None, 9)


def test_every_apdu_is_told_those_of_the_pieces_in_between_too():
    told: list[Exchange] = []
    answers = [b"AB\x61\x02", b"CD\x90\x00"]
    send = assemble(lambda _: answers.pop(0), LengthForm(False), told.append)
    assert send(Command(0, 0xCA, 0, 1, le=256)).data == b"ABCD"
    assert [(one.header[1], one.sw, one.length) for one in told] == [(0xCA, 0x6102, 2), (0xC0, 0x9000, 2)]


def test_an_exchange_that_failed_is_told_with_its_error():
    told: list[Exchange] = []

    def pulled(_: bytes) -> bytes:
        raise CardRemovedError

    with pytest.raises(CardRemovedError):
        assemble(pulled, LengthForm(False), told.append)(Command(0, 0xA4, 0, 0))
    with pytest.raises(MalformedResponseError):
        assemble(lambda _: b"\x90", LengthForm(False), told.append)(Command(0, 0xA4, 0, 0))
    assert [(one.sw, one.failure) for one in told] == [
        (None, "CardRemovedError"),
        (None, "MalformedResponseError"),
    ]


def test_a_service_tells_of_all_its_transactions_and_never_the_pin():
    told: list[Exchange] = []
    winscard = VirtualWinscard()
    winscard.add_reader("reader").insert(PlainCard())
    with (
        Service(winscard, told.append).context() as context,
        Connection(context, "reader") as connection,
        connection.transaction() as transaction,
    ):
        assert transaction.send(Command(0, 0x20, 0, 1, PIN, secret=True)).ok
        transaction.send(Command(0, 0xB0, 0, 100, le=256))
    assert [one.header[1] for one in told] == [0x20, 0xB0]
    assert PIN.hex() not in repr(told) and repr(PIN) not in repr(told)
