from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pcsc.apdu import Command
from pcsc.connection import Connection, Transaction
from pcsc.context import Context
from pcsc.errors import (
    BindingError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    CommunicationError,
    MalformedResponseError,
    NoCardError,
    ReaderBusyError,
    ReaderUnavailableError,
    ServiceUnavailableError,
)
from pcsc.service import Service
from pcsc.virtual import VirtualReader, VirtualWinscard
from pcsc.winscard import Disposition
from tests.support.channel import READER, ScriptedWinscard
from tests.support.plain_card import ECHO, EXTENDED_ATR, PIN, READ, SLOW, TRIES, VERIFY, PlainCard
from tests.support.waiting import LIMIT

VERIFY_PIN = Command(0, VERIFY, 0, 1, PIN, secret=True)
IS_VERIFIED = Command(0, TRIES, 0, 0, le=1)
SLOW_COMMAND = Command(0, SLOW, 20, 0)
ECHO_COMMAND = Command(0, ECHO, 0, 0, b"hello", le=256)


class MuteCard(PlainCard):
    def power_on(self) -> bytes:
        return b""


class TornCard(PlainCard):
    """Answers half a status word to ECHO."""

    def transmit(self, command: bytes) -> bytes:
        answer = super().transmit(command)
        return answer[:1] if command[1] == ECHO else answer


@pytest.fixture
def winscard() -> VirtualWinscard:
    return VirtualWinscard()


@pytest.fixture
def reader(winscard: VirtualWinscard) -> VirtualReader:
    return winscard.add_reader(READER)


@pytest.fixture
def card(reader: VirtualReader) -> PlainCard:
    card = PlainCard()
    reader.insert(card)
    return card


@pytest.fixture
def context(winscard: VirtualWinscard) -> Iterator[Context]:
    with Service(winscard).context() as context:
        yield context


@pytest.fixture
def connection(context: Context, card: PlainCard) -> Iterator[Connection]:
    with Connection(context, READER) as connection:
        yield connection


def when_slow(card: PlainCard, action: object) -> threading.Thread:
    """Do `action` once the card is in the middle of a SLOW command."""

    def wait_and_act() -> None:
        assert card.slow.wait(LIMIT)
        assert callable(action)
        action()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def verified_by_somebody_else(context: Context) -> bool:
    with Connection(context, READER) as other, other.transaction() as transaction:
        return transaction.send(IS_VERIFIED).data == b"\x01"


def test_a_connection_knows_its_card_and_exchanges_commands(connection: Connection) -> None:
    assert connection.atr == EXTENDED_ATR
    with connection.transaction() as transaction:
        assert transaction.send(ECHO_COMMAND).data == b"hello"


def test_an_empty_reader_is_named_as_empty(context: Context, reader: VirtualReader) -> None:
    with pytest.raises(NoCardError):
        Connection(context, READER)


def test_a_reader_that_does_not_exist_is_named_as_not_there(context: Context) -> None:
    with pytest.raises(ReaderUnavailableError, match="nowhere"):
        Connection(context, "nowhere")


def test_a_mute_card_is_named_as_mute(context: Context, reader: VirtualReader) -> None:
    reader.insert(MuteCard())
    with pytest.raises(CardMuteError):
        Connection(context, READER)


def test_a_card_that_another_program_holds_exclusively_is_busy(
    context: Context, reader: VirtualReader, card: PlainCard
) -> None:
    with reader.hold_exclusively(), pytest.raises(ReaderBusyError):
        Connection(context, READER)
    Connection(context, READER).close()


def test_closing_leaves_the_card_powered_and_as_it_is(context: Context, card: PlainCard) -> None:
    with Connection(context, READER) as connection:
        assert connection.transmit(VERIFY_PIN.encode()) == b"\x90\x00"
    assert card.verified
    assert card.log == ["on", VERIFY_PIN.encode().hex()]


@pytest.mark.parametrize("code", [0x80100067, 0x80100068])
def test_a_card_that_another_program_left_without_power_is_started_again(code: int) -> None:
    winscard = ScriptedWinscard(SCardConnect=[(code, 0, 0), (0, 5, 0)])
    with winscard.connection():
        pass
    assert winscard.called("SCardReconnect") == [(5, 2, 3, Disposition.RESET)]
    assert winscard.called("SCardDisconnect") == [(5, Disposition.LEAVE)]


