from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcsc.apdu import Command
from pcsc.apdu_processors import MAX_ROUNDS, LengthForm, assemble, extended_length
from pcsc.atr import historical_bytes
from pcsc.errors import CardRemovedError, CommunicationError, MalformedResponseError, ReaderLimitError
from pcsc.trace import Exchange
from tests.support.plain_card import ECHO, EXTENDED_ATR, READ, SHORT_ATR, PlainCard, file_content

READ_ALL = Command(0, READ, 0x08, 0x00, le=65536)


class Script:
    """A card that answers the lines of a script and notes what it was sent."""

    def __init__(self, answers: Iterable[str]) -> None:
        self.answers = iter(answers)
        self.sent: list[str] = []

    def __call__(self, command: bytes) -> bytes:
        self.sent.append(command.hex(" ").upper())
        return bytes.fromhex(next(self.answers))


def forever(answer: str) -> Callable[[bytes], bytes]:
    return lambda command: bytes.fromhex(answer)


def test_a_card_that_says_61xx_is_asked_until_it_has_said_everything() -> None:
    card = Script(["AA 6102", "BB CC 6101", "DD 9000"])
    response = assemble(card, LengthForm())(Command(0x00, 0xCA, 0, 1, le=256))
    assert (response.data, response.sw) == (b"\xaa\xbb\xcc\xdd", 0x9000)
    assert card.sent == ["00 CA 00 01 00", "00 C0 00 00 02", "00 C0 00 00 01"]


def test_the_status_after_get_response_is_the_commands_own() -> None:
    card = Script(["6102", "AA BB 6282"])
    assert assemble(card, LengthForm())(Command(0x00, 0xCA, 0, 1, le=256)).sw == 0x6282


def test_get_response_keeps_a_proprietary_class_and_drops_the_chaining_bit() -> None:
    card = Script(["6101", "AA 9000"])
    assemble(card, LengthForm())(Command(0x90, 0xCA, 0, 1, le=256))
    assert card.sent[1] == "90 C0 00 00 01"
    card = Script(["6101", "AA 9000"])
    assemble(card, LengthForm())(Command(0x11, 0xCA, 0, 1, le=256))
    assert card.sent[1] == "01 C0 00 00 01"


@pytest.mark.parametrize("answer", ["6101", "AA 6101", "6100"])
def test_a_card_that_says_61xx_for_ever_is_malformed(answer: str) -> None:
    sent = Script(answer for _ in range(MAX_ROUNDS + 1))
    with pytest.raises(MalformedResponseError):
        assemble(sent, LengthForm())(Command(0, 0xCA, 0, 0, le=256))
    assert len(sent.sent) <= MAX_ROUNDS + 1


def test_a_card_that_pours_without_end_is_stopped_at_one_responses_size() -> None:
    answer = "AA" * 256 + "6100"
    sent = Script(answer for _ in range(MAX_ROUNDS))
    with pytest.raises(MalformedResponseError, match="65536"):
        assemble(sent, LengthForm())(Command(0, 0xCA, 0, 0, le=256))
    assert len(sent.sent) == 257


def test_more_bytes_than_a_short_le_are_malformed_also_in_parts() -> None:
    card = Script(["AA BB 6103", "CC DD EE 9000"])
    with pytest.raises(MalformedResponseError, match="more than 4"):
        assemble(card, LengthForm())(Command(0, 0xCA, 0, 0, le=4))


@pytest.mark.parametrize("raw", ["", "90"])
def test_fewer_than_two_bytes_are_malformed(raw: str) -> None:
    with pytest.raises(MalformedResponseError, match="no status word"):
        assemble(forever(raw), LengthForm())(Command(0, 0xCA, 0, 0, le=256))


def test_a_response_longer_than_asked_is_malformed() -> None:
    with pytest.raises(MalformedResponseError, match="3 bytes where 2"):
        assemble(forever("AABBCC9000"), LengthForm())(Command(0, 0xCA, 0, 0, le=2))


def test_a_card_that_answers_data_though_no_le_was_sent_is_heard() -> None:
    assert assemble(forever("6F009000"), LengthForm())(Command(0, 0xA4, 4, 0, b"\xa0")).data == b"\x6f\x00"
    with pytest.raises(MalformedResponseError):
        assemble(forever("AA" * 257 + "9000"), LengthForm())(Command(0, 0xA4, 4, 0, b"\xa0"))


def test_the_length_a_card_names_with_6cxx_is_used_once() -> None:
    card = Script(["6C02", "AABB9000"])
    assert assemble(card, LengthForm())(Command(0, 0xB0, 0, 0, le=256)).data == b"\xaa\xbb"
    assert card.sent == ["00 B0 00 00 00", "00 B0 00 00 02"]
    card = Script(["6C02", "6C03", "AABBCC9000"])
    assert assemble(card, LengthForm())(Command(0, 0xB0, 0, 0, le=256)).sw == 0x6C03


def test_a_command_with_a_pin_is_never_sent_twice() -> None:
    verify = Command(0, 0x20, 0, 1, b"123456", secret=True)
    for status in ("6C08", "6700"):
        card = Script([status])
        assert assemble(card, LengthForm())(verify).sw == int(status, 16)
        assert len(card.sent) == 1


def test_long_data_goes_in_one_extended_apdu_where_the_card_takes_it() -> None:
    card = PlainCard(extended=True)
    form = LengthForm()
    assert assemble(card.transmit, form)(Command(0, ECHO, 0, 0, bytes(300), le=65536)).data == bytes(300)
    assert len(card.log) == 1
    assert form.extended is True


