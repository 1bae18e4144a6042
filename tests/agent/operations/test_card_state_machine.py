"""Agent and cards driven together by chance, against a model of ten lines: tries left, PIN, what is verified.

Two cards take turns in one reader; two sites and the person's own command ask, another program verifies and
guesses beside them, the screen is locked, PINs are changed and unblocked. After each step the card must
stand as the model says, and each answer be the one that the model gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.config import Config, OriginSettings
from agent.errors import error_id
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, SigningSession
from agent.vocabulary import SessionEnd
from hca_card.simulator import SimulatedCard
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import OTHER, OWN, PIN, PORTAL, World, agent, until

T = TypeVar("T")
WRONG, PUK = "999999", "12345678"
MOSTLY = st.sampled_from((True, True, True, False))
PINS = (PIN, "654321", "13579246")
CALLERS = (OWN, PORTAL, OTHER)
CONFIG = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin), str(OTHER.origin)))))


@dataclass
class Model:
    """A card as it must stand."""

    pin: str = PIN
    tries: int = 3
    verified: bool = False

    def present(self, pin: str) -> str:
        """The answer to a VERIFY of ours or another program's, which is dropped again where it is ours."""
        if not self.tries:
            return "pin.locked"
        self.verified = False
        self.tries = 3 if pin == self.pin else self.tries - 1
        return "ok" if pin == self.pin else "pin.wrong" if self.tries else "pin.locked"


