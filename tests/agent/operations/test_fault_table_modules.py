"""The fault table of cards behind a PKCS#11 module: every operation, every function it calls, every fault.

As in `test_fault_table.py`, with its assertions; what can go wrong is what a module and its process can do:
refuse, refuse after it acted, end, hang, answer nonsense, and lose its token between two calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import pytest

from agent.access.answers import Answers
from agent.access.policy import ConsentAnswer
from agent.config import Config, Pkcs11Settings
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import SigningSession, open_operations
from agent.paths import Paths
from agent.vocabulary import Verb
from hca_card.pkcs11 import messages
from hca_card.pkcs11.cryptoki import Ckr, CryptokiError, Function
from hca_card.simulator.hicos_card import ATR_2
from pcsc.service import Service
from pcsc.virtual import VirtualReader, VirtualWinscard
from signing.cipher import encrypt
from tests.agent.operations import test_fault_table as table
from tests.agent.operations.test_fault_table import READER, Operate
from tests.support import fake_module
from tests.support.fake_module import Act, DiedError, FakeModule, FakeProcess, FakeToken
from tests.support.operations import OWN, PIN, PORTAL, World, until
from tests.support.softhsm import Object, personnel_objects

ATR: Final = bytes.fromhex("3B 85 81 31 FE 45 4D 4F 44 55 4C B6")
"""Of a card that only its module knows."""

# The faults of a call.


def refusing(value: int) -> Any:
    def fault(_module: FakeModule, _act: Act, _arguments: tuple[Any, ...]) -> None:
        raise CryptokiError("refused", value)

    fault.__name__ = f"refused {value:X}"
    return fault


def refusing_afterwards(value: int) -> Any:
    def fault(_module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
        act()
        raise CryptokiError("refused", value)

    fault.__name__ = f"done, then refused {value:X}"
    return fault


def dies(_module: FakeModule, _act: Act, _arguments: tuple[Any, ...]) -> None:
    raise DiedError


def dies_afterwards(_module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    act()
    raise DiedError


def hangs(module: FakeModule, _act: Act, _arguments: tuple[Any, ...]) -> None:
    module.hang()


def hangs_afterwards(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    act()
    module.hang()


def zeros(_module: FakeModule, act: Act, arguments: tuple[Any, ...]) -> None:
    act()
    fake_module.fill(arguments, 0x00)


def ones(_module: FakeModule, act: Act, arguments: tuple[Any, ...]) -> None:
    act()
    fake_module.fill(arguments, 0xFF)


def pulled(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    module.reader().remove()
    act()


def pulled_afterwards(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    act()
    module.reader().remove()


def swapped(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    reader = module.reader()
    reader.remove()
    reader.insert(another_token())
    act()


def reset(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    module.reader().reset_by_other_program()
    act()


def unplugged(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    module.reader().unplug()
    act()


def service_killed(module: FakeModule, act: Act, _arguments: tuple[Any, ...]) -> None:
    module.winscard.stop_service()
    act()


ANYWHERE: Final = (
    dies,
    dies_afterwards,
    hangs,
    hangs_afterwards,
    zeros,
    ones,
    pulled,
    pulled_afterwards,
    swapped,
    reset,
    unplugged,
    service_killed,
    refusing(Ckr.GENERAL_ERROR),
    refusing_afterwards(fake_module.DEVICE_ERROR),
)
"""At each representative call."""

OF_HICOS: Final = (dies, hangs_afterwards, pulled, refusing_afterwards(fake_module.DEVICE_ERROR))
"""At each call to the maker's module of HiCOS, which is found otherwise and then treated as all are.