def test_a_card_that_cannot_be_started_again_leaves_no_handle_behind() -> None:
    winscard = ScriptedWinscard(
        SCardConnect=[(0x80100067, 0, 0), (0, 5, 0)], SCardReconnect=[(0x80100066, 0)]
    )
    with pytest.raises(CardMuteError), winscard.connection():
        pass
    assert winscard.called("SCardDisconnect") == [(5, Disposition.LEAVE)]


def test_a_pulled_card_in_mid_command_is_named_as_removed(
    connection: Connection, reader: VirtualReader, card: PlainCard
) -> None:
    helper = when_slow(card, reader.remove)
    with pytest.raises(CardRemovedError) as caught, connection.transaction() as transaction:
        transaction.send(SLOW_COMMAND)
    helper.join()
    assert caught.value.code == 0x80100016


def test_a_card_pulled_and_put_back_in_mid_command_is_named_as_removed(
    connection: Connection, reader: VirtualReader, card: PlainCard
) -> None:
    def swap() -> None:
        reader.remove()
        reader.insert(PlainCard())

    helper = when_slow(card, swap)
    with pytest.raises(CardRemovedError), connection.transaction() as transaction:
        transaction.send(SLOW_COMMAND)
    helper.join()


def test_an_empty_answer_to_a_pulled_card_is_named_as_removed() -> None:
    gone = (0, [(READER, 0x20010, [])])
    present = ScriptedWinscard().SCardGetStatusChange()
    winscard = ScriptedWinscard(SCardTransmit=[(0, [])], SCardGetStatusChange=[present, gone])
    with winscard.connection() as connection, pytest.raises(CardRemovedError):
        connection.transmit(b"\x00\xb0\x00\x00\x00")


def test_a_failed_exchange_with_a_card_that_is_still_there_is_named_as_such() -> None:
    present = ScriptedWinscard().SCardGetStatusChange()
    still = (0x8010000A, present[1])
    winscard = ScriptedWinscard(
        SCardTransmit=[(0x80100016, [])], SCardGetStatusChange=[present, present, still]
    )
    with winscard.connection() as connection, pytest.raises(CommunicationError):
        connection.transmit(b"\x00\xb0\x00\x00\x00")


def test_a_pulled_card_ends_the_connection(connection: Connection, reader: VirtualReader) -> None:
    reader.remove()
    reader.insert(PlainCard())
    with pytest.raises(CardRemovedError), connection.transaction():
        pytest.fail("there is no transaction with a card that is not ours")
    with pytest.raises(CardRemovedError):
        connection.reset()


def test_a_reader_unplugged_is_named_as_not_there(connection: Connection, reader: VirtualReader) -> None:
    reader.unplug()
    with pytest.raises(ReaderUnavailableError):
        connection.transmit(ECHO_COMMAND.encode())


def test_a_service_that_stops_in_mid_command_is_named_as_not_running(
    connection: Connection, winscard: VirtualWinscard, card: PlainCard
) -> None:
    helper = when_slow(card, winscard.stop_service)
    with pytest.raises(ServiceUnavailableError), connection.transaction() as transaction:
        transaction.send(SLOW_COMMAND)
    helper.join()


def test_a_card_reset_between_transactions_is_taken_up_again(
    connection: Connection, reader: VirtualReader
) -> None:
    reader.reset_by_other_program()
    with connection.transaction() as transaction:
        assert transaction.send(ECHO_COMMAND).data == b"hello"


def test_a_card_that_lost_its_power_between_transactions_is_taken_up_again(
    connection: Connection, context: Context, winscard: VirtualWinscard, card: PlainCard
) -> None:
    other = Connection(context, READER)
    winscard.SCardDisconnect(other.handle, Disposition.UNPOWER)
    assert card.log[-1] == "off"
    with connection.transaction() as transaction:
        assert transaction.send(ECHO_COMMAND).data == b"hello"


def test_a_card_reset_in_mid_transaction_is_an_error(connection: Connection, reader: VirtualReader) -> None:
    with pytest.raises(CardResetError), connection.transaction() as transaction:
        transaction.send(ECHO_COMMAND)
        reader.reset_by_other_program()
        transaction.send(ECHO_COMMAND)
    with connection.transaction() as transaction:
        assert transaction.send(ECHO_COMMAND).ok


