"""The one way to a card that is being probed: a list of what may be sent, and an end to everything.

The list is checked on the bytes that go to the card, after every other piece of the program has had its say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

from pcsc.apdu import Command, Response
from pcsc.apdu_processors import LengthForm, Transmit, assemble
from pcsc.errors import MalformedResponseError
from pcsc.trace import Observe

CPLC: Final = 0x9F7F
"""Card production life cycle data (GlobalPlatform)."""

DATA_OBJECTS: Final = frozenset({CPLC, 0x0042, 0x0045, 0x0066, 0x0067, 0x00E0, 0x2F00, 0x5F52, 0x7F66})
"""Tags that GET DATA may name: CPLC; issuer and card identification number, card data, card capability, which
keys, which applications (GlobalPlatform); historical bytes, extended length (ISO/IEC 7816-4)."""

SCANNED_FOR_NHI: Final = tuple(p1 << 8 for p1 in (0x00, 0x10, 0x11, 0x12, *range(0x20, 0x27)))
"""P1 P2 that GET DATA may name with the two bytes of data that NHI cards want: those that are known (00 the
number, 11 basic data, 24 status; 21 is said to be there) and their neighbours."""

SCANNED: Final = tuple(range(0x0100, 0x0110))
"""P1 P2 that GET DATA may name without data: the first that ISO/IEC 7816-4 §11.5.3 leaves to applications."""

_FILE_SELECTIONS: Final = frozenset({0x00, 0x01, 0x02, 0x03, 0x04, 0x08, 0x09})
_HICOS_LE: Final = 0xC8


class ForbiddenCommandError(Exception):
    """Not on the list; nothing was sent. A fault of this program, never of the card."""


class ProbeLimitError(Exception):
    """The probe has sent, received or waited as much as it may."""

    error_id: ClassVar[str] = "probe.limit"


class StepLimitError(Exception):
    """One step of the probe has sent as much as it may; the next one may go on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a probe ends, whatever the card answers.

    Attributes:
        commands: command APDUs in all, GET RESPONSE included.
        step_commands: command APDUs in one step.
        received: bytes received in all.
        seconds: from the first command; looked at before each.
    """

    commands: int = 1500
    step_commands: int = 250
    received: int = 512 * 1024
    seconds: float = 120.0


class OnlyReads:
    """A `hca_card.model.Channel` that sends nothing but SELECT, READ, GET DATA and GET RESPONSE.

    Args:
        transmit: exchanges one raw APDU.
        limits: where it ends.
        observe: called with every exchange.
        clock: seconds.

    Attributes:
        commands: command APDUs sent so far.
    """

    def __init__(
        self,
        transmit: Transmit,
        limits: Limits | None = None,
        observe: Observe | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transmit = transmit
        self._limits = limits or Limits()
        self._clock = clock
        self._begun: float | None = None
        self._received = 0
        self._step_end: int | None = None
        # Whether what is sent next was brought about by an answer, such as 6CXX, and not by this program.
        self._by_card = False
        self.commands = 0
        # Short APDUs only: whether a card takes others is nothing to be found out by trying.
        self._send = assemble(self._guarded, LengthForm(extended=False), observe)

    def send(self, command: Command) -> Response:
        """As `Channel.send`.

        Raises:
            ForbiddenCommandError: not on the list.
            MalformedResponseError: the card asks for a form of it that is not on the list.
            ProbeLimitError, StepLimitError: a limit is reached.
        """
        self._by_card = False
        return self._send(command)

    def before_end(self, action: Callable[[], None]) -> None:
        """There is never a state to undo: what would need it cannot be sent."""
        raise ForbiddenCommandError("a probe makes no state that would have to be undone")

    @contextmanager
    def step(self) -> Iterator[None]:
        """Within the block no more than `Limits.step_commands` are sent; the innermost block counts."""
        self._step_end = self.commands + self._limits.step_commands
        try:
            yield
        finally:
            self._step_end = None

    def _guarded(self, raw: bytes) -> bytes:
        try:
            require_reading(raw)
        except ForbiddenCommandError:
            if self._by_card:
                raise MalformedResponseError(detail="the card asks for what a probe may not send") from None
            raise
        self._by_card = True
        now = self._clock()
        if self._begun is None:
            self._begun = now
        limits = self._limits
        if self.commands >= limits.commands:
            raise ProbeLimitError(f"{limits.commands} commands were sent")
        if self._received > limits.received:
            raise ProbeLimitError(f"{limits.received} bytes were received")
        if now - self._begun > limits.seconds:
            raise ProbeLimitError(f"{limits.seconds:g} seconds have passed")
        if self._step_end is not None and self.commands >= self._step_end:
            raise StepLimitError(f"{limits.step_commands} commands were sent in one step")
        self.commands += 1
        answer = self._transmit(raw)
        self._received += len(answer)
        return answer


def require_reading(raw: bytes) -> None:
    """Return if `raw` is a command APDU that a probe may send.

    Raises:
        ForbiddenCommandError: it is not.
    """
    try:
        command = Command.decode(raw)
    except ValueError:
        raise ForbiddenCommandError("not a command APDU") from None
    # In the one short form only: what a card makes of another is not this program's to find out.
    if raw != command.encode() or not command.fits_short or not _reads(command):
        raise ForbiddenCommandError(f"{command.header.hex(' ')} is not on the list of what a probe may send")


def _reads(command: Command) -> bool:
    data, name = command.data, command.p1 << 8 | command.p2
    match command.cla, command.ins:
        case 0x00, 0xA4:
            return command.p1 in _FILE_SELECTIONS and command.p2 in (0x00, 0x04, 0x0C) and len(data) <= 16
        case 0x00, 0xB0 | 0xB2:
            return not data and command.le is not None
        case ((0x00 | 0x80), 0xC0):
            return not data and not name
        case 0x00, 0xCA:
            nhi = name in SCANNED_FOR_NHI and data == b"\x00\x00"
            return nhi or (not data and (name in DATA_OBJECTS or name in SCANNED))
        case 0x80, 0xCA:
            return name in DATA_OBJECTS and not data
        # Class 80 means whatever a card's maker wants, so these two are exactly what HiCOS cards take.
        case 0x80, 0xA4:
            return not name and len(data) == 2 and command.le is None
        case 0x80, 0xB0:
            return not data and command.le == _HICOS_LE and command.p1 < 0x80
    return False
