"""The virtual service by its raw functions: what pcsc-lite was measured to answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pcsc.errors import ReaderBusyError
from pcsc.pinpad import GET_FEATURE_REQUEST, VERIFY_STRUCTURE, Features
from pcsc.results import ReturnCode
from pcsc.virtual import VirtualReader, VirtualWinscard
from pcsc.winscard import INFINITE, PNP_NOTIFICATION, Disposition, ReaderFlags, Share
from tests.support.plain_card import SLOW, PlainCard
from tests.support.waiting import LIMIT, until

READ_NONE = [0, 0x21, 0, 0, 1]


class Desk:
    """A service with one reader and a card, and two programs connected to it."""

    def __init__(self) -> None:
        self.winscard = VirtualWinscard()
        self.reader: VirtualReader = self.winscard.add_reader("R")
        self.card = PlainCard()
        self.reader.insert(self.card)
        self.contexts = [self.context(), self.context()]
        self.ours, self.theirs = (self.connect(context) for context in self.contexts)

    def context(self) -> int:
        code, context = self.winscard.SCardEstablishContext(2)
        assert code == 0
        return int(context)

    def connect(self, context: int, share: Share = Share.SHARED) -> int:
        code, handle, protocol = self.winscard.SCardConnect(context, "R", share, 3)
        assert (code, protocol) == (0, 2)
        return int(handle)

    def transmit(self, handle: int) -> int:
        return self.winscard.SCardTransmit(handle, 2, READ_NONE)[0]

    def meanwhile(self, action: Callable[[], object]) -> None:
        """Do this in the moment in which the next call begins to wait for others."""
        changed = self.winscard.changed
        waits = changed.wait

        def wait(timeout: float | None = None) -> bool:
            changed.wait = waits  # type: ignore[method-assign]
            action()
            return True

        changed.wait = wait  # type: ignore[method-assign]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def later(desk: Desk, action: Callable[[], object]) -> None:
    """Do this as soon as somebody waits."""

    def act() -> None:
        until(lambda: desk.winscard.changed._waiters, "nobody waits")  # type: ignore[attr-defined]
        action()

    threading.Thread(target=act).start()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda desk: desk.transmit(desk.theirs), id="transmit"),
        pytest.param(lambda desk: desk.winscard.SCardBeginTransaction(desk.theirs), id="begin"),
        pytest.param(lambda desk: desk.connect(desk.contexts[1]), id="connect"),
        pytest.param(lambda desk: desk.winscard.SCardReconnect(desk.theirs, 2, 3, 0), id="reconnect"),
        pytest.param(lambda desk: desk.winscard.SCardDisconnect(desk.theirs, 0), id="disconnect"),
    ],
)
def test_everybody_else_waits_for_the_end_of_a_transaction(
    desk: Desk, call: Callable[[Desk], object]
) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    ending = threading.Event()

    def end() -> None:
        ending.set()
        desk.winscard.SCardEndTransaction(desk.ours, Disposition.LEAVE)

    later(desk, end)
    call(desk)
    assert ending.is_set()


def test_a_transaction_counts_its_beginnings(desk: Desk) -> None:
    begin, end = desk.winscard.SCardBeginTransaction, desk.winscard.SCardEndTransaction
    assert [begin(desk.ours), begin(desk.ours), end(desk.ours, 0), end(desk.ours, 0)] == [0, 0, 0, 0]
    assert end(desk.ours, 0) == ReturnCode.NOT_TRANSACTED


def test_after_a_reset_every_handle_says_so_until_it_reconnects(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    desk.winscard.SCardEndTransaction(desk.ours, Disposition.RESET)
    assert desk.transmit(desk.ours) == desk.transmit(desk.theirs) == ReturnCode.RESET_CARD
    assert desk.winscard.SCardBeginTransaction(desk.theirs) == ReturnCode.RESET_CARD
    assert desk.winscard.SCardStatus(desk.theirs)[0] == ReturnCode.RESET_CARD
    assert desk.winscard.SCardReconnect(desk.theirs, Share.SHARED, 3, Disposition.LEAVE) == (0, 2)
    assert desk.transmit(desk.theirs) == 0
    assert desk.transmit(desk.ours) == ReturnCode.RESET_CARD


def test_a_card_put_back_is_not_the_card_that_was_connected(desk: Desk) -> None:
    desk.reader.remove()
    assert desk.transmit(desk.ours) == ReturnCode.REMOVED_CARD
    assert desk.winscard.SCardReconnect(desk.ours, 2, 3, 0) == (ReturnCode.NO_SMARTCARD, 0)
    desk.reader.insert(desk.card)
    assert desk.transmit(desk.ours) == ReturnCode.REMOVED_CARD
    assert desk.winscard.SCardReconnect(desk.ours, 2, 3, 0) == (0, 2)


def test_a_card_unpowered_by_a_leaving_program_is_started_for_the_next(desk: Desk) -> None:
    desk.winscard.SCardDisconnect(desk.theirs, Disposition.UNPOWER)
    assert desk.card.log[-1] == "off"
    assert desk.transmit(desk.ours) == ReturnCode.RESET_CARD
    desk.connect(desk.contexts[1])
    assert desk.card.log[-1] == "on"


def test_a_program_that_ends_in_a_transaction_has_the_card_reset(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    desk.winscard.SCardReleaseContext(desk.contexts[0])
    assert desk.transmit(desk.theirs) == ReturnCode.RESET_CARD


def test_exclusive_means_one_program_and_no_other(desk: Desk) -> None:
    assert (
        desk.winscard.SCardConnect(desk.contexts[0], "R", Share.EXCLUSIVE, 3)[0]
        == ReturnCode.SHARING_VIOLATION
    )
    with pytest.raises(ReaderBusyError), desk.reader.hold_exclusively():
        pytest.fail("two programs share the card")
    for handle in (desk.ours, desk.theirs):
        desk.winscard.SCardDisconnect(handle, Disposition.LEAVE)
    desk.connect(desk.contexts[0], Share.EXCLUSIVE)
    for share in Share:
        assert desk.winscard.SCardConnect(desk.contexts[1], "R", share, 3)[0] == ReturnCode.SHARING_VIOLATION


def test_an_empty_reader_can_be_connected_to_directly_only() -> None:
    winscard = VirtualWinscard()
    winscard.add_reader("R")
    _, context = winscard.SCardEstablishContext(2)
    assert winscard.SCardConnect(context, "R", Share.SHARED, 3)[0] == ReturnCode.NO_SMARTCARD
    assert winscard.SCardConnect(context, "R", Share.DIRECT, 0)[0] == 0
    assert winscard.SCardConnect(context, "R", Share.SHARED, 1)[0] == ReturnCode.NO_SMARTCARD


def test_a_card_without_the_protocol_asked_for_is_refused(desk: Desk) -> None:
    assert desk.winscard.SCardConnect(desk.contexts[0], "R", Share.SHARED, 1)[0] == ReturnCode.PROTO_MISMATCH


def test_one_command_at_a_time_reaches_the_card(desk: Desk) -> None:
    slow = [0, SLOW, 10, 0]
    thread = threading.Thread(target=lambda: desk.winscard.SCardTransmit(desk.ours, 2, slow))
    started = time.monotonic()
    thread.start()
    assert desk.card.slow.wait(LIMIT)
    desk.transmit(desk.theirs)
    assert time.monotonic() - started >= 0.1
    thread.join()


def test_a_command_of_less_than_four_bytes_is_refused(desk: Desk) -> None:
    assert desk.winscard.SCardTransmit(desk.ours, 2, [0, 0, 0])[0] == ReturnCode.INVALID_PARAMETER


def test_a_handle_that_was_given_back_is_no_handle(desk: Desk) -> None:
    winscard = desk.winscard
    winscard.SCardDisconnect(desk.ours, Disposition.LEAVE)
    assert winscard.SCardDisconnect(desk.ours, Disposition.LEAVE) == ReturnCode.INVALID_HANDLE
    assert desk.transmit(desk.ours) == ReturnCode.INVALID_HANDLE
    assert winscard.SCardBeginTransaction(desk.ours) == ReturnCode.INVALID_HANDLE
    assert winscard.SCardControl(desk.ours, 1, []) == (ReturnCode.INVALID_HANDLE, [])
    winscard.SCardReleaseContext(desk.contexts[0])
    assert winscard.SCardReleaseContext(desk.contexts[0]) == ReturnCode.INVALID_HANDLE
    assert winscard.SCardCancel(desk.contexts[0]) == ReturnCode.INVALID_HANDLE
    assert winscard.SCardListReaders(desk.contexts[0], []) == (ReturnCode.INVALID_HANDLE, [])


def test_a_stopped_service_kills_contexts_and_handles_for_good(desk: Desk) -> None:
    winscard = desk.winscard
    desk.card.verified = True
    winscard.stop_service()
    assert winscard.SCardEstablishContext(2)[0] == ReturnCode.NO_SERVICE
    winscard.start_service()
    assert desk.transmit(desk.ours) == ReturnCode.NO_SERVICE
    assert winscard.SCardListReaders(desk.contexts[0], [])[0] == ReturnCode.NO_SERVICE
    assert winscard.SCardReleaseContext(desk.contexts[0]) == ReturnCode.NO_SERVICE
    assert not desk.card.verified
    with desk.reader.hold_exclusively():
        pass


def test_who_waits_for_a_transaction_is_told_that_the_card_was_pulled(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    later(desk, desk.reader.remove)
    assert desk.winscard.SCardBeginTransaction(desk.theirs) == ReturnCode.REMOVED_CARD


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda desk: desk.reader.unplug(), ReturnCode.READER_UNAVAILABLE),
        (lambda desk: desk.winscard.stop_service(), ReturnCode.NO_SERVICE),
        (lambda desk: desk.reader.reset_by_other_program(), ReturnCode.RESET_CARD),
    ],
)
def test_who_waits_for_a_transaction_is_told_why_it_ended(
    desk: Desk, end: Callable[[Desk], None], code: ReturnCode
) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    later(desk, lambda: end(desk))
    assert desk.winscard.SCardBeginTransaction(desk.theirs) == code


def test_states_tell_what_changed_and_count_it(desk: Desk) -> None:
    winscard, context = desk.winscard, desk.contexts[0]
    code, [(_, state, atr)] = winscard.SCardGetStatusChange(context, 0, [("R", 0)])
    assert (code, state) == (0, 1 << 16 | ReaderFlags.PRESENT | ReaderFlags.INUSE | ReaderFlags.CHANGED)
    assert bytes(atr) == desk.reader.atr
    known = state & ~int(ReaderFlags.CHANGED)
    assert winscard.SCardGetStatusChange(context, 10, [("R", known)])[0] == ReturnCode.TIMEOUT
    desk.reader.remove()
    desk.reader.insert(desk.card)
    code, [(_, state, _)] = winscard.SCardGetStatusChange(context, 0, [("R", known)])
    assert (code, state >> 16, state & ReaderFlags.CHANGED) == (0, 3, ReaderFlags.CHANGED)


def test_a_name_that_is_no_reader_spoils_the_whole_question(desk: Desk) -> None:
    code, states = desk.winscard.SCardGetStatusChange(desk.contexts[0], 0, [("R", 0), ("S", 0)])
    assert (code, states) == (ReturnCode.UNKNOWN_READER, [("R", 0, []), ("S", 0, [])])


def test_a_cancel_without_a_wait_is_forgotten(desk: Desk) -> None:
    winscard, context = desk.winscard, desk.contexts[0]
    pnp = [(PNP_NOTIFICATION, 0)]
    assert winscard.SCardCancel(context) == 0
    assert winscard.SCardGetStatusChange(context, 10, pnp)[0] == ReturnCode.TIMEOUT
    later(desk, lambda: winscard.SCardCancel(context))
    assert winscard.SCardGetStatusChange(context, INFINITE, pnp)[0] == ReturnCode.CANCELLED


def test_a_reader_pulled_out_during_a_wait_is_told_as_unknown(desk: Desk) -> None:
    known = desk.reader.state
    later(desk, desk.reader.unplug)
    code, [(_, state, _)] = desk.winscard.SCardGetStatusChange(desk.contexts[0], INFINITE, [("R", known)])
    assert (code, state) == (0, ReaderFlags.UNKNOWN | ReaderFlags.UNAVAILABLE | ReaderFlags.CHANGED)
    assert desk.winscard.SCardListReaders(desk.contexts[0], []) == (ReturnCode.NO_READERS_AVAILABLE, [])


def test_two_readers_cannot_have_one_name_and_one_reader_cannot_hold_two_cards(desk: Desk) -> None:
    with pytest.raises(ValueError, match="named R"):
        desk.winscard.add_reader("R")
    with pytest.raises(ValueError, match="holds a card"):
        desk.reader.insert(PlainCard())
    desk.reader.unplug()
    desk.winscard.add_reader("R")


def test_a_reader_that_counts_events_for_months_leaves_nothing_in_memory() -> None:
    winscard = VirtualWinscard()
    reader = winscard.add_reader("R")
    before = len(ReaderFlags._value2member_map_)
    for _ in range(100):
        reader.insert(PlainCard())
        assert reader.state_since(0) & ReaderFlags.PRESENT
        reader.remove()
        assert reader.state_since(0) & ReaderFlags.EMPTY
    assert len(ReaderFlags._value2member_map_) - before < 10


def test_a_context_that_was_let_go_of_is_no_context(desk: Desk) -> None:
    winscard, context = desk.winscard, desk.contexts[0]
    let_go = winscard._contexts[context]
    winscard.SCardReleaseContext(context)
    assert let_go.trouble() == ReturnCode.INVALID_HANDLE
    states = winscard.SCardGetStatusChange(context, 0, [("R", 0)])
    assert states == (ReturnCode.INVALID_HANDLE, [("R", 0, [])])
    assert winscard.SCardConnect(context, "R", Share.SHARED, 3)[0] == ReturnCode.INVALID_HANDLE
    assert winscard.SCardListReaders(context, [])[0] == ReturnCode.INVALID_HANDLE


def test_a_reader_that_is_not_there_cannot_be_connected_to(desk: Desk) -> None:
    assert desk.winscard.SCardConnect(desk.contexts[0], "S", Share.SHARED, 3)[0] == ReturnCode.UNKNOWN_READER
    assert desk.winscard.SCardListReaders(desk.contexts[0], []) == (0, ["R"])


def test_a_reader_unplugged_while_somebody_waits_to_connect_is_unavailable(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    desk.meanwhile(desk.reader.unplug)
    code, *_ = desk.winscard.SCardConnect(desk.contexts[1], "R", Share.SHARED, 3)
    assert code == ReturnCode.READER_UNAVAILABLE
    assert desk.transmit(desk.ours) == ReturnCode.READER_UNAVAILABLE
    assert desk.winscard.SCardReconnect(desk.ours, 2, 3, 0) == (ReturnCode.READER_UNAVAILABLE, 0)


def test_a_mute_card_is_in_the_reader_and_cannot_be_connected_to() -> None:
    class Mute(PlainCard):
        def power_on(self) -> bytes:
            return b""

    winscard = VirtualWinscard()
    winscard.add_reader("R").insert(Mute())
    _, context = winscard.SCardEstablishContext(2)
    assert winscard.SCardConnect(context, "R", Share.SHARED, 3)[0] == ReturnCode.UNRESPONSIVE_CARD
    _, [(_, state, atr)] = winscard.SCardGetStatusChange(context, 0, [("R", 0)])
    assert state & ReaderFlags.PRESENT and state & ReaderFlags.MUTE and not atr


def test_a_program_that_has_the_card_to_itself_is_seen_and_lets_others_in_when_it_leaves(desk: Desk) -> None:
    winscard = desk.winscard
    winscard.SCardDisconnect(desk.theirs, Disposition.LEAVE)
    assert winscard.SCardReconnect(desk.ours, Share.EXCLUSIVE, 3, Disposition.LEAVE) == (0, 2)
    assert desk.reader.state & ReaderFlags.EXCLUSIVE
    winscard.SCardDisconnect(desk.ours, Disposition.LEAVE)
    assert not desk.reader.state & (ReaderFlags.EXCLUSIVE | ReaderFlags.INUSE)
    desk.connect(desk.contexts[1])


def test_reconnecting_for_oneself_is_refused_while_others_are_connected(desk: Desk) -> None:
    code, _ = desk.winscard.SCardReconnect(desk.ours, Share.EXCLUSIVE, 3, Disposition.LEAVE)
    assert code == ReturnCode.SHARING_VIOLATION


def test_reconnecting_with_a_reset_keeps_the_transaction_and_others_find_the_card_reset(desk: Desk) -> None:
    winscard = desk.winscard
    winscard.SCardBeginTransaction(desk.ours)
    assert winscard.SCardReconnect(desk.ours, Share.SHARED, 3, Disposition.RESET) == (0, 2)
    assert winscard.SCardEndTransaction(desk.ours, Disposition.LEAVE) == 0
    assert desk.card.log == ["on", "on"]
    assert desk.transmit(desk.theirs) == ReturnCode.RESET_CARD


def test_disconnecting_ends_the_transaction_and_does_to_the_card_what_was_asked(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    desk.winscard.SCardDisconnect(desk.ours, Disposition.RESET)
    assert desk.transmit(desk.theirs) == ReturnCode.RESET_CARD


def test_a_transaction_can_end_with_the_card_unpowered(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.ours)
    assert desk.winscard.SCardEndTransaction(desk.ours, Disposition.UNPOWER) == 0
    assert desk.card.log[-1] == "off"


def test_when_the_service_stops_whatever_it_gave_is_void(desk: Desk) -> None:
    winscard = desk.winscard
    desk.meanwhile(winscard.stop_service)
    states = [("R", desk.reader.state)]
    assert winscard.SCardGetStatusChange(desk.contexts[0], INFINITE, states)[0] == ReturnCode.COMM_ERROR
    assert winscard.SCardGetStatusChange(desk.contexts[0], INFINITE, states)[0] == ReturnCode.NO_SERVICE
    assert winscard.SCardDisconnect(desk.ours, Disposition.LEAVE) == ReturnCode.NO_SERVICE
    assert winscard.SCardEndTransaction(desk.theirs, Disposition.LEAVE) == ReturnCode.NO_SERVICE
    assert winscard.SCardControl(desk.theirs, 1, [])[0] == ReturnCode.NO_SERVICE
    winscard.start_service()
    assert winscard.SCardReleaseContext(desk.contexts[1]) == ReturnCode.NO_SERVICE
    desk.connect(desk.context())


@pytest.mark.parametrize(
    ("accident", "code"),
    [
        pytest.param(lambda desk: desk.winscard.stop_service(), ReturnCode.COMM_ERROR, id="service"),
        pytest.param(lambda desk: desk.reader.remove(), ReturnCode.NOT_TRANSACTED, id="card"),
        pytest.param(lambda desk: desk.reader.unplug(), ReturnCode.READER_UNAVAILABLE, id="reader"),
        pytest.param(lambda desk: desk.reader.reset_by_other_program(), ReturnCode.RESET_CARD, id="reset"),
    ],
)
def test_an_accident_in_mid_command_is_what_the_command_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, accident: Callable[[Desk], object], code: ReturnCode
) -> None:
    answer = desk.card.transmit

    def transmit(command: bytes) -> bytes:
        accident(desk)
        return answer(command)

    monkeypatch.setattr(desk.card, "transmit", transmit)
    assert desk.transmit(desk.ours) == code


def test_a_handle_for_the_reader_alone_knows_no_card(desk: Desk) -> None:
    winscard = desk.winscard
    _, direct, protocol = winscard.SCardConnect(desk.contexts[0], "R", Share.DIRECT, 0)
    assert protocol == 0
    desk.reader.remove()
    assert winscard.SCardStatus(direct)[:2] == (0, "R")
    assert desk.transmit(direct) == ReturnCode.NOT_TRANSACTED


def test_a_handle_given_back_while_it_waits_is_no_handle(desk: Desk) -> None:
    desk.winscard.SCardBeginTransaction(desk.theirs)
    desk.meanwhile(lambda: desk.winscard.SCardReleaseContext(desk.contexts[0]))
    assert desk.transmit(desk.ours) == ReturnCode.INVALID_HANDLE


def test_a_reader_says_of_its_keypad_only_where_it_has_one(desk: Desk) -> None:
    winscard = desk.winscard
    assert winscard.SCardControl(desk.ours, GET_FEATURE_REQUEST, [])[0] == ReturnCode.UNSUPPORTED_FEATURE
    winscard.add_reader("K", pin_pad=lambda _prompt: b"123456").insert(PlainCard())
    _, keyed, _ = winscard.SCardConnect(desk.contexts[0], "K", Share.SHARED, 3)
    code, features = winscard.SCardControl(keyed, GET_FEATURE_REQUEST, [])
    verify = Features.decode(bytes(features)).verify
    assert code == 0 and verify is not None
    fields = list(VERIFY_STRUCTURE.unpack(bytes(VERIFY_STRUCTURE.size)))
    fields[5] = 0x0608
    structure = VERIFY_STRUCTURE.pack(*fields) + b"\x00\x20\x00\x01"
    assert winscard.SCardControl(keyed, verify, list(structure)) == (0, [0x90, 0x00])