And in the self-test, which does what the other operations do, one after another.
"""

TELLING: Final = (
    Function.C_OpenSession,
    Function.C_Login,
    Function.C_SetPIN,
    Function.C_InitPIN,
    Function.C_Sign,
    Function.C_Decrypt,
)
"""Whose refusals mean different things to the person."""

VALUES: Final = tuple(
    refusing(value)
    for value in (
        *(value for value in Ckr if value not in (Ckr.OK, Ckr.GENERAL_ERROR)),
        0x02,  # CKR_HOST_MEMORY
        0xA3,  # CKR_PIN_EXPIRED
        fake_module.USER_ALREADY_LOGGED_IN,
        fake_module.BUFFER_TOO_SMALL,
        0x190,  # CKR_CRYPTOKI_NOT_INITIALIZED
        0x8000_0001,  # a maker's own
        (1 << 64) - 1,
    )
)
"""At the last call of each of them."""

# The faults of a message.


def nonsense(_module: FakeModule, process: FakeProcess, _answer: messages.Answer) -> None:
    process.write(b"\0\0\0\5hello")


def endless(_module: FakeModule, process: FakeProcess, _answer: messages.Answer) -> None:
    process.write(b"\xff" * 8)


def half(_module: FakeModule, process: FakeProcess, answer: messages.Answer) -> None:
    process.write(messages.frame(answer)[:-1])
    raise DiedError


def another_answer(_module: FakeModule, process: FakeProcess, _answer: messages.Answer) -> None:
    process.tell(messages.Ready())


def twice(_module: FakeModule, process: FakeProcess, answer: messages.Answer) -> None:
    process.write(messages.frame(answer) * 2)


def beyond_numbers(_module: FakeModule, process: FakeProcess, _answer: messages.Answer) -> None:
    process.tell(messages.CallRefused((1 << 64) - 1, "\n" * 99))


MESSAGES: Final = (nonsense, endless, half, another_answer, twice, beyond_numbers)

READING: Final = (
    Function.C_FindObjectsInit,
    Function.C_FindObjects,
    Function.C_FindObjectsFinal,
    Function.C_GetAttributeValue,
    Function.C_GetSlotList,
    Function.C_GetSlotInfo,
    Function.C_GetTokenInfo,
)
"""Dozens of them for a few certificates: the first and the last of each stand for all."""


@cache
def token_objects(number: str, *, each_time: bool = False) -> tuple[Object, ...]:
    return personnel_objects(number=number, each_time=each_time)[:2]


def another_token() -> FakeToken:
    return FakeToken("000000335378", ATR, token_objects("000000335378"))


@dataclass
class ModuleStage:
    """A card that a module serves, in one reader, and what is done with it; as `table.Stage`."""

    world: World
    card: FakeModule
    token: FakeToken
    person: ScriptedInteraction
    session: SigningSession | None = None
    cipher: bytes = b""
    message_faults: bool = False
    left: bool = False
    used: bool = False

    @property
    def reader(self) -> VirtualReader:
        return self.world.readers[0]

    def begin(self, at: int = -1, fault: Any = None) -> None:
        self.card.begin(at, **{"message_fault" if self.message_faults else "fault": fault})

    def sendings(self, _sent: object) -> int:
        return self.card.presented + self.token.presented_past_the_module

    def left_verified(self, _sent: object) -> bool:
        return self.left

    def next_operation(self, _operate: Operate) -> Operate:
        return table.sign if self.used else table.read

    async def restore(self) -> None:
        here = self.reader.card if isinstance(self.reader.card, FakeToken) else self.token
        # A process that is ended may end a moment after its caller was answered.
        with suppress(AssertionError):
            await until(lambda: here.user is None and self.token.user is None, "a PIN is left verified")
        self.left = here.user is not None or self.token.user is not None
        self.used = self.card.presented > 0
        if not self.world.winscard.running:
            # What is done where it is noticed later still: tests/hca_card/pkcs11/test_pkcs11_client.py.
            activity = self.world.operations.activity
            await until(lambda: activity.service_running is False, "the end of the service")
            self.world.winscard.start_service()
        if not self.reader.plugged:
            self.world.readers[0] = self.world.winscard.add_reader(READER)
        self.card.begin()
        self.token.restore()
        # Also where the module hung when it was asked for its slots, or said that it sees no token: until a
        # card comes or goes it is not asked again, and the person takes the card out and puts it in.
        view = self.world.operations.modules[0]
        if self.reader.card is not self.token or view.error is not None or READER not in view.readers:
            self.reader.remove()
            self.reader.insert(self.token)
        await until(self.there, f"no card in {READER}")

    async def there(self) -> bool:
        views = await self.world.operations.readers(OWN)
        return any((view.name, view.condition) == (READER, "card") for view in views)


async def find(stage: Any) -> object:
    """Have the module found, its process started and its slots listed."""
    stage.world.operations._workflow.modules.end()
    return await table.read(stage)


class Computer(VirtualWinscard):
    """Readers of this process that pass for the machine's own: beside virtual ones no module is asked."""

    virtual = False  # type: ignore[misc]


