"""Readers as people see them: which are meant when none is named, and what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.operations import ReaderCondition, ReaderView
from agent.operations.readers import Readers, candidates, is_built_in, is_virtual, named
from pcsc.context import ReaderState
from pcsc.errors import (
    CardMuteError,
    NoCardError,
    NoReaderError,
    PcscError,
    ReaderBusyError,
    ReaderUnavailableError,
    ServiceUnavailableError,
)
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from tests.support.cards import simulated
from tests.support.waiting import until_async

CARD, EMPTY, MUTE, BUSY = (
    ReaderCondition.CARD,
    ReaderCondition.EMPTY,
    ReaderCondition.MUTE,
    ReaderCondition.BUSY,
)
REAL, REAL_2 = "ACS ACR39U 00 00", "Alcor Micro AU9540 01 00"
HELLO, VPCD = "Windows Hello for Business 1", "Virtual PCD 00 00"


def view(name: str, condition: ReaderCondition) -> ReaderView:
    return ReaderView(name, condition, pin_pad=False, virtual=is_virtual(name), atr=b"", event_counter=0)


@pytest.mark.parametrize(
    ("readers", "meant"),
    [
        ([(REAL, CARD)], [REAL]),
        ([(REAL, CARD), (REAL_2, EMPTY)], [REAL]),
        ([(REAL, CARD), (REAL_2, CARD)], [REAL, REAL_2]),
        ([(HELLO, CARD), (REAL, CARD)], [REAL]),
        ([(VPCD, CARD), (REAL, CARD)], [REAL]),
        ([(VPCD, CARD), (REAL, EMPTY)], [VPCD]),
        ([(VPCD, CARD), (HELLO, CARD)], [VPCD]),
        ([(REAL, CARD), (REAL_2, BUSY)], [REAL]),
    ],
)
def test_real_readers_come_before_virtual_ones(
    readers: list[tuple[str, ReaderCondition]], meant: list[str]
) -> None:
    assert [item.name for item in candidates([view(*reader) for reader in readers])] == meant


@pytest.mark.parametrize(
    ("readers", "error"),
    [
        ([], NoReaderError),
        ([(HELLO, CARD)], NoReaderError),
        ([(REAL, EMPTY)], NoCardError),
        ([(REAL, EMPTY), (HELLO, CARD)], NoCardError),
        ([(REAL, MUTE)], CardMuteError),
        ([(REAL, BUSY), (REAL_2, MUTE)], ReaderBusyError),
        ([(REAL, EMPTY), (REAL_2, MUTE)], CardMuteError),
    ],
)
def test_without_any_card_the_nearest_thing_to_one_is_named(
    readers: list[tuple[str, ReaderCondition]], error: type[PcscError]
) -> None:
    with pytest.raises(error):
        candidates([view(*reader) for reader in readers])


def test_a_reader_that_is_named_is_taken_whatever_it_is() -> None:
    views = [view(REAL, CARD), view(HELLO, CARD), view(REAL_2, EMPTY)]
    assert named(views, HELLO).name == HELLO
    with pytest.raises(NoCardError):
        named(views, REAL_2)
    with pytest.raises(ReaderUnavailableError):
        named(views, "ACS")


class FakeModules:
    """PKCS#11 modules, or none: what the readers ask of them."""

    def __init__(self, *slots: tuple[str, bool], serves: str = "") -> None:
        self.any = bool(slots or serves)
        self.extra: tuple[Any, ...] = ()
        self._slots = tuple(
            SimpleNamespace(reader=name, slot=SimpleNamespace(hardware=hardware)) for name, hardware in slots
        )
        self._serves = serves
        self.looked: list[list[str]] = []
        self.retired = 0

    def look(self, states: Sequence[ReaderState]) -> None:
        self.looked.append([state.name for state in states])
        self.extra = self._slots

    def known_for(self, name: str, _state: ReaderState) -> tuple[None, Any]:
        path = SimpleNamespace(path=Path("/usr/lib/maker.so"))
        return None, SimpleNamespace(module=path) if name == self._serves else None

    def retire(self) -> None:
        self.retired += 1


class World:
    """Readers that are watched, and what was heard of them."""

    def __init__(self, modules: FakeModules) -> None:
        self.winscard = VirtualWinscard()
        self.modules = modules
        self.changes: list[list[str]] = []
        self.service: list[bool] = []
        self.readers = Readers(
            Service(self.winscard),
            lambda states: self.changes.append([state.name for state in states]),
            self.service.append,
            modules,  # type: ignore[arg-type]
        )


@asynccontextmanager
async def world(modules: FakeModules | None = None) -> AsyncIterator[World]:
    found = World(modules or FakeModules())
    try:
        yield found
    finally:
        await found.readers.close()


async def conditions(readers: Readers) -> list[tuple[str, ReaderCondition]]:
    return [(view.name, view.condition) for view in await readers.look()]