class CardsAndAgent(RuleBasedStateMachine):
    """The world, and what must be true of it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.person = ScriptedInteraction()
        self.typed: list[str] = []
        self.person._pins = iter(self._type, None)
        self.models = [Model(), Model()]
        self.inside: int | None = 0
        self.sessions: dict[Caller, tuple[SigningSession, int, str]] = {}
        self.folder = tempfile.TemporaryDirectory()

    def _type(self) -> str:
        return self.typed.pop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def ask(self, work: Coroutine[Any, Any, Any]) -> str:
        """`ok`, or the id of the error."""

        async def asked() -> str:
            try:
                async with asyncio.timeout(30):
                    await work
            except Exception as error:
                return error_id(error)
            return "ok"

        return self.run(asked())

    @property
    def model(self) -> Model | None:
        return None if self.inside is None else self.models[self.inside]

    @initialize()
    def begin(self) -> None:
        async def start() -> World:
            return await self.stack.enter_async_context(
                agent(Path(self.folder.name), "hpc", interaction=self.person, config=CONFIG)
            )

        self.world = self.run(start())
        self.cards: list[SimulatedCard] = [self.world.card, simulated("hop")]
        self.run(self._seen())

    async def _seen(self) -> None:
        """Wait until the agent has heard what is in the reader."""
        expected = "empty" if self.inside is None else "card"
        counter = self.world.reader.counter

        async def heard() -> bool:
            [view] = await self.world.operations.readers(OWN)
            return view.condition == expected and view.event_counter == counter

        await until(heard, "the agent did not see the card")

    # Hands

    @rule(doing=st.sampled_from(("move the card", "swap it", "lock the screen")), which=st.integers(0, 1))
    def hands(self, doing: str, which: int) -> None:
        if doing == "lock the screen":
            self.world.operations.forget_pins(SessionEnd.LOCKED)
        elif self.inside is None:
            self._insert(which)
        else:
            inside = self.inside
            self._pull()
            if doing == "swap it":
                self._insert(1 - inside)
        self.sessions.clear()

    def _pull(self) -> None:
        assert self.model is not None
        self.model.verified = False
        self.world.reader.remove()
        self.inside = None
        self.run(self._seen())

    def _insert(self, which: int) -> None:
        self.world.reader.insert(self.cards[which])
        self.inside = which
        self.run(self._seen())

    # The person

    @rule(caller=st.sampled_from(CALLERS), right=MOSTLY)
    def sign(self, caller: Caller, right: bool) -> None:
        pin = self.model.pin if right and self.model else WRONG
        self.typed = [pin]
        expected = "card.none" if self.model is None else self.model.present(pin)
        got = self.ask(self.world.operations.sign(caller, Hash.SHA_256, document=b"document"))
        assert got == expected

    @rule(new=st.sampled_from(PINS), right=MOSTLY)
    def change(self, new: str, right: bool) -> None:
        old = self.model.pin if right and self.model else WRONG
        self.person._pairs = iter([(old, new)])
        expected = "card.none" if self.model is None else self.model.present(old)
        assert self.ask(self.world.operations.change_pin(OWN)) == expected
        if expected == "ok" and self.model is not None:
            self.model.pin = new
            self.sessions.clear()

    @rule(new=st.sampled_from(PINS))
    def unblock(self, new: str) -> None:
        self.person._pairs = iter([(PUK, new)])
        expected = "card.none" if self.model is None else "ok"
        assert self.ask(self.world.operations.unblock_pin(OWN)) == expected
        if self.model is not None:
            self.model.pin, self.model.tries, self.model.verified = new, 3, False
            self.sessions.clear()

    # Sessions

    @rule(caller=st.sampled_from(CALLERS), right=MOSTLY)
    def open_session(self, caller: Caller, right: bool) -> None:
        pin = self.model.pin if right and self.model else WRONG
        self.typed = [pin]
        expected = "card.none" if self.model is None else self.model.present(pin)
        opened: list[SigningSession] = []

        async def work() -> None:
            opened.append(await self.world.operations.open_session(caller, most=250))

        if caller in self.sessions:
            self.sessions.pop(caller)[0].end(SessionEnd.CLOSED)
        assert self.ask(work()) == expected
        if opened and self.inside is not None:
            self.sessions[caller] = (opened[0], self.inside, pin)

    @precondition(lambda self: self.inside is not None)
    @rule(caller=st.sampled_from(CALLERS), times=st.integers(1, 3))
    def sign_in_a_session(self, caller: Caller, times: int) -> None:
        if caller not in self.sessions:
            self.open_session(caller, right=True)
        for _ in range(times if caller in self.sessions else 0):
            session, _, pin = self.sessions[caller]
            model = self.model
            assert model is not None
            expected = "pin.last_try" if model.tries == 1 else model.present(pin)
            if expected == "pin.wrong":
                expected = "pin.changed_elsewhere"
            assert self.ask(session.sign_value(b"document")) == expected
            if expected != "ok":
                del self.sessions[caller]
                assert session.ended is SessionEnd.PIN
                return

    # Another program

    @precondition(lambda self: self.inside is not None)
    @rule(doing=st.sampled_from(("verifies", "guesses", "guesses twice", "changes the PIN")))
    def another_program(self, doing: str) -> None:
        model = self.model
        assert model is not None
        if doing == "changes the PIN":
            new = next(each for each in PINS if each != model.pin)
            chip: Any = self.cards[self.inside or 0]._chip
            chip.pin.replace(new.encode())
            model.pin, model.tries = new, 3
            return
        pin = model.pin if doing == "verifies" else WRONG
        for _ in range(2 if doing == "guesses twice" else 1):
            with self.world.other_program() as other:
                other.transmit(bytes((0x00, 0x20, 0x00, 0x01, len(pin))) + pin.encode())
            model.verified = model.present(pin) == "ok"

    # What must hold

    @invariant()
    def tries_are_as_the_model_says(self) -> None:
        for card, model in zip(getattr(self, "cards", ()), self.models, strict=False):
            assert card.pin_tries == model.tries

    @invariant()
    def no_pin_of_ours_is_left_verified(self) -> None:
        model = self.model
        if model is None or not hasattr(self, "cards"):
            return
        answer = self.cards[self.inside or 0].transmit(bytes.fromhex("00200001"))
        if not model.verified:
            assert answer != b"\x90\x00"

    @invariant()
    def sessions_are_open_as_the_model_says(self) -> None:
        for session, _, _ in self.sessions.values():
            assert session.ended is None
        if hasattr(self, "world"):
            open_ones = {each.number for each in self.world.operations.sessions.open}
            assert {each.number for each, _, _ in self.sessions.values()} <= open_ones

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()


CardsAndAgent.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
class TestCardsAndAgent(CardsAndAgent.TestCase):
    """The machine, as pytest finds it."""
