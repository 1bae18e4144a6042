"""The fault table: every operation, every command that it sends, everything that can go wrong there.

Whatever the fault, the outcome is success or an error with words; no operation hangs past its limit, no PIN
is sent more often than somebody typed it, none is left verified, and the next operation works.

Of the commands that only select or read (a certificate takes dozens) the first, the middle one and the last
of each instruction stand for all.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import pytest

from agent.config import CardSettings, Config
from agent.errors import ErrorId, error_id
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import SigningSession
from agent.selftest.probes import card as rows_of_a_card
from agent.vocabulary import SessionEnd
from hca_card.pin import Pin
from hca_card.simulator.faults import Wrapper
from pcsc.virtual import VirtualReader
from pcsc.winscard import VirtualCard
from signing.cipher import encrypt
from signing.formats import SignatureFormat
from signing.formats.choice import Options, form_for
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import NONCE, OWN, PIN, PORTAL, World, agent, until
from tests.support.selftest import context_of, rows_of

PUK, NEW = "12345678", "654321"
READER: Final = "ACS ACR39U 00 00"
LIMIT: Final = 0.3
"""Seconds that a visit may take where the fault is a card that takes longer."""
HANGS: Final = 30.0
WITH_PIN: Final = (0x20, 0x24, 0x2C)
MORE: Final = bytes.fromhex("61FF")
READING: Final = (0xA4, 0xB0, 0xB2, 0xC0, 0xCA)
"""SELECT, READ BINARY, READ RECORD, GET RESPONSE, GET DATA: a certificate alone takes dozens of them."""
FORM: Final = form_for(SignatureFormat.CADES, b"", Options())

Operate = Callable[["Stage"], Awaitable[object]]
Fault = Callable[["Stage", bytes], bytes]


class Saboteur(Wrapper):
    """A card in its sleeve, to which the armed fault happens at the command of that number."""

    def __init__(self, card: VirtualCard) -> None:
        super().__init__(card)
        self.sent: list[bytes] = []
        self.fault: Callable[[bytes], bytes] | None = None
        self.at = -1
        self.endless = False

    def begin(self, at: int = -1, fault: Callable[[bytes], bytes] | None = None) -> None:
        self.sent, self.at, self.fault, self.endless = [], at, fault, False

    def inside(self, command: bytes) -> bytes:
        return super().transmit(command)

    def transmit(self, command: bytes) -> bytes:
        number = len(self.sent)
        self.sent.append(command)
        if self.endless and command[1] == 0xC0:
            return MORE
        if self.fault is not None and number == self.at:
            return self.fault(command)
        return self.inside(command)


@dataclass
class Stage:
    """One kind of card in one reader, and what is done with it."""

    world: World
    card: Saboteur
    chip: Any
    kind: str
    person: ScriptedInteraction
    slow: threading.Event = field(default_factory=threading.Event)
    session: SigningSession | None = None
    cipher: bytes = b""

    @property
    def reader(self) -> VirtualReader:
        return self.world.readers[0]

    # The faults: each is given the command, and gives what the reader gives.

    def pulled(self, _command: bytes) -> bytes:
        self.reader.remove()
        return b""

    def pulled_after(self, command: bytes) -> bytes:
        answer = self.card.inside(command)
        self.reader.remove()
        return answer

    def swapped(self, _command: bytes) -> bytes:
        self.reader.remove()
        self.reader.insert(simulated("hop"))
        return b""

    def reset(self, _command: bytes) -> bytes:
        self.reader.reset_by_other_program()
        return b""

    def unplugged(self, _command: bytes) -> bytes:
        self.reader.unplug()
        return b""

    def service_killed(self, _command: bytes) -> bytes:
        self.world.winscard.stop_service()
        return b""

    def command_lost(self, _command: bytes) -> bytes:
        return b""

    def answer_lost(self, command: bytes) -> bytes:
        self.card.inside(command)
        return b""

    def short(self, command: bytes) -> bytes:
        return self.card.inside(command)[:1]

    def cut(self, command: bytes) -> bytes:
        return self.card.inside(command)[:-1]

    def unknown_status(self, command: bytes) -> bytes:
        return self.card.inside(command)[:-2] + bytes.fromhex("6F00")

    def refused(self, _command: bytes) -> bytes:
        return bytes.fromhex("6985")

    def nonsense(self, command: bytes) -> bytes:
        return bytes(len(self.card.inside(command)) - 2) + b"\x90\x00"

    def endless(self, _command: bytes) -> bytes:
        self.card.endless = True
        return MORE

    def late(self, command: bytes) -> bytes:
        self.slow.wait(HANGS)
        return self.card.inside(command)

    # What a cell asks of its stage; `test_fault_table_modules.py` has another one.

    def begin(self, at: int = -1, fault: Fault | None = None) -> None:
        """Count commands anew; the fault happens at the one of number `at`."""
        self.card.begin(at, None if fault is None else lambda command: fault(self, command))

    def sendings(self, sent: list[bytes]) -> int:
        """How many of the commands had a PIN."""
        return sum(command[1] in WITH_PIN and len(command) > 5 for command in sent)

    def left_verified(self, sent: list[bytes]) -> bool:
        """Whether the card says of a PIN that was verified that it still is (an empty VERIFY)."""
        verified = {command[:4] for command in sent if command[1] == 0x20 and len(command) > 5}
        return any(self.card.inside(header) == b"\x90\x00" for header in verified)

    def next_operation(self, operate: Operate) -> Operate:
        """What must work after a cell."""
        return read if operate in OF_ANY or self.kind in ("hicos-2", "nhi") else sign

    # What everything is put back to.

    async def restore(self) -> None:
        self.slow.set()
        if not self.world.winscard.running:
            self.world.winscard.start_service()
        if not self.reader.plugged:
            self.world.readers[0] = self.world.winscard.add_reader(READER)
        if self.reader.card is not self.card:
            self.reader.remove()
            self.reader.insert(self.card)
        self.card.begin()
        if hasattr(self.chip, "pin"):
            self.chip.pin.replace(PIN.encode())
            self.chip.puk.replace(PUK.encode())
        await until(self.there, f"no card in {READER}")

    def wait_for_the_card(self) -> None:
        """Return when no transaction of ours holds it."""
        with self.world.other_program(READER) as other, other.transaction():
            pass

    async def there(self) -> bool:
        views = await self.world.operations.readers(OWN)
        return any((view.name, view.condition) == (READER, "card") for view in views)


FAULTS: Final[tuple[Fault, ...]] = (
    Stage.pulled,
    Stage.pulled_after,
    Stage.swapped,
    Stage.reset,
    Stage.unplugged,
    Stage.service_killed,
    Stage.command_lost,
    Stage.answer_lost,
    Stage.short,
    Stage.cut,
    Stage.unknown_status,
    Stage.refused,
    Stage.nonsense,
    Stage.endless,
)


# The operations


async def read(stage: Stage) -> object:
    return await stage.world.operations.card(OWN)


async def certificates(stage: Stage) -> object:
    return await stage.world.operations.certificates(OWN)


async def log_in(stage: Stage) -> object:
    return await stage.world.operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin))


async def sign(stage: Stage) -> object:
    return await stage.world.operations.sign(OWN, Hash.SHA_256, document=b"document")


async def sign_document(stage: Stage) -> object:
    return await stage.world.operations.sign_document(OWN, FORM, b"document")


async def decrypt(stage: Stage) -> object:
    return await stage.world.operations.decrypt(OWN, stage.cipher)


async def change(stage: Stage) -> object:
    return await stage.world.operations.change_pin(OWN)


async def unblock(stage: Stage) -> object:
    return await stage.world.operations.unblock_pin(OWN)


async def open_session(stage: Stage) -> object:
    session = await stage.world.operations.open_session(OWN)
    session.end(SessionEnd.CLOSED)
    return session


async def batch_item(stage: Stage) -> object:
    assert stage.session is not None
    return await stage.session.sign(FORM, b"document")


async def keep_pin(stage: Stage) -> object:
    kept = await stage.world.operations.keep_pin(OWN, Pin(PIN))
    kept.wipe()
    return kept


SELF_TEST: Final = (rows_of_a_card.PIN_ROW, rows_of_a_card.SPEED_ROW, *rows_of_a_card.HCA_ROWS)


async def self_test(stage: Stage) -> object:
    """All rows that use the card; whatever fails in one is its own row, in words."""
    rows = await rows_of(context_of(stage.world), SELF_TEST)
    for row in rows:
        if row.error is not None and row.error.id not in set(ErrorId) - {ErrorId.INTERNAL}:
            raise AssertionError(row.id)
    return rows


OF_ANY: Final[tuple[Operate, ...]] = (read, certificates)
WITH_KEYS: Final[tuple[Operate, ...]] = (
    *OF_ANY,
    log_in,
    sign,
    sign_document,
    decrypt,
    change,
    open_session,
    batch_item,
    keep_pin,
    self_test,
    unblock,
)
PIN_OF_ITS_OWN: Final[dict[Operate, int]] = {batch_item: 1, keep_pin: 1, self_test: 3}
"""How often an operation may send a PIN that is kept: the self-test verifies it, signs and decrypts."""

TABLE: Final[dict[str, tuple[Operate, ...]]] = {
    "hpc": WITH_KEYS,
    "citizen": WITH_KEYS,
    "pkcs15-p256": (sign, change, unblock, batch_item),
    "hicos-2": (*OF_ANY, sign, change, unblock, open_session, self_test),
    "nhi": (*OF_ANY, sign, change, unblock, open_session, self_test),
}
"""What is done with each kind of card; HiCOS without its module and NHI cards sign nothing, and say so."""
NEVER: Final = ("card.hicos_module", "card.unsupported")


def representatives(commands: list[bytes]) -> list[int]:
    """The numbers of the commands that stand for all: of those that select or read, some; of others, all."""
    numbers = {number for number, command in enumerate(commands) if command[1] not in READING}
    for instruction in READING:
        same = [number for number, command in enumerate(commands) if command[1] == instruction]
        if same:
            numbers |= {same[0], same[len(same) // 2], same[-1]}
    return sorted(numbers)


async def staged(world: World, kind: str, person: ScriptedInteraction) -> Stage:
    card = world.cards[0]
    world.reader.remove()
    sleeve = Saboteur(card)
    world.reader.insert(sleeve)
    stage = Stage(world, sleeve, card._chip, kind, person)
    await stage.restore()
    return stage


async def outcome(stage: Stage, operate: Operate, seconds: float = HANGS) -> str:
    """`ok`, or the id of the error; a hang fails the test."""
    try:
        async with asyncio.timeout(seconds):
            await operate(stage)
    except TimeoutError:
        return "HANGS"
    except Exception as error:
        return error_id(error)
    return "ok"


async def cell(stage: Any, operate: Operate, at: int, fault: Any) -> list[str]:
    """Run one cell; return what is wrong with it."""
    wrong = []
    if operate is batch_item and (stage.session is None or stage.session.ended is not None):
        stage.session = await stage.world.operations.open_session(OWN)
    asked = len(stage.person.questions)
    stage.begin(at, fault)
    result = await outcome(stage, operate)
    if result != "ok" and (result not in set(ErrorId) or result == ErrorId.INTERNAL):
        wrong.append(result)
    typed = sum(type(question).__name__ != "ConsentQuestion" for question in stage.person.questions[asked:])
    may_send = max(typed, PIN_OF_ITS_OWN.get(operate, 0))
    sent = stage.card.sent
    if stage.sendings(sent) > may_send:
        wrong.append(f"{stage.sendings(sent)} PINs sent, {may_send} typed")
    await stage.restore()
    if fault is Stage.late:  # what was given up goes on until the card has answered
        await asyncio.to_thread(stage.wait_for_the_card)
    if stage.left_verified(sent):
        wrong.append("the PIN was left verified")
    again = await outcome(stage, stage.next_operation(operate))
    if again != "ok":
        wrong.append(f"the next operation: {again}")
    return wrong


CELLS: Final = [
    pytest.param(kind, operate, id=f"{kind} {operate.__name__}")  # type: ignore[attr-defined]
    for kind, operations in TABLE.items()
    for operate in operations
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "operate"), CELLS)
async def test_whatever_happens_at_whichever_command_the_outcome_is_words_and_the_next_operation_works(
    tmp_path: Path, kind: str, operate: Operate, record_property: Callable[[str, object], None]
) -> None:
    person = ScriptedInteraction(pins=repeat(PIN), pairs=pairs_for(operate))
    wrong: list[str] = []
    count = 0
    async with agent(tmp_path, kind, interaction=person, answered=(PORTAL,)) as world:
        stage = await staged(world, kind, person)
        if operate is decrypt:
            stage.cipher = encrypt(await world.operations.encryption_certificate(OWN), b"plain")
        if operate is batch_item:
            stage.session = await world.operations.open_session(OWN)
        stage.card.begin()
        usual = await outcome(stage, operate)
        commands = list(stage.card.sent)
        assert usual == "ok" or (usual in NEVER and kind in ("hicos-2", "nhi"))
        assert commands
        await stage.restore()
        for at in representatives(commands):
            for fault in FAULTS:
                count += 1
                for complaint in await cell(stage, operate, at, fault):
                    wrong.append(
                        f"command {at} {commands[at][:4].hex()}, {fault.__name__}: {complaint}"  # type: ignore[attr-defined]
                    )
    record_property("cells of the fault table", count)
    assert not wrong, "\n".join(wrong)


def pairs_for(operate: Operate) -> Iterator[tuple[str, str]]:
    return repeat((PUK if operate is unblock else PIN, NEW))


LATE: Final = [
    pytest.param(operate, id=operate.__name__)  # type: ignore[attr-defined]
    for operate in (read, sign, change, batch_item)
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("operate", LATE)
async def test_a_card_that_takes_longer_than_the_limit_ends_in_words_and_the_next_operation_works(
    tmp_path: Path, operate: Operate, record_property: Callable[[str, object], None]
) -> None:
    person = ScriptedInteraction(pins=repeat(PIN), pairs=pairs_for(operate))
    config = Config(card=CardSettings(seconds=LIMIT))  # type: ignore[arg-type]
    wrong: list[str] = []
    count = 0
    async with agent(tmp_path, "hpc", interaction=person, config=config) as world:
        stage = await staged(world, "hpc", person)
        if operate is batch_item:
            stage.session = await world.operations.open_session(OWN)
        stage.card.begin()
        await operate(stage)
        commands = list(stage.card.sent)
        await stage.restore()
        picked = representatives(commands)
        for at in {picked[0], picked[len(picked) // 2], picked[-1]}:
            count += 1
            stage.slow.clear()
            wrong += [f"command {at}: {each}" for each in await cell(stage, operate, at, Stage.late)]
    record_property("cells of the fault table", count)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("operate", [log_in, sign, sign_document, change, open_session, batch_item])
async def test_another_program_between_two_transactions_changes_nothing_but_words(
    tmp_path: Path, operate: Operate, record_property: Callable[[str, object], None]
) -> None:
    """Another program verifies, selects, guesses or resets the card while the person types."""
    meddling: dict[str, tuple[Callable[[Any], None], set[str]]] = {
        "verifies": (lambda other: other.transmit(bytes.fromhex("0020000106313233343536")), {"ok"}),
        "selects": (lambda other: other.transmit(bytes.fromhex("00A40000023F00")), {"ok"}),
        "guesses": (
            lambda other: other.transmit(bytes.fromhex("0020000106303030303030")),
            {"ok", "pin.tries_changed"},
        ),
        "resets": (lambda _other: None, {"ok"}),
    }
    person = MeddledPerson(pins=repeat(PIN), pairs=pairs_for(operate))
    async with agent(tmp_path, "hpc", interaction=person, answered=(PORTAL,)) as world:
        stage = await staged(world, "hpc", person)
        for name, (meddle, expected) in meddling.items():

            def meanwhile(name: str = name, meddle: Callable[[Any], None] = meddle) -> None:
                with world.other_program() as other:
                    meddle(other)
                if name == "resets":
                    stage.reader.reset_by_other_program()

            if operate is batch_item:
                stage.session = await world.operations.open_session(OWN)
                meanwhile()
            else:
                person.meanwhile = meanwhile
            result = await outcome(stage, operate)
            person.meanwhile = None
            assert result in expected, name
            await stage.restore()
            assert await outcome(stage, sign) == "ok", name
    record_property("cells of the fault table", len(meddling))


class MeddledPerson(ScriptedInteraction):
    """Somebody who types while another program is at work."""

    meanwhile: Callable[[], None] | None = None

    async def ask(self, question: Any) -> Any:
        if self.meanwhile is not None:
            await asyncio.to_thread(self.meanwhile)
        return await super().ask(question)
