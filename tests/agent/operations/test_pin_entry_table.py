"""Every source of a PIN, for every command, with everything that can go wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from agent.config import Config, OriginSettings, UnattendedSettings
from agent.errors import error_id
from agent.interaction import ConsentQuestion, KeypadQuestion, NewPinQuestion, PinQuestion, UnblockQuestion
from agent.operations.pin_entry import PinCommand
from agent.pins.kept import KeptPin
from agent.pins.unattended import Grant, Unattended
from agent.vocabulary import Verb
from agent.workers import Workers
from hca_card.pin import Pin
from hca_card.recognise import recognise
from hca_card.simulator.faults import Wrapper
from pcsc.virtual import KeypadPrompt, VirtualReader
from pcsc.winscard import VirtualCard
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import PIN, PORTAL, World, agent, until

ORIGIN: Final = str(PORTAL.origin)
CONFIG: Final = Config(
    origins=OriginSettings(allow=frozenset((ORIGIN,))), unattended=UnattendedSettings(enabled=True)
)
PUK, NEW, WRONG, WRONG_PUK, SHORT = "12345678", "87654321", "999999", "00000000", "1"
SOURCES: Final = ("asked", "keypad", "keyring", "page", "session")
TRIALS: Final = (
    "right",
    "wrong",
    "locked",
    "last try",
    "cancelled",
    "other card",
    "tries changed",
    "pulled",
    "too short",
    "nobody",
    "answer lost",
    "answer unclear",
)
LOST: Final = ("answer lost", "answer unclear")
BEFORE: Final = ("pin.locked", "pin.unavailable")
VERIFY, CHANGE, UNBLOCK = PinCommand.VERIFY, PinCommand.CHANGE, PinCommand.UNBLOCK
SENDS: Final = {VERIFY: 0x20, CHANGE: 0x24, UNBLOCK: 0x2C}


@dataclass(frozen=True)
class Outcome:
    """What a trial comes to.

    Attributes:
        result: `ok` or the id of the error.
        spent: tries of the PIN, or of the PUK, that the card counted.
        ends: the session's PIN is wiped, the keyring's deleted, the page's next one needs the person's yes.
        card: the row in the audit log names the card.
    """

    result: str
    spent: int = 0
    ends: bool = False
    card: bool = True


Trials = dict[str, Outcome | str]
"""What each trial comes to; a text says why there is none."""

ASKED: Final[Trials] = {
    "right": Outcome("ok"),
    "wrong": Outcome("pin.wrong", spent=1),
    "locked": Outcome("pin.locked"),
    "last try": Outcome("ok"),
    "cancelled": Outcome("pin.cancelled"),
    "other card": Outcome("card.changed"),
    "tries changed": Outcome("pin.tries_changed"),
    "pulled": Outcome("card.none"),
    "too short": Outcome("pin.length"),
    "nobody": Outcome("pin.unavailable"),
    "answer lost": Outcome("card.removed", spent=1),
    "answer unclear": Outcome("card.status", spent=1),
}
KEYPAD: Final[Trials] = {**ASKED, "last try": "it is asked for on the screen, where it can be explained"}
PAGE: Final[Trials] = {
    "right": Outcome("ok"),
    "wrong": Outcome("pin.wrong", spent=1, ends=True),
    "locked": Outcome("pin.locked"),
    "last try": Outcome("pin.last_try"),
    "cancelled": "nobody is asked who could cancel",
    "other card": Outcome("card.changed"),
    "tries changed": Outcome("ok"),
    "pulled": Outcome("card.none"),
    "too short": Outcome("pin.length"),
    "nobody": Outcome("ok"),
    "answer lost": Outcome("card.removed", spent=1, ends=True),
    "answer unclear": Outcome("card.status", spent=1, ends=True),
}
SESSION: Final[Trials] = {
    "right": Outcome("ok"),
    "wrong": Outcome("pin.changed_elsewhere", spent=1, ends=True),
    "locked": Outcome("pin.locked", ends=True),
    "last try": Outcome("pin.last_try", ends=True),
    "cancelled": "nobody is asked who could cancel",
    "other card": Outcome("card.changed", ends=True),
    "tries changed": Outcome("ok"),
    "pulled": Outcome("card.none", ends=True),
    "too short": "it was right when it was kept",
    "nobody": Outcome("ok"),
    "answer lost": Outcome("card.removed", spent=1, ends=True),
    "answer unclear": Outcome("card.status", spent=1, ends=True),
}
PUK_OF_ITS_OWN: Final[Trials] = {"locked": Outcome("puk.locked"), "last try": Outcome("ok")}

TABLE: Final[dict[tuple[str, PinCommand], Trials | str]] = {
    ("asked", VERIFY): ASKED,
    ("asked", CHANGE): ASKED,
    ("asked", UNBLOCK): {
        **ASKED,
        **PUK_OF_ITS_OWN,
        "wrong": Outcome("puk.wrong", spent=1),
        "tries changed": Outcome("ok"),
    },
    ("keypad", VERIFY): KEYPAD,
    ("keypad", CHANGE): KEYPAD,
    ("keypad", UNBLOCK): "a keypad forms VERIFY and CHANGE REFERENCE DATA; a PUK is asked for on the screen",
    ("keyring", VERIFY): {
        "right": Outcome("ok"),
        "wrong": Outcome("pin.changed_elsewhere", spent=1, ends=True),
        "locked": Outcome("pin.locked"),
        "last try": Outcome("pin.last_try", ends=True),
        "cancelled": "nobody is asked who could cancel",
        "other card": Outcome("card.changed"),
        "tries changed": Outcome("pin.tries_changed"),
        "pulled": Outcome("card.none"),
        "too short": Outcome("pin.length", ends=True),
        "nobody": Outcome("ok"),
        "answer lost": Outcome("card.removed", spent=1, ends=True),
        "answer unclear": Outcome("card.status", spent=1, ends=True),
    },
    ("keyring", CHANGE): "the keyring keeps PINs for signatures alone",
    ("keyring", UNBLOCK): "the keyring keeps no PUK",
    ("page", VERIFY): {
        **PAGE,
        "other card": "a page's PIN is for the card in the reader",
        "pulled": Outcome("card.none", card=False),
    },
    ("page", CHANGE): PAGE,
    ("page", UNBLOCK): {
        **PAGE,
        **PUK_OF_ITS_OWN,
        "wrong": Outcome("puk.wrong", spent=1, ends=True),
        "locked": Outcome("puk.locked", ends=True),
    },
    ("session", VERIFY): SESSION,
    ("session", CHANGE): {**SESSION, "too short": Outcome("pin.length", ends=True)},
    ("session", UNBLOCK): "a session keeps no PUK",
}


def cells() -> list[Any]:
    return [
        pytest.param(source, command, trial, outcome, id=f"{source} {command.name} {trial}")
        for (source, command), trials in TABLE.items()
        if not isinstance(trials, str)
        for trial, outcome in trials.items()
        if isinstance(outcome, Outcome)
    ]


def test_the_table_has_every_source_command_and_trial_or_says_why_there_is_none() -> None:
    assert set(TABLE) == {(source, command) for source in SOURCES for command in PinCommand}
    for trials in TABLE.values():
        if isinstance(trials, str):
            assert trials
        else:
            assert tuple(trials) == TRIALS
            assert all(trials.values())


class LosesAnswer(Wrapper):
    """A card that is pulled as soon as it has done one command, or answers it with 6F00."""

    def __init__(self, card: VirtualCard, reader: VirtualReader, instruction: int) -> None:
        super().__init__(card)
        self._reader, self._instruction = reader, instruction
        self.armed = ""

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        if self.armed and command[1] == self._instruction and len(command) > 5:
            armed, self.armed = self.armed, ""
            if armed == "answer unclear":
                return bytes.fromhex("6F00")
            self._reader.remove()
        return answer


@dataclass
class Person:
    """Somebody who types what the trial says, or cancels, or is not there."""

    available: bool = True
    cancels: bool = False
    secret: str = PIN
    typed: list[Pin] = field(default_factory=list)
    pointed: int = 0
    pointing: int = 0

    async def ask(self, question: object) -> Any:
        match question:
            case ConsentQuestion():
                return True
            case KeypadQuestion():
                self.pointed += 1
                self.pointing += 1
                try:
                    await asyncio.Event().wait()
                finally:
                    self.pointing -= 1
            case PinQuestion():
                pins = [Pin(self.secret)]
            case NewPinQuestion() | UnblockQuestion():
                pins = [Pin(self.secret), Pin(NEW)]
            case _:
                raise AssertionError(question)
        if self.cancels:
            return None
        self.typed += pins
        return pins[0] if len(pins) == 1 else tuple(pins)

    async def notify(self, zh: str, en: str, errand: object = None) -> None:
        raise AssertionError(en)

    def cards_moved(self, readers: frozenset[str]) -> None:
        pass


class Keyring:
    """A keyring in memory."""

    priority = 5

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get_password(self, _service: str, name: str) -> str | None:
        return self.kept.get(name)

    def set_password(self, _service: str, name: str, password: str) -> None:
        self.kept[name] = password

    def delete_password(self, _service: str, name: str) -> None:
        del self.kept[name]


@dataclass
class Stage:
    """One trial under way."""

    world: World
    source: str
    command: PinCommand
    trial: str
    keyring: Keyring
    secret: str
    serial: str = ""
    kept: KeptPin | None = None
    given: list[Pin] = field(default_factory=list)

    @property
    def left(self) -> int:
        card = self.world.cards[0]
        left = card.puk_tries if self.command is UNBLOCK else card.pin_tries
        assert left is not None
        return left

    def set_left(self, left: int) -> None:
        chip: Any = self.world.cards[0]._chip
        (chip.puk if self.command is UNBLOCK else chip.pin).left = left

    async def prepare(self) -> None:
        """Have the source hold its PIN, and the card in the state of the trial."""
        operations = self.world.operations
        self.serial = (await operations.card(PORTAL)).metadata.serial
        if self.source == "keyring":
            unattended = Unattended(enabled=True, open_keyring=lambda: self.keyring)  # type: ignore[arg-type, return-value]
            unattended.remember(self.serial, Pin(self.secret), Grant((ORIGIN,)))
        if self.source == "session":
            self.kept = await operations.keep_pin(PORTAL, Pin(PIN))
            if self.trial in ("wrong", *LOST):
                with self.world.other_program() as other, other.transaction() as transaction:
                    recognise(transaction, other.atr).change_pin(Pin(PIN), Pin("654321"))
        if self.command is UNBLOCK:
            self.world.cards[0]._chip.pin.left = 0  # type: ignore[union-attr]
        if self.trial == "locked":
            self.set_left(0)
        if self.trial == "last try":
            self.set_left(1)

    def meanwhile(self) -> None:
        """Do what happens to the card after it was looked at, or before the only transaction."""
        reader = self.world.reader
        if self.trial == "other card":
            reader.remove()
            self.world.cards.append(simulated("hpc-last-try"))
            reader.insert(self.world.cards[-1])
        if self.trial == "tries changed":
            self.set_left(self.left - 1)
        if self.trial == "pulled":
            reader.remove()

    async def work(self) -> Any:
        """Do what the source's PIN is for."""
        operations = self.world.operations
        new = Pin(SHORT if (self.source, self.trial) == ("session", "too short") else NEW)
        if self.source == "page":
            self.given = [Pin(self.secret)] if self.command is VERIFY else [Pin(self.secret), new]
        match self.source, self.command:
            case "page", PinCommand.VERIFY:
                return await operations.keep_pin(PORTAL, self.given[0])
            case "page", PinCommand.CHANGE:
                old, new = self.given
                await operations.change_pin(PORTAL, old=old, new=new, serial=self.serial)
            case "page", PinCommand.UNBLOCK:
                puk, new = self.given
                await operations.unblock_pin(PORTAL, puk=puk, new=new, serial=self.serial)
            case "session", PinCommand.CHANGE:
                await operations.change_pin(PORTAL, new=new, kept=self.kept)
            case _, PinCommand.CHANGE:
                await operations.change_pin(PORTAL)
            case _, PinCommand.UNBLOCK:
                await operations.unblock_pin(PORTAL)
            case _, PinCommand.VERIFY:
                await operations.sign(PORTAL, Hash.SHA_256, document=b"form", kept=self.kept)
        return None

    @property
    def ended(self) -> bool:
        """Whether the source may not be used again by itself."""
        match self.source:
            case "session":
                return self.kept is not None and self.kept.wiped
            case "keyring":
                return not self.keyring.kept
        guesses = self.world.operations._workflow.guesses
        wrong, others = (guesses.pins, guesses.puks)[:: -1 if self.command is UNBLOCK else 1]
        assert not others.recent(ORIGIN)
        return wrong.recent(ORIGIN)


