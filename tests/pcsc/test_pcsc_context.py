from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pcsc.connection import Connection
from pcsc.context import Context, ReaderState
from pcsc.errors import CancelledError, ReaderUnavailableError, ServiceUnavailableError
from pcsc.results import ReturnCode
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from pcsc.winscard import PNP_NOTIFICATION
from tests.support.channel import READER, ScriptedWinscard
from tests.support.plain_card import EXTENDED_ATR, PlainCard
from tests.support.waiting import LIMIT, until


@pytest.fixture
def winscard() -> VirtualWinscard:
    return VirtualWinscard()


@pytest.fixture
def context(winscard: VirtualWinscard) -> Iterator[Context]:
    with Service(winscard).context() as context:
        yield context


def soon(winscard: VirtualWinscard, action: Callable[[], object]) -> None:
    """Do this as soon as somebody waits for a change."""

    def act() -> None:
        until(lambda: winscard.changed._waiters, "nobody waits")  # type: ignore[attr-defined]
        action()

    threading.Thread(target=act).start()


def test_a_machine_without_readers_has_an_empty_list(context: Context) -> None:
    assert context.readers() == []
    assert context.look() == []


def test_the_state_of_a_reader_is_told_in_words(context: Context, winscard: VirtualWinscard) -> None:
    reader = winscard.add_reader("A")
    winscard.add_reader("B")
    reader.insert(PlainCard())
    with Connection(context, "A", exclusive=True):
        assert context.look() == [
            ReaderState("A", present=True, exclusive=True, in_use=True, atr=EXTENDED_ATR, event_counter=1),
            ReaderState("B"),
        ]


def test_a_reader_that_is_gone_does_not_hide_the_others(context: Context, winscard: VirtualWinscard) -> None:
    winscard.add_reader("A")
    assert context.states(["A", "gone"]) == [ReaderState("A"), ReaderState("gone", unavailable=True)]
    assert context.states([]) == []


def test_a_wait_ends_when_a_card_is_put_in(context: Context, winscard: VirtualWinscard) -> None:
    reader = winscard.add_reader("A")
    known = context.look()
    soon(winscard, lambda: reader.insert(PlainCard()))
    assert context.wait(known, 5)


def test_a_wait_ends_at_once_when_the_card_was_changed_before_it(
    context: Context, winscard: VirtualWinscard
) -> None:
    reader = winscard.add_reader("A")
    reader.insert(PlainCard())
    known = context.look()
    reader.remove()
    reader.insert(PlainCard())
    assert context.wait(known, 5)
    assert context.look()[0].event_counter == known[0].event_counter + 2


def test_a_wait_ends_when_a_reader_is_plugged_in_or_pulled_out(
    context: Context, winscard: VirtualWinscard
) -> None:
    soon(winscard, lambda: winscard.add_reader("A"))
    assert context.wait([], 5)
    known = context.look()
    soon(winscard, winscard._readers["A"].unplug)
    assert context.wait(known, 5)
    with pytest.raises(ReaderUnavailableError):
        context.wait(known, 5)


def test_a_wait_ends_when_the_time_is_up(context: Context, winscard: VirtualWinscard) -> None:
    winscard.add_reader("A")
    assert not context.wait(context.look(), 0.02)


def test_a_wait_ends_when_the_service_stops(context: Context, winscard: VirtualWinscard) -> None:
    soon(winscard, winscard.stop_service)
    with pytest.raises(ServiceUnavailableError):
        context.wait([], 5)


@pytest.mark.parametrize("before", [True, False])
def test_a_wait_can_be_cancelled_from_another_thread_even_before_it_begins(
    context: Context, winscard: VirtualWinscard, before: bool
) -> None:
    if before:
        context.cancel()
    else:
        soon(winscard, context.cancel)
    with pytest.raises(CancelledError):
        context.wait([])
    assert not context.wait([], 0.01)