async def test_readers_are_told_as_they_stand() -> None:
    async with world() as there:
        for name in "ABCD":
            there.winscard.add_reader(name)
        readers = there.winscard._readers
        mute = simulated("hpc")
        mute.power_on = lambda: b""  # type: ignore[method-assign]
        readers["B"].insert(simulated("hpc"))
        readers["C"].insert(mute)
        readers["D"].insert(simulated("hpc"))
        with readers["D"].hold_exclusively():
            assert await conditions(there.readers) == [("A", EMPTY), ("B", CARD), ("C", MUTE), ("D", BUSY)]


async def test_readers_that_cannot_be_used_are_named_as_that() -> None:
    async with world() as there:
        views = there.readers._views(
            (ReaderState("A", unavailable=True), ReaderState("B", unavailable=True, unnameable=True))
        )
        assert [view.condition for view in views] == [
            ReaderCondition.UNAVAILABLE,
            ReaderCondition.UNNAMEABLE,
        ]


async def test_a_service_that_was_restarted_is_looked_at_anew() -> None:
    async with world() as there:
        there.winscard.add_reader("A")
        assert await conditions(there.readers) == [("A", EMPTY)]
        there.winscard.stop_service()
        with pytest.raises(ServiceUnavailableError):
            await there.readers.look()
        there.winscard.start_service()
        assert await conditions(there.readers) == [("A", EMPTY)]


async def test_a_new_context_that_fails_at_once_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as there:
        there.winscard.add_reader("A")
        with monkeypatch.context() as patch:
            patch.setattr(there.winscard, "SCardListReaders", lambda *_: (0x8010001E, []))
            with pytest.raises(ServiceUnavailableError):
                await there.readers.look()
        assert not there.winscard._contexts
        assert await conditions(there.readers) == [("A", EMPTY)]


async def test_nobody_looks_for_a_question_that_was_given_up() -> None:
    async with world() as there:
        assert there.readers._look(lambda: True) == []
        assert not there.winscard._contexts


async def test_listeners_hear_each_change_that_a_person_would_see() -> None:
    async with world() as there:
        reader = there.winscard.add_reader("A")
        heard: list[list[ReaderCondition]] = []

        def fail(_views: tuple[ReaderView, ...]) -> None:
            raise ValueError

        there.readers.listen(fail)
        stop = there.readers.listen(lambda views: heard.append([view.condition for view in views]))
        there.readers.start()
        await until_async(lambda: heard == [[EMPTY]], "the reader is not told")
        assert there.service == [True]
        reader.insert(simulated("hpc"))
        await until_async(lambda: heard[-1] == [CARD], "the card is not told")
        with there.readers._service.context() as context:
            # A program that connects changes the raw states, and nothing that a person would see.
            states = tuple(context.look())
        there.readers._changed(states)
        there.readers._changed(states)
        assert there.changes[-2:] == [["A"]] * 2
        assert heard == [[EMPTY], [CARD]]
        stop()
        stop()
        reader.remove()
        await until_async(lambda: len(there.changes) > 4, "the removal is not told")
        assert heard == [[EMPTY], [CARD]]


async def test_what_modules_had_open_ends_with_the_service() -> None:
    async with world() as there:
        there.readers.start()
        await until_async(lambda: there.service == [True], "the service is not found")
        assert there.modules.retired == 0
        there.winscard.stop_service()
        await until_async(lambda: there.service == [True, False], "its end is not told")
        assert there.modules.retired == 1


async def test_a_keypad_that_turned_out_to_be_of_no_use_stays_so() -> None:
    async with world() as there:
        there.winscard.add_reader("A")
        assert not there.readers.keypad_failed("A")
        there.readers.note_pin_pad("A")
        [view] = await there.readers.look()
        assert view.pin_pad and not view.keypad_failed
        there.readers.note_pin_pad("A", works=False)
        there.readers.note_pin_pad("A")
        [view] = await there.readers.look()
        assert view.keypad_failed and not view.pin_pad


async def test_slots_of_modules_are_readers_too_and_what_a_module_serves_names_it() -> None:
    modules = FakeModules(("Token 1", True), ("Token 2", False), serves="A")
    async with world(modules) as there:
        there.winscard.add_reader("A")
        views = await there.readers.look()
        assert modules.looked == [["A"]]
        assert [(view.name, view.module, view.virtual) for view in views] == [
            ("A", "maker.so", False),
            ("Token 1", "", False),
            ("Token 2", "", True),
        ]
        assert [view.condition for view in views] == [EMPTY, CARD, CARD]


async def test_without_the_service_there_are_the_slots_that_need_none() -> None:
    async with world(FakeModules(("Token 1", True))) as there:
        there.winscard.stop_service()
        assert await conditions(there.readers) == [("Token 1", CARD)]
    async with world(FakeModules(serves="A")) as there:
        there.winscard.stop_service()
        with pytest.raises(ServiceUnavailableError):
            await there.readers.look()


@pytest.mark.parametrize(
    ("name", "virtual", "built_in"),
    [
        (REAL, False, False),
        (VPCD, True, False),
        ("HCA-AGENT Simulator 00", True, False),
        (HELLO, True, True),
        ("Microsoft Virtual Smart Card 0", True, True),
    ],
)
def test_a_readers_name_says_whether_it_is_a_device(name: str, virtual: bool, built_in: bool) -> None:
    assert (is_virtual(name), is_built_in(name)) == (virtual, built_in)
