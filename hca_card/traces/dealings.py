"""One command and its answer as every reader of traces gives them: masked before anything else sees them.

A `Talk` takes the bytes of one reader's commands and answers in their order, puts together what was sent in
pieces (command chaining, GET RESPONSE, a command repeated after 6Cxx), and tells a `Dealing` for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hca_card.traces.secrets import PinShape, Secrets, shape_of
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord
from pcsc.trace import Exchange

VERIFY: Final = 0x20
CHANGE: Final = 0x24
RESET_RETRY: Final = 0x2C
MANAGE_SECURITY_ENVIRONMENT: Final = 0x22
PERFORM_SECURITY_OPERATION: Final = 0x2A
INTERNAL_AUTHENTICATE: Final = 0x88
SELECT: Final = 0xA4
READ_BINARY: Final = 0xB0
READ_RECORD: Final = 0xB2
GET_DATA: Final = 0xCA
GET_RESPONSE: Final = 0xC0
ENVELOPE: Final = 0xC2

PIN_COMMANDS: Final = frozenset({0x20, 0x21, 0x24, 0x25, 0x26, 0x28, 0x2C, 0x2D})
"""VERIFY, CHANGE REFERENCE DATA, DISABLE and ENABLE VERIFICATION, RESET RETRY COUNTER, of any class."""

INSTRUCTIONS: Final = {
    0x20: "VERIFY", 0x22: "MANAGE SECURITY ENVIRONMENT", 0x24: "CHANGE REFERENCE DATA",
    0x2A: "PERFORM SECURITY OPERATION", 0x2C: "RESET RETRY COUNTER", 0x46: "GENERATE ASYMMETRIC KEY PAIR",
    0x47: "GENERATE ASYMMETRIC KEY PAIR", 0x50: "INITIALIZE UPDATE", 0x70: "MANAGE CHANNEL",
    0x82: "EXTERNAL AUTHENTICATE", 0x84: "GET CHALLENGE", 0x86: "GENERAL AUTHENTICATE",
    0x87: "GENERAL AUTHENTICATE", 0x88: "INTERNAL AUTHENTICATE", 0xA4: "SELECT", 0xB0: "READ BINARY",
    0xB1: "READ BINARY", 0xB2: "READ RECORD",
    0xC0: "GET RESPONSE", 0xC2: "ENVELOPE", 0xCA: "GET DATA", 0xCB: "GET DATA", 0xD6: "UPDATE BINARY",
    0xDA: "PUT DATA", 0xDB: "PUT DATA", 0xDC: "UPDATE RECORD", 0xF2: "GET STATUS",
}  # fmt: skip
"""The instructions that have a name (ISO/IEC 7816-4, GlobalPlatform)."""

_KEPT_DATA: Final = frozenset({SELECT, MANAGE_SECURITY_ENVIRONMENT, GET_DATA, 0xCB})
_KEPT_ANSWERS: Final = frozenset({SELECT, READ_BINARY, READ_RECORD, GET_DATA, 0xCB})
_INPUT_MOST: Final = 0xFFFF
_CHAINED: Final = 0x10
CUT: Final = (
    "紀錄有缺：有些指令或回應只記了一部分，已略過",
    "the trace is cut: some commands or answers are there in part only and are left out",
)
_DIGEST_LENGTHS: Final = frozenset({20, 28, 32, 48, 64})
_KEY_STEP: Final = 64
"""Lengths of RSA keys are multiples of so many bytes."""

_INDICATOR_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Dealing:
    """One command and what came back.

    Attributes:
        header: CLA INS P1 P2; the class without the bit for chaining.
        data: of a command whose data can be no secret: SELECT, MANAGE SECURITY ENVIRONMENT, GET DATA.
        lc: bytes of command data; None of a secret.
        le: bytes asked for.
        answer: of SELECT, READ and GET DATA; empty for all others.
        length: bytes of response data.
        sw: status word; None where no answer was recorded.
        shape: how the PIN is written that it holds.
        keypad: the reader's keypad put the PIN in.
        empty: a PIN command without data: a question, no try.
        secure: under secure messaging.
        piece: bytes of the longest piece, where the command came in several; else 0.
        input: what a key was given, in words: `DigestInfo`, `digest`, `block`, `data`.
        indicator: what stands before a block of the length of a key.
    """

    header: bytes
    data: bytes = b""
    lc: int | None = 0
    le: int | None = None
    answer: bytes = b""
    length: int = 0
    sw: int | None = None
    shape: PinShape | None = None
    keypad: bool = False
    empty: bool = False
    secure: bool = False
    piece: int = 0
    input: str = ""
    indicator: bytes = b""

    @property
    def ins(self) -> int:
        """The instruction."""
        return self.header[1]

    @property
    def name(self) -> int:
        """P1 and P2 as one number."""
        return self.header[2] << 8 | self.header[3]

    @property
    def ok(self) -> bool:
        """Whether the card did it; 62xx are warnings."""
        return self.sw is not None and (self.sw == StatusWord.SUCCESS or self.sw >> 8 == 0x62)

    def exchange(self) -> Exchange:
        """Return it as traces of this program tell it."""
        shown = self.ins in _KEPT_DATA and not self.secure
        return Exchange(
            header=self.header,
            lc=self.lc,
            data=self.data if shown else None,
            le=self.le,
            sw=self.sw,
            length=self.length,
            answer=self.answer if self.ins == SELECT else None,
            seconds=0.0,
            failure="" if self.sw is not None else "not recorded",
        )


def is_secure(cla: int) -> bool:
    """Return whether a class byte says secure messaging (ISO/IEC 7816-4 §5.4.1, GlobalPlatform's 84)."""
    if cla == 0xFF:
        return False
    return bool(cla & 0x20) if cla & 0xC0 == 0x40 else bool(cla & 0x0C)


class Talk:
    """The commands and answers in one slot of a reader, in their order.

    Args:
        secrets: takes note of PINs.
        tell: is given each dealing.
    """

    def __init__(self, secrets: Secrets, tell: Callable[[Dealing], None]) -> None:
        self._secrets = secrets
        self._tell = tell
        self._begun: Dealing | None = None
        self._input = bytearray()
        self._chain: bytes = b""
        self._piece = 0
        self._open: Dealing | None = None
        self._output = bytearray()
        self._more: Dealing | None = None
        self._announced = 0
        self.torn = 0
        self.unanswered = 0

    def reset(self) -> None:
        """Forget what was under way: the card was powered or reset."""
        self.end()
        self._chain, self._piece, self._announced, self._open = b"", 0, 0, None
        self._wipe()

    def end(self) -> None:
        """Tell of what has no answer."""
        self._finish()
        self._end_piece()
        if self._begun is not None:
            self.unanswered += 1
            self._tell(self._begun)
            self._begun = None

    def _end_piece(self) -> None:
        """Tell of what began as a piece and was none: class 90 can be a class as any other."""
        if self._open is not None and self._open.header[0] & 0x80:
            self._tell(self._open)
        self._open = None

    def command(self, raw: bytes) -> None:
        """Take a command APDU, or a piece of one."""
        if self._announced:
            self._rest_of_pin(raw)
            return
        try:
            command = Command.decode(raw)
        except ValueError:
            self._not_a_command(raw)
            return
        if command.ins not in INSTRUCTIONS and not command.data and raw.hex().isdecimal():
            return  # digits that are no command that anybody knows: a PIN in a log's own words, perhaps
        if self._begun is not None and not self._chain:
            self.end()
        if command.ins == GET_RESPONSE and self._more is not None:
            self._begun = None
            return
        self._finish()
        self._take(command)
        if command.ins in PIN_COMMANDS and len(raw) == 5 and raw[4] and self._begun is not None:
            # T=0: the header alone, and the PIN is in what follows, unless whoever recorded left it out.
            self._announced = raw[4]
            self._begun = replace(self._begun, le=None, empty=False)

    def keypad(self, header: bytes, shape: PinShape | None) -> None:
        """Take a PIN entry on the reader's keypad."""
        self.end()
        self._begun = Dealing(header, lc=None, shape=shape, keypad=True)

    def response(self, raw: bytes) -> None:
        """Take the answer to the last command."""
        if self._announced and len(raw) == 1:
            return  # a procedure byte of T=0
        try:
            answer = Response.decode(raw)
        except ValueError:
            self.torn += 1
            return
        if answer.sw >> 12 not in (0x6, 0x9):
            # Status words begin so (ISO/IEC 7816-4 §5.6): pcscd's log ends long answers in the middle.
            self.torn += 1
            begun, self._begun, self._more = self._begun, None, None
            self._output.clear()
            if begun is not None:
                self._tell(begun)
            return
        self._announced = 0
        if self._more is not None and self._begun is None:
            self._continue(self._more, answer)
            return
        begun, self._begun = self._begun, None
        if begun is None:
            self._answer_to_piece(answer)
            return
        self._continue(begun, answer)

    def _answer_to_piece(self, answer: Response) -> None:
        if self._open is None:
            return
        if answer.data or not answer.ok:
            begun, self._open, self._chain = self._open, None, b""
            self._continue(begun, answer)
        else:
            self._open = replace(self._open, sw=answer.sw)

    def _continue(self, begun: Dealing, answer: Response) -> None:
        if len(self._output) < _INPUT_MOST:
            self._output += answer.data
        self._more = None
        done = replace(begun, sw=answer.sw)
        if answer.sw >> 8 == 0x61:
            self._more = replace(done, sw=int(StatusWord.SUCCESS))
            return
        if answer.sw >> 8 == 0x6C:
            self._output.clear()
            return  # the same command comes again, with another Le
        self._more = done
        self._finish()

    def _finish(self) -> None:
        if self._more is None:
            return
        done, self._more = self._more, None
        output = bytes(self._output)
        self._output.clear()
        kept = output if done.ins in _KEPT_ANSWERS and not done.secure else b""
        self._tell(replace(done, answer=kept, length=len(output)))

    def _take(self, command: Command) -> None:
        cla = command.cla & ~_CHAINED if command.cla & 0xE0 in (0x00, 0x80) else command.cla
        header = bytes((cla, command.ins, command.p1, command.p2))
        more = cla != command.cla
        if self._chain != header:
            self._end_piece()
            self._wipe()
            self._piece = 0
        self._open = None
        if more or self._chain == header:
            self._piece = max(self._piece, len(command.data))
        self._chain = header if more else b""
        if len(self._input) + len(command.data) <= _INPUT_MOST:
            self._input += command.data
        if more:
            self._open = masked(command, self._secrets)
            return
        whole = Command(cla, command.ins, command.p1, command.p2, bytes(self._input), command.le)
        self._wipe()
        self._begun = replace(masked(whole, self._secrets), piece=self._piece)
        self._piece = 0

    def _rest_of_pin(self, raw: bytes) -> None:
        self._input += raw
        if len(self._input) >= self._announced and self._begun is not None:
            block = bytes(self._input)
            self._secrets.learn(block)
            self._wipe()
            self._begun = replace(self._begun, shape=_shape(self._begun, block))
            self._announced = 0

    def _not_a_command(self, raw: bytes) -> None:
        """Take bytes that are no command, or a part of one: nothing of them is kept."""
        self.torn += 1
        if len(raw) > 5 and raw[1] in PIN_COMMANDS:
            self._secrets.learn(raw[5:])

    def _wipe(self) -> None:
        self._input[:] = bytes(len(self._input))
        self._input.clear()


def masked(command: Command, secrets: Secrets) -> Dealing:
    """Return what may be kept of a command."""
    secure = is_secure(command.cla)
    header, data = command.header, command.data
    if command.ins in PIN_COMMANDS:
        if not secure:
            secrets.learn(data)
        begun = Dealing(header, lc=None, secure=secure, empty=not data)
        return begun if secure or not data else replace(begun, shape=_shape(begun, data))
    if secure or command.ins == ENVELOPE or secrets.hidden_in(data):
        return Dealing(header, lc=None, le=command.le, secure=secure)
    return Dealing(
        header,
        data=data if command.ins in _KEPT_DATA else b"",
        lc=len(data),
        le=command.le,
        input=_input(command),
        indicator=command.data[: len(command.data) % _KEY_STEP]
        if command.ins == PERFORM_SECURITY_OPERATION and len(command.data) % _KEY_STEP <= _INDICATOR_MOST
        else b"",
    )


def _shape(begun: Dealing, block: bytes) -> PinShape | None:
    """Only VERIFY holds one PIN and nothing else."""
    return shape_of(block) if begun.ins == VERIFY else None


def _input(command: Command) -> str:
    """Return what a key is given, in one word, for PSO and INTERNAL AUTHENTICATE."""
    data = command.data
    if command.ins not in (PERFORM_SECURITY_OPERATION, INTERNAL_AUTHENTICATE) or not data:
        return ""
    if len(data) in _DIGEST_LENGTHS:
        return "digest"
    if len(data) > 2 and data[0] == data[2] == 0x30 and data[1] == len(data) - 2:
        return "DigestInfo"
    if data[:2] == b"\x00\x01" and b"\xff\x00" in data:
        return "block"
    return "data"