def is_verified(card: VirtualCard) -> bool:
    """Whether the card would sign now; it is asked past the readers, so nothing is selected or reset."""
    card.transmit(bytes.fromhex("0022 41 B6 06 800111 840101"))
    digest_info = Hash.SHA_256.digest_info(bytes(32))
    return (
        card.transmit(bytes.fromhex("002A9E9A") + bytes([len(digest_info)]) + digest_info)[-2:] == b"\x90\0"
    )


@pytest.mark.parametrize(("source", "command", "trial", "outcome"), cells())
async def test_a_pin_of_each_source_for_each_command(
    source: str,
    command: PinCommand,
    trial: str,
    outcome: Outcome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = trial in ("wrong", *LOST)
    right, other = (PUK, WRONG_PUK) if command is UNBLOCK else (PIN, WRONG)
    secret = SHORT if trial == "too short" else other if wrong else right
    keyring = Keyring()
    monkeypatch.setattr(
        "agent.pins.unattended.Unattended.__init__.__kwdefaults__", {"open_keyring": lambda: keyring}
    )
    typed: dict[KeypadPrompt, bytes | None] = {
        KeypadPrompt.CURRENT: None if trial == "cancelled" else secret.encode(),
        KeypadPrompt.NEW: NEW.encode(),
        KeypadPrompt.REPEATED: NEW.encode(),
    }
    person = Person(available=trial != "nobody", cancels=trial == "cancelled", secret=secret)
    keypad = typed.get if source == "keypad" else None
    async with agent(tmp_path, "hpc", interaction=person, config=CONFIG, keypad=keypad) as world:
        card = LosesAnswer(world.card, world.reader, SENDS[command])
        world.reader.remove()
        world.reader.insert(card)
        stage = Stage(world, source, command, trial, keyring, secret)
        await stage.prepare()
        if trial == "other card":
            # The PIN itself must know its card, even where the news of its reader comes late.
            monkeypatch.setattr(KeptPin, "ended_by", lambda *_, **__: False)
        before_transaction(monkeypatch, 1 if source in ("page", "session") else 2, stage.meanwhile)
        copies = copied(monkeypatch)
        card.armed = trial if trial in LOST else ""
        left = stage.left - (trial == "tries changed")

        result, value = "ok", None
        try:
            value = await stage.work()
        except Exception as error:
            result = error_id(error)

        assert result == outcome.result
        assert max(left - stage.left, 0) == outcome.spent
        if trial == "pulled" and source == "session":
            await until(lambda: stage.ended)  # by the news of its reader
        assert stage.ended is outcome.ends
        if source == "session":
            assert world.operations._workflow.guesses.pins.recent(ORIGIN) is bool(outcome.spent)
        row = world.audit()[-1]
        assert row.result == result
        assert (
            row.verb
            is {
                VERIFY: Verb.PAGE_PIN if source == "page" else Verb.SIGN,
                CHANGE: Verb.CHANGE_PIN,
                UNBLOCK: Verb.CHANGE_PIN,
            }[command]
        )
        assert row.card == ("*" * (len(row.card) - 4) + stage.serial[-4:] if outcome.card else "")
        looked_at = source in ("asked", "keypad", "keyring") or trial not in ("other card", "pulled")
        assert bool(row.certificate) is row.simulated is looked_at
        assert row.unattended is (source == "keyring")
        # Nothing is left of the PIN but what a session keeps.
        stays = (source, command) in (("page", VERIFY), ("session", CHANGE)) and result == "ok"
        assert sum(not pin.wiped for pin in copies) == stays
        assert all(pin.wiped for pin in person.typed)
        assert (person.pointed, person.pointing) == (source == "keypad" and result not in BEFORE, 0)
        assert not any(pin.wiped for pin in stage.given)
        assert isinstance(value, KeptPin) is ((source, command) == ("page", VERIFY) and result == "ok")
        for each in world.cards:
            assert not is_verified(each)
        if len(world.cards) > 1:
            assert world.cards[1].pin_tries == 1


def before_transaction(monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], None]) -> None:
    """Have something happen just before so many-eth transaction from here on."""
    run, count = Workers.run, 0

    async def counted(self: Workers, *args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            await asyncio.to_thread(happens)
        return await run(self, *args, **more)

    monkeypatch.setattr(Workers, "run", counted)


def copied(monkeypatch: pytest.MonkeyPatch) -> list[Pin]:
    """Return what will have every copy that is made of a PIN from here on."""
    copies: list[Pin] = []
    copy, lock = Pin.copy, threading.Lock()

    def noted(self: Pin) -> Pin:
        pin = copy(self)
        with lock:
            copies.append(pin)
        return pin

    monkeypatch.setattr(Pin, "copy", noted)
    return copies


@pytest.mark.parametrize(
    ("kind", "error"), [("hpc-expired", "certificate.expired"), ("hpc-v1", "card.object_missing")]
)
async def test_a_session_sends_no_pin_for_a_key_that_is_of_no_use(
    kind: str, error: str, tmp_path: Path
) -> None:
    async with agent(tmp_path, kind, config=CONFIG) as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        world.apdus.clear()
        with pytest.raises(Exception, match=r".") as caught:
            if kind == "hpc-v1":
                await world.operations.decrypt(PORTAL, bytes(256), kept=kept)
            else:
                await world.operations.sign(PORTAL, Hash.SHA_256, document=b"form", kept=kept)
        assert error_id(caught.value) == error
        assert not [apdu for apdu in world.apdus if apdu[1] == SENDS[VERIFY] and len(apdu) > 5]
        assert not kept.wiped
