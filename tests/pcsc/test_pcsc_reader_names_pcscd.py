"""Readers with odd names, and as many as the service has places for, with a real pcscd."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from pcsc.apdu import Command
from pcsc.binding import system
from pcsc.connection import Connection
from pcsc.context import ReaderState
from pcsc.service import Service
from pcsc.vpcd import VpcdClient
from pcsc.watcher import ReaderWatcher
from tests.support.pcscd import SIXTEEN, TWO, private_pcscd
from tests.support.plain_card import TRIES, PlainCard
from tests.support.platforms import is_wine, not_under_wine
from tests.support.waiting import until

pytestmark = pytest.mark.pcscd

AT_SIGN, LATIN_1, BIG5 = "Reader ＠ HOME".encode(), "Lecteur é".encode("latin-1"), "讀卡機".encode("big5")


def use_the_first_of() -> tuple[list[str], list[str], int]:
    """Put a card into the first reader and use it; return the names, the unnameable ones, its answer."""
    client = VpcdClient(PlainCard())
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        with Service.system().context() as context:
            while not (states := context.look())[0].present:
                context.wait(states, 5)
            with Connection(context, states[0].name) as card, card.transaction() as transaction:
                answer = transaction.send(Command(0, TRIES, 0, 0, le=1))
        unnameable = [state.name for state in states if state.unnameable]
        return [state.name for state in states], unnameable, answer.sw
    finally:
        client.stop()
        thread.join()


@pytest.mark.parametrize("odd", [(AT_SIGN,), (LATIN_1, BIG5)], ids=["utf-8", "octets"])
def test_a_reader_whose_name_is_not_ascii_takes_no_other_reader_away(odd: tuple[bytes, ...]) -> None:
    with private_pcscd((*TWO, *odd)) as pcscd:
        names, unnameable, answer = pcscd.call(use_the_first_of)
        # Wine counts octets where it should count characters: its list may end before the last name.
        there = pcscd.readers[: len(names) if is_wine() else None]
        assert (tuple(names), answer) == (there, 0x9000)
        assert unnameable == list(there[2:]) != []


def watch_sixteen() -> tuple[int, list[int], list[bool]]:
    """Watch for a while, with a card put in at the end."""
    calls = 0
    told: list[tuple[ReaderState, ...]] = []
    services: list[bool] = []
    real = system()

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def SCardGetStatusChange(self, *arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            return real.SCardGetStatusChange(*arguments)

    def changed(states: Sequence[ReaderState]) -> None:
        told.append(tuple(states))

    watcher = ReaderWatcher(Service(Counting()), changed, services.append)  # type: ignore[arg-type]
    watcher.start()
    until(lambda: bool(told), "no reader was told")
    # Nothing announces that nothing happens: as long as the old watcher spun twenty times.
    threading.Event().wait(2)
    at_rest = calls
    client = VpcdClient(PlainCard())
    thread = threading.Thread(target=client.run)
    thread.start()
    until(lambda: told[-1][0].present, "the card was not told")
    watcher.stop()
    client.stop()
    thread.join()
    return at_rest, [len(states) for states in told], services


@not_under_wine("its SCardGetStatusChange forgets what state it was told of, and so waits for nothing")
def test_sixteen_readers_are_watched_without_a_busy_loop_and_without_false_news() -> None:
    with private_pcscd(SIXTEEN) as pcscd:
        calls, told, services = pcscd.call(watch_sixteen)
    assert services == [True]
    assert told == [16, 16]
    assert calls < 14  # two for each look and wait; the old watcher made fifty