@asynccontextmanager
async def staged(
    folder: Path, kind: str, operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ModuleStage]:
    """An agent with one such card: HiCOS with its maker's module, or of a module that is listed."""
    hicos = kind == "hicos"
    person = ScriptedInteraction(pins=repeat(PIN), pairs=table.pairs_for(operate))
    file = folder / "module.so"
    file.write_bytes(b"")
    config = Config(pkcs11=Pkcs11Settings(() if hicos else (file,), known=hicos))
    monkeypatch.setattr("agent.pkcs11_modules.files._opensc", lambda _platform: iter(()))
    monkeypatch.setattr("agent.pkcs11_modules.files._hicos", lambda _platform: iter((file,)))
    winscard = Computer()
    readers = [winscard.add_reader(READER)]
    module = FakeModule(winscard, lambda: readers[0])
    module.install(monkeypatch)
    number = "000000335361"
    token = FakeToken(number, ATR_2 if hicos else ATR, token_objects(number, each_time=not hicos))
    readers[0].insert(token)
    service, paths = Service(winscard), Paths(folder / "home", folder / "machine")
    paths.make()
    yes = ConsentAnswer(allowed=True, until=datetime.now(UTC) + timedelta(days=1))
    Answers(paths.answers).remember(str(PORTAL.origin), tuple(Verb), yes)
    async with open_operations(service, person, config, paths) as operations:
        world = World(operations, winscard, service, readers, [], paths, person)
        stage = ModuleStage(world, module, token, person)
        await stage.restore()
        yield stage


def representatives(calls: list[Function]) -> list[int]:
    """The numbers of the calls that stand for all: of those that read, two; of others, all."""
    numbers = {number for number, function in enumerate(calls) if function not in READING}
    for function in READING:
        if function in calls:
            numbers |= {calls.index(function), last_of(calls, function)}
    return sorted(numbers)


OPERATIONS: Final = (find, *table.WITH_KEYS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["listed", "hicos"])
@pytest.mark.parametrize("operate", OPERATIONS, ids=lambda operate: operate.__name__)
async def test_whatever_a_module_does_the_outcome_is_words_and_the_next_operation_works(
    tmp_path: Path,
    kind: str,
    operate: Operate,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    wrong: list[str] = []
    count = 0
    async with staged(tmp_path, kind, operate, monkeypatch) as stage:
        if operate is table.decrypt:
            stage.cipher = encrypt(await stage.world.operations.encryption_certificate(OWN), b"plain")
        if operate is table.batch_item:
            stage.session = await stage.world.operations.open_session(OWN)
        stage.begin()
        assert await table.outcome(stage, operate) == "ok"
        calls, questions = stage.card.sent, stage.card.questions
        await stage.restore()
        assert not stage.left
        whole = kind == "listed" and operate is not table.self_test
        cells = [(at, fault) for at in representatives(calls) for fault in (ANYWHERE if whole else OF_HICOS)]
        if whole:
            told = [function for function in TELLING if function in calls]
            cells += [(last_of(calls, function), fault) for function in told for fault in VALUES]
        for at, fault in cells:
            count += 1
            for complaint in await table.cell(stage, operate, at, fault):
                wrong.append(f"call {at} {calls[at].name}, {fault.__name__}: {complaint}")
        stage.message_faults = True
        for at in range(len(questions)):
            for fault in MESSAGES if kind == "listed" else MESSAGES[:1]:
                count += 1
                for complaint in await table.cell(stage, operate, at, fault):
                    wrong.append(f"message {at} {questions[at]}, {fault.__name__}: {complaint}")
    record_property("cells of the fault table", count)
    assert not wrong, "\n".join(wrong)


def last_of(calls: list[Function], function: Function) -> int:
    return len(calls) - 1 - calls[::-1].index(function)
