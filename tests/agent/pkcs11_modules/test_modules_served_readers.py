"""Who serves a reader: rules, with modules that only pretend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.config import Pkcs11Settings
from agent.pkcs11_modules import Modules, installed_modules, source
from agent.pkcs11_modules.files import ModuleFile, known
from hca_card.pkcs11 import messages
from hca_card.pkcs11.errors import ModuleCrashedError, ModuleError, ModuleTimeoutError
from hca_card.simulator.cards import CITIZEN_ATR, HCA_ATR
from pcsc.context import ReaderState

READER, OTHER = "ACS ACR39U 00 00", "Alcor AU9540 02 00"
HICOS_ATR = bytes.fromhex("3BB813008131FA524348544D4F494341A5")
UNKNOWN_ATR = bytes.fromhex("3B00")
NHI_ATR = bytes.fromhex("3BEE00008131FE4580318066409093060F17830F9000F3")
LISTED, SECOND = Path("/listed/first.so"), Path("/listed/second.so")


@dataclass
class Pretended:
    """A module that says what a test wants."""

    slots: tuple[messages.Slot, ...] = ()
    failures: list[ModuleError] = field(default_factory=list)
    asked: int = 0
    running: bool = False
    generation: int = 0

    def ask(self, _question: object, *, seconds: float | None = None) -> messages.SlotList:
        self.asked += 1
        if not self.running:
            self.running, self.generation = True, self.generation + 1
        if self.failures:
            self.running = False
            raise self.failures.pop(0)
        return messages.SlotList(self.slots)

    def end(self) -> None:
        self.running = False


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Pretended]]:
    """The modules of the test, by the names of their files."""
    found: dict[str, Pretended] = {}

    def process(path: Path, _start: object, **_limits: float) -> Pretended:
        return found.setdefault(path.name, Pretended())

    def none(_profiles: object = None, _platform: str = "") -> tuple[ModuleFile, ...]:
        return ()

    monkeypatch.setattr(source, "ModuleProcess", process)
    monkeypatch.setattr(installed_modules, "known", none)
    yield found


def slot(description: str, number: int = 1, *, hardware: bool = True) -> messages.Slot:
    return messages.Slot(id=number, description=description, hardware=hardware, label="token", serial="1")


def state(name: str = READER, atr: bytes = HCA_ATR, counter: int = 1) -> ReaderState:
    return ReaderState(name, present=bool(atr), atr=atr, event_counter=counter)


def served(found: Modules, *states: ReaderState) -> dict[str, str]:
    return {name: one.slot.description for name, one in found.look(states).items()}


def with_known(monkeypatch: pytest.MonkeyPatch, files: Sequence[Path]) -> Modules:
    """As `Modules` of a machine on which just these files are installed."""
    monkeypatch.setattr(Path, "is_file", lambda self: self in files)
    monkeypatch.setattr(installed_modules, "known", lambda profiles: known(profiles, "linux"))
    return Modules(Pkcs11Settings())


def test_a_listed_module_serves_the_readers_in_which_it_sees_a_token_and_slots_of_its_own(
    pretended: dict[str, Pretended],
) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    pretended["first.so"].slots = (slot(READER), slot("SoftHSM slot ID 0x1", 2, hardware=False))
    assert served(found, state(), state(OTHER, NHI_ATR)) == {
        READER: READER,
        "SoftHSM slot ID 0x1": "SoftHSM slot ID 0x1",
    }
    assert [one.reader for one in found.extra] == ["SoftHSM slot ID 0x1"]
    assert found.look([state()])[READER].card == (HCA_ATR, 1)


def test_a_reader_is_served_by_the_first_module_and_listed_once(pretended: dict[str, Pretended]) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED, SECOND)))
    pretended["first.so"].slots = (slot(READER, 4), slot(READER, 5))
    pretended["second.so"].slots = (slot(READER, 6), slot(OTHER, 7))
    servings = found.look([state(), state(OTHER)])
    assert {name: one.slot.id for name, one in servings.items()} == {READER: 4, OTHER: 7}


def test_a_slot_described_by_the_first_64_bytes_is_the_reader_unless_two_begin_so(
    pretended: dict[str, Pretended],
) -> None:
    long = "讀卡機 " + "x" * 60
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    pretended["first.so"].slots = (slot(long.encode()[:64].decode()),)
    assert set(found.look([state(long + " 00 00")])) == {long + " 00 00"}
    both = found.look([state(long + " 00 00"), state(long + " 01 00")])
    assert long + " 00 00" not in both
    assert long + " 01 00" not in both


@pytest.mark.parametrize(
    ("atr", "module"),
    [
        (HICOS_ATR, "libHicos_p11v1.so"),
        (UNKNOWN_ATR, "opensc-pkcs11.so"),
        (HCA_ATR, None),
        (CITIZEN_ATR, None),
        (NHI_ATR, None),
        (b"", None),
    ],
    ids=["HiCOS", "nobody's", "HCA", "citizen", "NHI", "empty"],
)
def test_a_known_module_is_loaded_for_the_cards_it_is_meant_for_alone(
    pretended: dict[str, Pretended], monkeypatch: pytest.MonkeyPatch, atr: bytes, module: str | None
) -> None:
    found = with_known(
        monkeypatch, [Path("/usr/lib/libHicos_p11v1.so"), Path("/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so")]
    )
    for one in pretended.values():
        one.slots = (slot(READER), slot("SoftHSM slot ID 0x1", 2))
    assert set(found.look([state(atr=atr)])) == ({READER} if module else set())
    assert {name for name, one in pretended.items() if one.asked} == ({module} if module else set())


def test_a_known_module_does_not_serve_another_card_that_it_sees_too(
    pretended: dict[str, Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = with_known(monkeypatch, [Path("/usr/lib/opensc-pkcs11.so")])
    pretended["opensc-pkcs11.so"].slots = (slot(READER), slot(OTHER, 2))
    assert set(found.look([state(), state(OTHER, UNKNOWN_ATR)])) == {OTHER}


def test_a_known_module_is_ended_when_its_card_is_gone(
    pretended: dict[str, Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = with_known(monkeypatch, [Path("/usr/lib/opensc-pkcs11.so")])
    pretended["opensc-pkcs11.so"].slots = (slot(READER),)
    assert set(found.look([state(atr=UNKNOWN_ATR)])) == {READER}
    assert found.loaded == (Path("/usr/lib/opensc-pkcs11.so"),)
    assert not found.look([state(atr=b"")])
    assert found.loaded == ()


def test_hcas_own_module_on_windows_serves_hca_cards_when_it_sees_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: self.name == "HCAPKCS11.dll")
    [hca] = known(None, "win32")
    assert hca.serves is not None
    assert [hca.serves(atr) for atr in (HCA_ATR, HICOS_ATR, NHI_ATR, UNKNOWN_ATR)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_module_is_asked_again_only_when_a_card_came_or_went_or_its_process_ended(
    pretended: dict[str, Pretended],
) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    module = pretended["first.so"]
    module.slots = (slot(READER),)
    for _ in range(5):
        found.look([state()])
    # That some other program connected shows in the state, and is nothing new.
    found.look([ReaderState(READER, present=True, in_use=True, atr=HCA_ATR, event_counter=1)])
    assert module.asked == 1
    found.look([state(counter=3)])
    assert module.asked == 2
    module.running = False
    found.look([state(counter=3)])
    assert module.asked == 3


def test_who_serves_a_card_is_only_known_for_that_very_card(pretended: dict[str, Pretended]) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    pretended["first.so"].slots = (slot(READER),)
    serving = found.look([state(), state(OTHER)])[READER]
    assert found.known_for(READER, state()) == (True, serving)
    assert found.known_for(OTHER, state(OTHER)) == (True, None)
    assert found.known_for(READER, state(counter=3)) == (False, None)
    assert found.known_for(READER, state(atr=NHI_ATR)) == (False, None)
    assert found.known_for(READER, None) == (False, None)
    pretended["first.so"].running = False
    assert found.known_for(READER, state()) == (False, None)


@pytest.mark.parametrize("failure", [ModuleCrashedError(), ModuleError(0x05)], ids=["crash", "refusal"])
def test_a_module_that_crashes_or_refuses_is_tried_three_times_and_leaves_the_others_alone(
    pretended: dict[str, Pretended], failure: ModuleError
) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED, SECOND)))
    broken, good = pretended["first.so"], pretended["second.so"]
    broken.failures = [failure] * 9
    good.slots = (slot(READER),)
    for _ in range(5):
        assert set(found.look([state()])) == {READER}
    assert broken.asked == 3
    assert [type(view.error) for view in found.views] == [type(failure), type(None)]
    assert [view.readers for view in found.views] == [(), (READER,)]
    found.look([state(counter=3)])
    assert broken.asked == 4


def test_a_module_that_hangs_is_not_waited_for_again_until_a_card_comes_or_goes(
    pretended: dict[str, Pretended],
) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    module = pretended["first.so"]
    module.failures = [ModuleTimeoutError()]
    module.slots = (slot(READER),)
    for _ in range(3):
        assert not found.look([state()])
    assert module.asked == 1
    assert set(found.look([state(counter=3)])) == {READER}
    assert [view.error for view in found.views] == [None]


def test_a_crash_does_not_hand_the_card_to_another_driver(pretended: dict[str, Pretended]) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    module = pretended["first.so"]
    module.slots = (slot(READER),)
    found.look([state()])
    module.running, module.failures = False, [ModuleCrashedError()]
    assert set(found.look([state()])) == {READER}


def test_beside_simulated_readers_no_module_is_loaded() -> None:
    assert not Modules(Pkcs11Settings(modules=(LISTED,)), real=False).any
    assert not Modules(Pkcs11Settings(known=False)).any


def test_after_the_end_no_module_is_loaded_again(pretended: dict[str, Pretended]) -> None:
    found = Modules(Pkcs11Settings(modules=(LISTED,)))
    found.close()
    assert not found.look([state()])
    assert pretended["first.so"].asked == 0
