"""Which process of a module is ended, when, and by whom; the module is a fake in this process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess, _Child
from hca_card.pkcs11.cryptoki import Ckr, CryptokiError
from hca_card.pkcs11.errors import (
    ModuleCrashedError,
    ModuleError,
    ModuleTimeoutError,
    ModuleUnusableError,
)
from hca_card.pkcs11.session import TokenSession
from pcsc.virtual import VirtualWinscard
from tests.support.fake_module import SLOT, FakeModule, FakeProcess, FakeToken
from tests.support.softhsm import NUMBER, personnel_objects
from tests.support.waiting import LIMIT, until


@pytest.fixture
def module() -> FakeModule:
    """A module with a token in its one reader."""
    winscard = VirtualWinscard()
    reader = winscard.add_reader("ACS ACR39U 00 00")
    reader.insert(FakeToken(NUMBER, bytes.fromhex("3B00"), personnel_objects()[:2]))
    return FakeModule(winscard, lambda: reader)


@pytest.fixture
def process(module: FakeModule) -> Iterator[ModuleProcess]:
    """That module, already asked for its slots by its first process."""
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


# What a module answers, and what it does instead


def test_what_the_module_refuses_has_its_number_and_goes_on(
    module: FakeModule, process: ModuleProcess
) -> None:
    module.reader().remove()
    with pytest.raises(ModuleError, match=r"module\.so: C_GetTokenInfo") as caught:
        process.ask(messages.LookAtToken(SLOT))
    assert (type(caught.value), caught.value.code) == (ModuleError, Ckr.TOKEN_NOT_PRESENT)
    assert process.ask(messages.Slots()).slots == ()
    assert (process.running, process.generation) == (True, 1)


def test_another_answer_than_was_asked_for_ends_the_process(
    module: FakeModule, process: ModuleProcess
) -> None:
    module.begin(0, message_fault=lambda _module, child, _answer: child.tell(messages.Done()))
    with pytest.raises(ModuleCrashedError, match="another answer"):
        process.ask(messages.Slots())
    assert not process.running
    assert len(process.ask(messages.Slots()).slots) == 1
    assert process.generation == 2


def test_who_gives_no_answer_in_time_is_ended_and_asked_once(
    module: FakeModule, process: ModuleProcess
) -> None:
    module.begin(0, message_fault=lambda *_: None)
    with pytest.raises(ModuleTimeoutError, match="no answer in 0 s"):
        process.ask(messages.Slots(), seconds=0)
    assert not process.running
    until(lambda: module.questions, "the question does not come")
    assert len(process.ask(messages.Slots()).slots) == 1
    assert (process.generation, len(module.questions)) == (2, 2)


def test_a_process_that_ends_instead_says_with_which_code(module: FakeModule, process: ModuleProcess) -> None:
    module.begin(0, message_fault=lambda _module, child, _answer: child.kill())
    with pytest.raises(ModuleCrashedError, match="ended its process with -9"):
        process.ask(messages.Slots())
    assert not process.running


def test_a_process_that_does_not_end_has_no_code(
    module: FakeModule, process: ModuleProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = FakeProcess.wait

    def wait(self: FakeProcess, timeout: float | None = None) -> int | None:
        if timeout is not None:
            raise subprocess.TimeoutExpired("module", timeout)
        return ended(self)

    monkeypatch.setattr(FakeProcess, "wait", wait)
    module.begin(0, message_fault=lambda _module, child, _answer: child.kill())
    with pytest.raises(ModuleCrashedError, match="ended its process with None"):
        process.ask(messages.Slots())


def test_nobody_waits_longer_than_allowed_for_a_module_that_another_thread_asks(
    module: FakeModule, process: ModuleProcess
) -> None:
    """The fake asks, in its own thread, while the question before is not answered yet."""
    raised: list[Exception] = []

    def meanwhile(_module: FakeModule, child: FakeProcess, answer: messages.Answer) -> None:
        try:
            process.ask(messages.Slots(), seconds=0)
        except ModuleTimeoutError as error:
            raised.append(error)
        child.tell(answer)

    module.begin(0, message_fault=meanwhile)
    assert len(process.ask(messages.Slots()).slots) == 1
    assert [str(error) for error in raised] == [str(ModuleTimeoutError(detail="module.so is busy"))]
    assert len(module.questions) == 1


def test_a_module_that_cannot_be_loaded_says_why_and_has_no_process(module: FakeModule) -> None:
    def refuse(*_: Any) -> None:
        raise CryptokiError("C_Initialize", Ckr.FUNCTION_NOT_SUPPORTED)

    module.begin(0, refuse)
    process = ModuleProcess(Path("/module.so"), cast(Any, module.start))
    with pytest.raises(ModuleUnusableError, match=r"/module\.so: C_Initialize"):
        process.ask(messages.Slots())
    assert not process.running


def test_a_process_that_cannot_be_started_is_named() -> None:
    def start(_path: str) -> Any:
        raise FileNotFoundError(2, "No such file", "program")

    process = ModuleProcess(Path("/module.so"), start)
    with pytest.raises(ModuleUnusableError, match=r"cannot be started: .*No such file"):
        process.ask(messages.Slots())
    assert (process.running, process.generation) == (False, 1)


@pytest.mark.parametrize("octets", [bytes(messages.frame(messages.Done())), b"\xff" * 8])
def test_who_talks_unasked_or_speaks_nonsense_is_heard_no_more_and_ended(
    module: FakeModule, octets: bytes
) -> None:
    spoken = module.start()
    child = _Child(cast(Any, spoken), "module.so")
    until(lambda: not child.answers.empty(), "it is not ready")
    spoken.write(octets)  # nobody has taken yet that it is ready
    until(lambda: not child.alive, "it goes on")
    assert [child.answers.get(timeout=LIMIT) for _ in range(2)] == [messages.Ready(), None]
    assert (child.alive, spoken.poll()) == (False, -9)