def test_a_card_that_answers_6700_to_extended_length_gets_chained_short_apdus_ever_after() -> None:
    card = PlainCard(extended=False)
    form = LengthForm()
    send = assemble(card.transmit, form)
    assert send(Command(0, ECHO, 0, 0, bytes(300), le=65536)).data == bytes(300)
    assert form.extended is False
    assert [entry[:4] for entry in card.log] == ["00ec", "10ec", "00ec", "00c0"]
    card.log.clear()
    send(Command(0, ECHO, 0, 0, bytes(300), le=65536))
    assert [entry[:4] for entry in card.log] == ["10ec", "00ec", "00c0"]


def test_one_6700_does_not_condemn_a_card_known_to_take_extended_length() -> None:
    form = LengthForm(extended=True)
    assemble(Script(["6700", "AA9000"]), form)(Command(0, 0xB0, 0, 0, le=1000))
    assert form.extended is True


def test_a_chain_stops_at_the_first_part_the_card_refuses() -> None:
    card = Script(["9000", "6884"])
    assert assemble(card, LengthForm(extended=False))(Command(0, ECHO, 0, 0, bytes(800))).sw == 0x6884
    assert [sent[:14] for sent in card.sent] == ["10 EC 00 00 FF"] * 2


@given(length=st.integers(0, 2000), extended=st.booleans())
def test_data_of_any_length_gets_to_the_card_and_back(length: int, extended: bool) -> None:
    content = file_content(length)
    card = PlainCard(extended=extended)
    response = assemble(card.transmit, LengthForm())(Command(0, ECHO, 0, 0, content, le=65536))
    assert (response.data, response.sw) == (content, 0x9000)


def test_a_file_is_read_in_one_exchange_with_extended_length() -> None:
    card = PlainCard(extended=True)
    assert assemble(card.transmit, LengthForm())(READ_ALL).data == file_content(0x800)
    assert len(card.log) == 1


@pytest.mark.parametrize(
    ("historical", "says"),
    [
        pytest.param("80 73 00 00 40", True, id="capabilities with extended length"),
        pytest.param("80 73 00 00 00", False, id="capabilities without"),
        pytest.param("80 31 80 73 00 00 40", True, id="after another object"),
        pytest.param("80 71 40", None, id="capabilities of one byte"),
        pytest.param("80 7F 40", None, id="an object cut short"),
        pytest.param("00 73 00 00 40 05 90 00", True, id="with a status indicator"),
        pytest.param("50 56 5F 4A 32 44 30 38 31", None, id="no category: PV_J2D081"),
        pytest.param("", None, id="none"),
    ],
)
def test_extended_length_is_read_from_the_historical_bytes(historical: str, says: bool | None) -> None:
    assert extended_length(bytes.fromhex(historical)) is says


@pytest.mark.parametrize(
    ("atr", "historical"),
    [
        (EXTENDED_ATR.hex(), "8073000040"),
        (SHORT_ATR.hex(), "8073000000"),
        ("3BF91800008131FE4550565F4A32443038 31B6", "50565F4A3244303831"),
        ("3BEE00008131FE4580318066409093060F17830F9000F3", "80318066409093060F17830F9000"),
        ("3B00", ""),
        ("3B", ""),
        ("", ""),
        ("3BFF", ""),
        ("3BF0FFFFFFFFFFFFFFFF", ""),
    ],
)
def test_historical_bytes_are_found_behind_the_interface_bytes(atr: str, historical: str) -> None:
    assert historical_bytes(bytes.fromhex(atr)) == bytes.fromhex(historical)


@given(st.binary(max_size=40))
def test_no_atr_is_too_strange_to_be_read(atr: bytes) -> None:
    extended_length(historical_bytes(atr))


class Limited(Script):
    """A reader that answers each command of extended length with an error, and passes on all others."""

    def __init__(self, failure: Exception, answers: Iterable[str]) -> None:
        super().__init__(answers)
        self.failure = failure

    def __call__(self, command: bytes) -> bytes:
        if len(command) > 5 and not command[4]:
            self.sent.append(command.hex(" ").upper())
            raise self.failure
        return super().__call__(command)


@pytest.mark.parametrize("failure", [CommunicationError(), ReaderLimitError()])
def test_a_reader_that_fails_at_extended_length_is_given_the_short_form_from_then_on(
    failure: Exception,
) -> None:
    card = Limited(failure, ["9000"] * 4)
    form = LengthForm()
    send = assemble(card, form)
    for _ in range(2):
        assert send(Command(0, ECHO, 0, 0, bytes(300))).ok
    assert form.extended is False
    assert [sent[:14] for sent in card.sent] == [
        "00 EC 00 00 00",
        *["10 EC 00 00 FF", "00 EC 00 00 2D"] * 2,
    ]


def test_a_pin_is_not_sent_again_in_short_form_and_a_reader_known_to_pass_it_on_is_believed() -> None:
    card = Limited(CommunicationError(), [])
    with pytest.raises(CommunicationError):
        assemble(card, LengthForm())(Command(0, 0x20, 0, 1, bytes(300), secret=True))
    with pytest.raises(CommunicationError):
        assemble(card, LengthForm(extended=True))(Command(0, ECHO, 0, 0, bytes(300)))
    assert len(card.sent) == 2


def test_every_apdu_is_told_those_of_the_pieces_in_between_too() -> None:
    told: list[Exchange] = []
    answers = [b"AB\x61\x02", b"CD\x90\x00"]
    send = assemble(lambda _: answers.pop(0), LengthForm(False), told.append)
    assert send(Command(0, 0xCA, 0, 1, le=256)).data == b"ABCD"
    assert [(one.header[1], one.sw, one.length) for one in told] == [(0xCA, 0x6102, 2), (0xC0, 0x9000, 2)]


def test_an_exchange_that_failed_is_told_with_its_error() -> None:
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