def test_the_event_counter_tells_that_a_card_was_out(
    context: Context, reader: VirtualReader, card: PlainCard
) -> None:
    with Connection(context, READER) as connection:
        before = connection.start_counter
    reader.remove()
    reader.insert(card)
    with Connection(context, READER) as connection:
        assert connection.start_counter == before + 2


def test_what_was_promised_runs_at_the_end_last_first(connection: Connection) -> None:
    done: list[int] = []
    with connection.transaction() as transaction:
        transaction.before_end(lambda: done.append(1))
        transaction.before_end(lambda: done.append(2))
    assert done == [2, 1]


def drop(transaction: Transaction) -> None:
    transaction.send(Command(0, VERIFY, 0xFF, 1))


def test_a_verified_pin_is_dropped_before_the_transaction_ends(
    connection: Connection, context: Context, card: PlainCard
) -> None:
    with connection.transaction() as transaction:
        transaction.before_end(lambda: drop(transaction))
        assert transaction.send(VERIFY_PIN).ok
        assert card.verified
    assert not verified_by_somebody_else(context)
    assert card.log.count("on") == 1


def test_the_card_is_reset_when_dropping_the_pin_fails(
    connection: Connection, context: Context, card: PlainCard
) -> None:
    def fail() -> None:
        raise ValueError("no")

    done: list[str] = []
    with connection.transaction() as transaction:
        transaction.before_end(lambda: done.append("the others run"))
        transaction.before_end(fail)
        transaction.send(VERIFY_PIN)
    assert done == ["the others run"]
    assert card.log[-1] == "on"
    assert not verified_by_somebody_else(context)
    with connection.transaction() as transaction:
        assert transaction.send(ECHO_COMMAND).ok


def test_the_card_is_reset_when_an_exchange_failed(context: Context, reader: VirtualReader) -> None:
    card = TornCard()
    reader.insert(card)
    with Connection(context, READER) as connection:
        with pytest.raises(MalformedResponseError), connection.transaction() as transaction:
            transaction.send(VERIFY_PIN)
            transaction.send(ECHO_COMMAND)
        assert card.log[-1] == "on"
    assert not verified_by_somebody_else(context)


def test_the_card_is_left_as_it_is_when_only_the_caller_failed(
    connection: Connection, card: PlainCard
) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction():
        raise ZeroDivisionError
    assert card.log == ["on"]


def test_an_interrupted_transaction_runs_what_was_promised_and_has_the_card_reset(
    connection: Connection, card: PlainCard
) -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), connection.transaction() as transaction:
        transaction.before_end(lambda: done.append(1))
        raise KeyboardInterrupt
    assert done == [1]
    assert card.log[-1] == "on"


def test_an_interrupt_while_ending_is_passed_on_after_the_card_is_reset(
    connection: Connection, context: Context, card: PlainCard
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), connection.transaction() as transaction:
        transaction.before_end(lambda: done.append(1))
        transaction.before_end(interrupt)
        transaction.send(VERIFY_PIN)
    assert done == [1]
    assert not verified_by_somebody_else(context)


def test_closing_in_mid_transaction_has_the_card_reset(
    connection: Connection, context: Context, card: PlainCard
) -> None:
    with connection.transaction() as transaction:
        transaction.send(VERIFY_PIN)
        connection.close()
    assert not verified_by_somebody_else(context)


def test_a_transaction_that_cannot_be_ended_with_a_reset_ends_the_connection_with_one() -> None:
    winscard = ScriptedWinscard(SCardEndTransaction=[0x80100013])
    with winscard.connection() as connection, pytest.raises(KeyboardInterrupt), connection.transaction():
        raise KeyboardInterrupt
    assert winscard.called("SCardDisconnect") == [(2, Disposition.RESET)]


