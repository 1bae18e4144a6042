"""Channels for tests of card applications: a script of literal exchanges, or a simulated card in-process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from pcsc.apdu import Command, Response
from pcsc.apdu_processors import LengthForm, assemble
from pcsc.winscard import VirtualCard

Exchange = tuple[str, str]


class TestChannel:
    """A transaction: leaving the block runs what was promised, last first, and notes whether it failed."""

    __test__ = False

    def __init__(self) -> None:
        self.was_reset = False
        self._actions: list[Callable[[], None]] = []

    def before_end(self, action: Callable[[], None]) -> None:
        self._actions.append(action)

    def end(self) -> None:
        while self._actions:
            try:
                self._actions.pop()()
            except AssertionError:
                raise
            except Exception:
                self.was_reset = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class ScriptedChannel(TestChannel):
    """Answers each command as the script says, and fails on any other or when something is left over.

    Args:
        script: pairs of command and response APDU in hexadecimal, status word last.
    """

    def __init__(self, script: Sequence[Exchange]) -> None:
        super().__init__()
        self._left = [(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in script]
        self.commands: list[Command] = []

    def send(self, command: Command) -> Response:
        self.commands.append(command)
        sent = command.encode().hex(" ")
        assert self._left, f"the script has ended, and {sent} was sent"
        expected, answer = self._left.pop(0)
        assert sent == expected.hex(" "), f"the script expects {expected.hex(' ')}"
        return Response.decode(answer)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            assert not self._left, f"{len(self._left)} exchanges of the script were not made"


class AnsweringChannel(TestChannel):
    """Gives the same answers to whatever is sent, the last one again and again: a deaf card.

    Args:
        answers: responses; the last repeats.
    """

    def __init__(self, answers: Sequence[Response]) -> None:
        super().__init__()
        self._answers = list(answers)
        self.count = 0

    def send(self, command: Command) -> Response:
        self.count += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class CardChannel(TestChannel):
    """A simulated card behind the real APDU processors; `trace` holds every raw command and answer.

    Args:
        card: what `hca_card.simulator.create` made; it is powered on unless told otherwise.
        extended: whether card and reader take extended length.
        power: whether to power the card on first.
    """

    def __init__(self, card: VirtualCard, *, extended: bool | None = None, power: bool = True) -> None:
        super().__init__()
        self._card = card
        self.atr = card.power_on() if power else b""
        self.trace: list[tuple[bytes, bytes]] = []
        self._send = assemble(self._transmit, LengthForm(extended))

    def send(self, command: Command) -> Response:
        return self._send(command)

    @property
    def count(self) -> int:
        """How many APDUs were exchanged."""
        return len(self.trace)

    def sent(self, ins: int) -> list[bytes]:
        """The raw commands of one instruction."""
        return [command for command, _ in self.trace if command[1] == ins]

    def _transmit(self, raw: bytes) -> bytes:
        answer = self._card.transmit(raw)
        self.trace.append((raw, answer))
        return answer
