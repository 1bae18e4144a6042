"""An agent without network: operations over virtual readers with simulated cards, and a person by script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.access.answers import Answers
from agent.access.policy import ConsentAnswer
from agent.audit import AuditLog, AuditRow
from agent.config import Config
from agent.interaction import ConsentQuestion, Interaction, PinQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, Operations, open_operations
from agent.paths import Paths
from agent.vocabulary import Verb
from hca_card.simulator import SimulatedCard
from pcsc.apdu import Command
from pcsc.connection import Connection
from pcsc.service import Service
from pcsc.virtual import KeypadPrompt, VirtualReader, VirtualWinscard
from signing.formats import Evidence
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.waiting import until_async

until = until_async  # the name that the tests of an agent know it by

PORTAL = Caller("https://portal.example.tw", "1")
OTHER = Caller("https://other.example.tw", "1")
OWN = Caller(None)
NONCE = "bm9uY2Utb2YtYXQtbGVhc3QtMzItYnl0ZXMtZm9yLXRlc3Rz"
PIN = "123456"


class Sabotage:
    """A card whose reader suffers something right after a command with this header was answered."""

    def __init__(self, card: object, header: bytes, happens: Callable[[], None]) -> None:
        self._card, self._header, self._happens = card, header, happens

    def power_on(self) -> bytes:
        return self._card.power_on()  # type: ignore[attr-defined, no-any-return]

    def power_off(self) -> None:
        self._card.power_off()  # type: ignore[attr-defined]

    def transmit(self, command: bytes) -> bytes:
        answer: bytes = self._card.transmit(command)  # type: ignore[attr-defined]
        if command.startswith(self._header) and len(command) > 5:
            self._happens()
        return answer


@dataclass
class World:
    """What a test sees: the operations, the readers it moves cards in, and what the person was asked."""

    operations: Operations
    winscard: VirtualWinscard
    service: Service
    readers: list[VirtualReader]
    cards: list[SimulatedCard]
    paths: Paths
    person: ScriptedInteraction | None
    apdus: list[bytes] = field(default_factory=list, repr=False)

    @property
    def reader(self) -> VirtualReader:
        return self.readers[0]

    @property
    def card(self) -> SimulatedCard:
        return self.cards[0]

    @property
    def tries(self) -> int | None:
        return self.card.pin_tries

    def audit(self) -> list[AuditRow]:
        return AuditLog(self.paths.audit, Config().audit).read(100_000)

    def pins_asked(self) -> list[PinQuestion]:
        assert self.person is not None
        return [question for question in self.person.questions if isinstance(question, PinQuestion)]

    def consents_asked(self) -> list[Verb]:
        assert self.person is not None
        return [question.verb for question in self.person.questions if isinstance(question, ConsentQuestion)]

    @contextmanager
    def other_program(self, reader: str | None = None) -> Iterator[Connection]:
        """A connection of another program to the same card."""
        with self.service.context() as context, Connection(context, reader or self.reader.name) as connection:
            yield connection

    def other_program_signs(self) -> int:
        """What the card answers another program that would sign with what we left behind."""
        with self.other_program() as other, other.transaction() as transaction:
            # No SELECT: whatever state we left would still be there.
            transaction.send(Command(0x00, 0x22, 0x41, 0xB6, bytes.fromhex("800111840101")))
            signing = Command(0x00, 0x2A, 0x9E, 0x9A, Hash.SHA_256.digest_info(bytes(32)), le=256)
            return transaction.send(signing).sw


class Spy:
    """A card in its sleeve: everything that is said to it is kept."""

    def __init__(self, card: SimulatedCard, apdus: list[bytes]) -> None:
        self.card = card
        self.apdus = apdus

    def power_on(self) -> bytes:
        return self.card.power_on()

    def power_off(self) -> None:
        self.card.power_off()

    def transmit(self, command: bytes) -> bytes:
        self.apdus.append(command)
        return self.card.transmit(command)


@asynccontextmanager
async def agent(
    folder: Path,
    *kinds: str,
    interaction: Interaction | None = None,
    config: Config | None = None,
    keypad: Callable[[KeypadPrompt], bytes | None] | None = None,
    evidence: Evidence | None = None,
    answered: Iterable[Caller] = (),
    names: tuple[str, ...] = ("ACS ACR39U 00 00", "Generic EMV Smartcard Reader 01 00", "Alcor AU9540 02 00"),
) -> AsyncIterator[World]:
    """One reader for each of `kinds`, an empty string for an empty one; `keypad` types on their keypads.

    The person has said yes to everything that the `answered` ask for.
    """
    winscard = VirtualWinscard()
    service = Service(winscard)
    person = interaction if interaction is not None else ScriptedInteraction(pins=[PIN] * 20)
    apdus: list[bytes] = []
    readers, cards = [], []
    for name, kind in zip(names, kinds, strict=False):
        readers.append(winscard.add_reader(name, pin_pad=keypad))
        if kind:
            cards.append(simulated(kind))
            readers[-1].insert(Spy(cards[-1], apdus))
    paths = Paths(folder / "home", folder / "machine")
    paths.make()
    yes = ConsentAnswer(allowed=True, until=datetime.now(UTC) + timedelta(days=1))
    for caller in answered:
        Answers(paths.answers).remember(str(caller.origin), tuple(Verb), yes)
    async with open_operations(service, person, config or Config(), paths, evidence=evidence) as operations:
        scripted = person if isinstance(person, ScriptedInteraction) else None
        yield World(operations, winscard, service, readers, cards, paths, scripted, apdus)


async def card_in(operations: Operations, reader: str) -> None:
    """Return when there is a card in the reader of that name."""

    async def there() -> bool:
        return any(
            (view.name, view.condition) == (reader, "card") for view in await operations.readers(PORTAL)
        )

    await until_async(there, f"no card in {reader}")
