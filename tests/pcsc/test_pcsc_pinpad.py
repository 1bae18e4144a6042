from __future__ import annotations

from collections.abc import Iterator

import pytest

from pcsc.apdu import Command
from pcsc.connection import Connection, Transaction
from pcsc.errors import MalformedResponseError, PcscError
from pcsc.pinpad import Features, KeypadStatus, PinPad, max_apdu_data
from pcsc.service import Service
from pcsc.virtual import KeypadPrompt, VirtualWinscard
from tests.support.channel import READER, ScriptedWinscard
from tests.support.plain_card import PIN, VERIFY, PlainCard

VERIFY_PIN = Command(0, VERIFY, 0, 1)
CHANGE_PIN = Command(0, 0x24, 0, 1)


class Person:
    """Types the next of what is in mind."""

    def __init__(self) -> None:
        self.mind: dict[KeypadPrompt, bytes | None] = {}

    def __call__(self, entry: KeypadPrompt) -> bytes | None:
        return self.mind[entry]


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def card() -> PlainCard:
    return PlainCard()


@pytest.fixture
def transaction(person: Person, card: PlainCard) -> Iterator[Transaction]:
    winscard = VirtualWinscard()
    winscard.add_reader(READER, pin_pad=person).insert(card)
    with (
        Service(winscard).context() as context,
        Connection(context, READER) as connection,
        connection.transaction() as transaction,
    ):
        yield transaction


def pad(transaction: Transaction) -> PinPad:
    assert transaction.pin_pad is not None
    return transaction.pin_pad


def test_the_typed_pin_goes_to_the_card_and_its_answer_comes_back(
    transaction: Transaction, person: Person, card: PlainCard
) -> None:
    person.mind[KeypadPrompt.CURRENT] = PIN
    assert pad(transaction).verify(VERIFY_PIN, min_length=6, max_length=8).ok
    assert card.verified
    person.mind[KeypadPrompt.CURRENT] = b"000000"
    assert pad(transaction).verify(VERIFY_PIN, min_length=6, max_length=8).sw == 0x63C2


@pytest.mark.parametrize(
    ("typed", "status"),
    [(None, KeypadStatus.CANCELLED), (b"12345", KeypadStatus.LENGTH), (b"1" * 9, KeypadStatus.LENGTH)],
)
def test_what_the_keypad_refuses_never_reaches_the_card(
    transaction: Transaction, person: Person, card: PlainCard, typed: bytes | None, status: KeypadStatus
) -> None:
    person.mind[KeypadPrompt.CURRENT] = typed
    assert pad(transaction).verify(VERIFY_PIN, min_length=6, max_length=8).sw == status
    assert card.log == ["on"]


def test_a_pin_is_changed_with_old_and_new_one_after_the_other(
    transaction: Transaction, person: Person, card: PlainCard
) -> None:
    assert pad(transaction).can_modify
    person.mind = {
        KeypadPrompt.CURRENT: b"123456",
        KeypadPrompt.NEW: b"7654321",
        KeypadPrompt.REPEATED: b"7654321",
    }
    pad(transaction).modify(CHANGE_PIN, min_length=6, max_length=8)
    assert card.log[-1] == "002400010d" + b"1234567654321".hex()


def test_two_different_new_pins_never_reach_the_card(
    transaction: Transaction, person: Person, card: PlainCard
) -> None:
    person.mind = {
        KeypadPrompt.CURRENT: b"123456",
        KeypadPrompt.NEW: b"654321",
        KeypadPrompt.REPEATED: b"654322",
    }
    assert pad(transaction).modify(CHANGE_PIN, min_length=6, max_length=8).sw == KeypadStatus.DIFFERENT
    assert card.log == ["on"]


def test_a_reader_without_a_keypad_has_none() -> None:
    winscard = VirtualWinscard()
    winscard.add_reader(READER).insert(PlainCard())
    with Service(winscard).context() as context, Connection(context, READER) as connection:
        assert connection.pin_pad is None


def keypad_of(connection: Connection) -> PinPad:
    assert connection.pin_pad is not None
    return connection.pin_pad


def test_the_structures_are_those_of_part_10() -> None:
    features = (0, list(bytes.fromhex("06 04 42330006 07 04 42330007")))
    winscard = ScriptedWinscard(SCardControl=[features, (0, [0x90, 0]), (0, [0x90, 0])])
    with winscard.connection() as connection:
        keypad_of(connection).verify(VERIFY_PIN, min_length=6, max_length=8)
        keypad_of(connection).modify(CHANGE_PIN, min_length=6, max_length=8)
    (_, verify_code, verify), (_, modify_code, modify) = winscard.called("SCardControl")[1:]
    assert (verify_code, modify_code) == (0x42330006, 0x42330007)
    assert bytes(verify).hex(" ") == (
        "1e 1e 82 00 00 08 06 02 01 04 04 00 00 00 00 05 00 00 00 00 20 00 01 00"
    )
    assert bytes(modify).hex(" ") == (
        "1e 1e 82 00 00 00 00 08 06 03 02 03 04 04 00 01 02 00 00 00 05 00 00 00 00 24 00 01 00"
    )


@pytest.mark.parametrize("answer", ["", "90", "9000AA"])
def test_a_keypad_that_answers_no_status_word_is_malformed(answer: str) -> None:
    features = (0, list(bytes.fromhex("06 04 42330006")))
    winscard = ScriptedWinscard(SCardControl=[features, (0, list(bytes.fromhex(answer)))])
    with winscard.connection() as connection:
        keypad = keypad_of(connection)
        assert not keypad.can_modify
        with pytest.raises(MalformedResponseError):
            keypad.verify(VERIFY_PIN, min_length=6, max_length=8)
        with pytest.raises(PcscError, match="cannot do that"):
            keypad.modify(CHANGE_PIN, min_length=6, max_length=8)


@pytest.mark.parametrize("answer", ["", "06", "0604423300", "060342330006", "FF0400000000"])
def test_an_answer_that_is_no_list_of_features_is_no_feature(answer: str) -> None:
    assert Features.decode(bytes.fromhex(answer)) == Features()


@pytest.mark.parametrize(
    ("answer", "size"),
    [("010200000A0400000100", 65536), ("0A0400010000", 256), ("0A04000001", None), ("0A", None), ("", None)],
)
def test_the_longest_apdu_is_read_from_the_readers_properties(answer: str, size: int | None) -> None:
    assert max_apdu_data(bytes.fromhex(answer)) == size