def test_a_cancel_that_the_service_forgets_is_said_again() -> None:
    waiting = threading.Event()

    class Forgetful(VirtualWinscard):
        def SCardCancel(self, context: int, /) -> int:
            nonlocal cancels
            cancels += 1
            return 0 if cancels == 1 else super().SCardCancel(context)

        def SCardGetStatusChange(
            self, context: int, timeout: int, states: list[tuple[Any, ...]], /
        ) -> tuple[int, list[tuple[str, int, list[int]]]]:
            waiting.set()
            return super().SCardGetStatusChange(context, timeout, states)

    cancels = 0
    with Service(Forgetful()).context() as context:

        def wait() -> None:
            with pytest.raises(CancelledError):
                context.wait([])

        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(LIMIT)
        context.cancel()
        thread.join(LIMIT)
        assert not thread.is_alive()
        assert cancels > 1


def test_where_readers_cannot_be_announced_a_wait_is_cut_to_a_second() -> None:
    unknown = (int(ReturnCode.UNKNOWN_READER), [(READER, 0, []), (PNP_NOTIFICATION, 0, [])])
    winscard = ScriptedWinscard(SCardGetStatusChange=[unknown])
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        known = [ReaderState(READER)]
        assert not context.wait(known)
        context.wait(known)
    waits = winscard.called("SCardGetStatusChange")
    assert [len(states) for _, _, states in waits] == [2, 1]
    assert waits[1][1] == 1000


def test_a_service_that_counts_its_readers_is_handed_its_own_count_back() -> None:
    answer = (0, [(READER, 0x10012, []), (PNP_NOTIFICATION, 3 << 16 | 2, [])])
    winscard = ScriptedWinscard(SCardGetStatusChange=[answer])
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        assert context.wait([ReaderState(READER)])
        context.wait([ReaderState(READER)])
    counts = [states[-1][1] for _, _, states in winscard.called("SCardGetStatusChange")]
    assert counts == [1 << 16, 3 << 16]


def test_a_context_that_was_closed_is_of_no_more_use(winscard: VirtualWinscard) -> None:
    context = Service(winscard).context()
    context.close()
    context.close()
    with pytest.raises(RuntimeError, match="closed"):
        context.readers()


def test_readers_are_picked_by_a_part_of_their_name_in_whichever_case(winscard: VirtualWinscard) -> None:
    winscard.add_reader("Maker A 00")
    winscard.add_reader("Maker B 01")
    with Service(winscard, only="maker b").context() as context:
        assert [state.name for state in context.look()] == ["Maker B 01"]


def test_states_that_come_with_a_timeout_are_states_and_any_other_trouble_is_an_error() -> None:
    winscard = ScriptedWinscard(
        SCardGetStatusChange=[(int(ReturnCode.TIMEOUT), [(READER, 0x10, [])]), (0x8010001D, [])]
    )
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        assert [state.name for state in context.states([READER])] == [READER]
        with pytest.raises(ServiceUnavailableError):
            context.states([READER])


def test_a_service_that_takes_only_so_many_names_is_asked_for_the_readers_alone() -> None:
    winscard = ScriptedWinscard(
        SCardGetStatusChange=[(int(ReturnCode.INVALID_PARAMETER), []), (int(ReturnCode.TIMEOUT), [])]
    )
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        assert not context.wait([ReaderState(READER)])
        assert not context.wait([ReaderState(READER)], 60)
    assert [(len(states), timeout) for _, timeout, states in winscard.called("SCardGetStatusChange")] == [
        (2, 0x7FFFFFFF),
        (1, 1000),
    ]


def test_where_there_is_nothing_to_ask_for_a_wait_takes_its_time_and_can_be_cancelled() -> None:
    unannounced = (int(ReturnCode.UNKNOWN_READER), [(PNP_NOTIFICATION, 0, [])])
    winscard = ScriptedWinscard(SCardGetStatusChange=[unannounced])
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        assert not context.wait([])
        assert not context.wait([], 0.001)
        context.cancel()
        with pytest.raises(CancelledError):
            context.wait([])
    assert len(winscard.called("SCardGetStatusChange")) == 1


def test_trouble_that_would_be_the_same_at_once_is_waited_out() -> None:
    winscard = ScriptedWinscard(SCardGetStatusChange=[(0x80100FFF, [])])
    with Service(winscard).context() as context:  # type: ignore[arg-type]
        assert not context.wait([ReaderState(READER)], 0.001)