def test_an_interrupt_as_the_transaction_begins_leaves_nothing_locked(
    context: Context, card: PlainCard, winscard: VirtualWinscard, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = winscard.SCardBeginTransaction

    def interrupted(handle: int) -> int:
        begin(handle)
        raise KeyboardInterrupt

    with Connection(context, READER) as connection:
        monkeypatch.setattr(winscard, "SCardBeginTransaction", interrupted)
        with pytest.raises(KeyboardInterrupt), connection.transaction():
            pytest.fail("it never began")
    monkeypatch.undo()
    assert not verified_by_somebody_else(context)


def test_transactions_do_not_nest(connection: Connection) -> None:
    with connection.transaction(), pytest.raises(RuntimeError, match="nest"), connection.transaction():
        pytest.fail("nested")
    with connection.transaction():
        pass


def test_nothing_can_be_sent_after_the_end(connection: Connection, context: Context) -> None:
    with connection.transaction() as transaction:
        pass
    with pytest.raises(RuntimeError, match="ended"):
        transaction.send(ECHO_COMMAND)
    with pytest.raises(RuntimeError, match="ended"):
        transaction.before_end(print)
    connection.close()
    connection.close()
    with pytest.raises(RuntimeError, match="closed"):
        connection.transmit(ECHO_COMMAND.encode())
    context.close()
    context.close()
    with pytest.raises(RuntimeError, match="closed"):
        context.readers()


def test_a_connection_refuses_another_thread(connection: Connection) -> None:
    caught: list[BaseException] = []

    def use() -> None:
        try:
            connection.transmit(ECHO_COMMAND.encode())
        except RuntimeError as trouble:
            caught.append(trouble)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "thread" in str(caught[0])


def test_a_transaction_really_keeps_other_connections_out(
    connection: Connection, winscard: VirtualWinscard
) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def other_program() -> None:
        with Service(winscard).context() as context:
            waiting.set()
            with Connection(context, READER) as other, other.transaction() as transaction:
                order.append("other")
                transaction.send(ECHO_COMMAND)

    thread = threading.Thread(target=other_program)
    with connection.transaction() as transaction:
        thread.start()
        assert waiting.wait(LIMIT)
        for _ in range(5):
            transaction.send(Command(0, SLOW, 1, 0))
        order.append("ours")
    thread.join(LIMIT)
    assert order == ["ours", "other"]


@pytest.mark.parametrize(
    ("properties", "extended"),
    [
        pytest.param("0A0400000100", None, id="reader passes extended APDUs"),
        pytest.param("0A0400000000", False, id="reader passes short APDUs only"),
        pytest.param("0B0134120A", None, id="reader does not say"),
    ],
)
def test_extended_length_is_not_tried_on_a_reader_that_cannot_pass_it(
    properties: str, extended: bool | None
) -> None:
    features = bytes.fromhex("12 04 42 33 00 12")
    winscard = ScriptedWinscard(SCardControl=[(0, list(features)), (0, list(bytes.fromhex(properties)))])
    with winscard.connection() as connection, connection.transaction():
        assert connection._length_form().extended is extended


def test_extended_length_is_not_tried_with_t0() -> None:
    winscard = ScriptedWinscard(SCardConnect=[(0, 2, 1)])
    with winscard.connection() as connection, connection.transaction() as transaction:
        transaction.send(Command(0, ECHO, 0, 0, bytes(300)))
    assert [call[2][0] for call in winscard.called("SCardTransmit")] == [0x10, 0x00]


LONG = Command(0, READ, 0, 0, le=65536)
EXTENDED, SHORT = list(LONG.encode()), [0, READ, 0, 0, 0]
FOUND = (0, [0xAA, 0x90, 0x00])


@pytest.fixture
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcsc.connection._SETTLE", 0)


@pytest.mark.usefixtures("no_settling")
@pytest.mark.parametrize("code", [0x80100016, 0x45D, 0x80100008, 0x8010001F])
def test_a_reader_that_cannot_pass_extended_length_is_given_the_short_form_once_and_from_then_on(
    code: int,
) -> None:
    winscard = ScriptedWinscard(SCardTransmit=[(code, []), FOUND, FOUND, FOUND])
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        for _visit in range(3):
            with Connection(context, READER) as connection, connection.transaction() as transaction:
                assert transaction.send(LONG).data == b"\xaa"
    assert [sent for *_, sent in winscard.called("SCardTransmit")] == [EXTENDED, SHORT, SHORT, SHORT]


@pytest.mark.usefixtures("no_settling")
def test_a_reader_that_has_passed_extended_length_is_sent_nothing_again() -> None:
    winscard = ScriptedWinscard(SCardTransmit=[FOUND, (0x80100016, [])])
    with winscard.connection() as connection:
        with connection.transaction() as transaction:
            transaction.send(LONG)
        with pytest.raises(CommunicationError), connection.transaction() as transaction:
            transaction.send(LONG)
    assert [sent for *_, sent in winscard.called("SCardTransmit")] == [EXTENDED, EXTENDED]


@pytest.mark.usefixtures("no_settling")
def test_a_command_that_holds_a_pin_is_sent_once_whatever_the_reader_says() -> None:
    winscard = ScriptedWinscard(SCardTransmit=[(0x80100016, [])])
    secret = Command(0, 0x20, 0, 1, b"0" * 300, secret=True)
    with (
        winscard.connection() as connection,
        pytest.raises(CommunicationError),
        connection.transaction() as transaction,
    ):
        transaction.send(secret)
    assert len(winscard.called("SCardTransmit")) == 1


@pytest.mark.parametrize("failure", [(0x80100016, []), (0x45D, []), (0x8010001F, []), (0, [0x0A])])
def test_what_a_reader_does_not_say_of_its_lengths_ends_nothing(failure: tuple[int, list[int]]) -> None:
    features = list(bytes.fromhex("12 04 42 33 00 12"))
    winscard = ScriptedWinscard(SCardControl=[(0, features), failure], SCardTransmit=[FOUND])
    with winscard.connection() as connection, connection.transaction() as transaction:
        assert transaction.send(LONG).data == b"\xaa"


def test_a_card_that_says_another_atr_each_time_leaves_nothing_in_memory() -> None:
    winscard = ScriptedWinscard()
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        with Connection(context, READER) as connection:
            for number in range(300):
                connection.atr = number.to_bytes(2, "big")
                with connection.transaction() as transaction:
                    transaction.send(Command(0, ECHO, 0, 0))
        assert len(context.lengths) <= 64


def test_a_card_whose_state_cannot_be_asked_leaves_no_handle_behind() -> None:
    winscard = ScriptedWinscard(SCardGetStatusChange=[(0x8010001D, [])])
    with pytest.raises(ServiceUnavailableError), winscard.connection():
        pass
    assert winscard.called("SCardDisconnect") == [(2, Disposition.LEAVE)]


def test_a_card_that_cannot_be_taken_up_again_was_pulled_out() -> None:
    winscard = ScriptedWinscard(SCardBeginTransaction=[0x80100068], SCardReconnect=[(0x8010000C, 0)])
    with winscard.connection() as connection, pytest.raises(CardRemovedError), connection.transaction():
        pass


@pytest.mark.usefixtures("no_settling")
def test_a_failed_exchange_is_named_as_such_where_nobody_can_say_whether_the_card_is_there() -> None:
    winscard = ScriptedWinscard(SCardTransmit=[(0x80100016, [])])
    with winscard.connection() as connection:
        winscard.__dict__["SCardGetStatusChange"] = lambda *_: (0x8010001D, [])
        with pytest.raises(CommunicationError):
            connection.transmit(bytes(4))


KEYPAD = (0, list(bytes.fromhex("06 04 42330006")))


def test_a_reader_with_a_keypad_sends_what_was_typed_and_gives_the_cards_answer() -> None:
    winscard = ScriptedWinscard(SCardControl=[KEYPAD, (0, [0x63, 0xC2]), (0x8010000C, [])])
    with winscard.connection() as connection, connection.transaction() as transaction:
        keypad = transaction.pin_pad
        assert keypad is not None
        assert keypad.verify(Command(0, 0x20, 0, 1), min_length=6, max_length=8).sw == 0x63C2
        with pytest.raises(CardRemovedError):
            keypad.verify(Command(0, 0x20, 0, 1), min_length=6, max_length=8)
    assert [code for _, code, _ in winscard.called("SCardControl")][1:] == [0x42330006] * 2


def test_a_binding_that_raises_at_the_question_for_features_has_a_reader_without_any() -> None:
    class Raising(ScriptedWinscard):
        def SCardControl(self, *_arguments: object) -> object:
            raise BindingError

    winscard = Raising()
    with winscard.connection() as connection, connection.transaction() as transaction:
        assert transaction.pin_pad is None
        assert transaction.send(Command(0, ECHO, 0, 0)).ok
