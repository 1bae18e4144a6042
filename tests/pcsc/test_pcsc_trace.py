"""What is told of an exchange: never a secret, and of content only how long it is."""

from __future__ import annotations

import pytest

from pcsc.apdu import Command, Response
from pcsc.connection import Connection
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


def test_an_exchange_that_failed_tells_the_kind_of_error_and_no_answer() -> None:
    told = Exchange.of(Command(0, 0xA4, 4, 0, b"\xa0", le=256), None, 0.1, "CardRemovedError")
    assert (told.sw, told.answer, told.failure) == (None, None, "CardRemovedError")


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
