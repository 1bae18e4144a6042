"""Which process of a module is ended, when, and by whom; the module is a fake in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess
from hca_card.pkcs11.errors import ModuleCrashedError
from hca_card.pkcs11.session import TokenSession
from pcsc.virtual import VirtualWinscard
from tests.support.fake_module import SLOT, FakeModule, FakeToken
from tests.support.softhsm import NUMBER, personnel_objects
from tests.support.waiting import until


@pytest.fixture
def process() -> Iterator[ModuleProcess]:
    """A module with a token, already asked for its slots by its first process."""
    winscard = VirtualWinscard()
    reader = winscard.add_reader("ACS ACR39U 00 00")
    reader.insert(FakeToken(NUMBER, bytes.fromhex("3B00"), personnel_objects()[:2]))
    module = FakeModule(winscard, lambda: reader)
    process = ModuleProcess(Path("/module.so"), cast(Any, module.start))
    process.ask(messages.Slots())
    yield process
    process.end()


def test_a_module_that_retires_ends_when_the_visit_under_way_has(process: ModuleProcess) -> None:
    with TokenSession(process, SLOT, process.generation) as session:
        process.retire()
        assert not process.running
        assert len(session.certificates()) == 2
    with pytest.raises(ModuleCrashedError):
        process.ask(messages.LookAtToken(SLOT), generation=1)
    process.ask(messages.Slots())
    assert (process.running, process.generation) == (True, 2)


def test_a_module_that_retires_while_nobody_visits_a_card_ends_at_once(process: ModuleProcess) -> None:
    child = process._running
    process.retire()
    assert child is not None
    until(lambda: not child.alive, "it goes on")


def test_whoever_begins_a_visit_has_another_process_than_the_one_that_retires(process: ModuleProcess) -> None:
    with TokenSession(process, SLOT, 1) as session:
        process.retire()
        assert process.ask(messages.Slots()).slots
        assert process.generation == 2
        with pytest.raises(ModuleCrashedError):
            session.certificates()
    assert process.running


def test_the_process_that_is_meant_is_ended_and_none_that_came_after_it(process: ModuleProcess) -> None:
    process.end(1)
    process.ask(messages.Slots())
    process.end(1)
    assert (process.running, process.generation) == (True, 2)
    process.end(2)
    assert not process.running
