"""From command bytes to response bytes: class byte, command chaining, GET RESPONSE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from pcsc.apdu import LC_EXTENDED_MAX, LE_EXTENDED_MAX, LE_SHORT_MAX, Command, Response
from pcsc.status import StatusWord

Handler = Callable[[Command], Response]

INS_GET_RESPONSE: Final = 0xC0
CLA_CHAINING: Final = 0x10


class RefusalError(Exception):
    """A command is refused with this status word and no data."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


def check_interindustry_class(cla: int) -> None:
    """Refuse all but the plain first interindustry class on the basic channel (ISO/IEC 7816-4 §5.4.1)."""
    if cla & 0xE0:
        raise RefusalError(StatusWord.CLA_NOT_SUPPORTED)
    if cla & 0x0C:
        raise RefusalError(StatusWord.SECURE_MESSAGING)
    if cla & 0x03:
        raise RefusalError(StatusWord.LOGICAL_CHANNEL)


class Dispatcher:
    """Hands each whole command to the handler of its INS.

    Args:
        handlers: INS byte to handler.
        chained: the INS bytes that may come in several parts (ISO/IEC 7816-4 §5.3.3).
        check_class: raises `RefusalError` for a class byte that the card does not take.
    """

    def __init__(
        self,
        handlers: Mapping[int, Handler],
        *,
        chained: frozenset[int] = frozenset(),
        check_class: Callable[[int], None] = check_interindustry_class,
    ) -> None:
        self._handlers = handlers
        self._chained = chained
        self._check_class = check_class
        self._waiting: Response | None = None
        self._chain: Command | None = None

    def reset(self) -> None:
        """Forget the unfinished chain and the response data that nobody fetched."""
        self._waiting = None
        self._chain = None

    def transmit(self, raw: bytes) -> bytes:
        """Return the response APDU to a command APDU."""
        try:
            command = Command.decode(raw)
        except ValueError:
            return Response(b"", StatusWord.WRONG_LENGTH).encode()
        try:
            return self._answer(command).encode()
        except RefusalError as refusal:
            return Response(b"", refusal.sw).encode()

    def _answer(self, command: Command) -> Response:
        waiting, self._waiting = self._waiting, None
        self._check_class(command.cla)
        if command.ins == INS_GET_RESPONSE:
            return self._get_response(command, waiting)
        handler = self._handlers.get(command.ins)
        if handler is None:
            raise RefusalError(StatusWord.INS_NOT_SUPPORTED)
        whole = self._join(command)
        if whole is None:
            return Response(b"", StatusWord.SUCCESS)
        return self._deliver(handler(whole), whole.le)

    def _join(self, command: Command) -> Command | None:
        """Return the command with all parts of its chain, or None while more parts are to come."""
        chain, self._chain = self._chain, None
        more = bool(command.cla & CLA_CHAINING)
        if more and command.ins not in self._chained:
            raise RefusalError(StatusWord.CHAINING)
        if chain is not None:
            if command.header[1:] != chain.header[1:]:
                raise RefusalError(StatusWord.LAST_OF_CHAIN_EXPECTED)
            if len(chain.data) + len(command.data) > LC_EXTENDED_MAX:
                raise RefusalError(StatusWord.WRONG_LENGTH)
            command = replace(command, data=chain.data + command.data)
        if more:
            self._chain = command
            return None
        return command

    def _deliver(self, response: Response, le: int | None) -> Response:
        """As much as Le lets through; the rest waits for GET RESPONSE (ISO/IEC 7816-4 §5.3.4)."""
        if le is None:
            # ISO/IEC 7816-4 leaves no data for a command without Le, but Java Cards send it under T=1, and
            # both NHI readers and OpenSC's IsoApplet driver rely on that.
            return response
        now, later = response.data[:le], response.data[le:]
        if not later:
            return response
        self._waiting = Response(later, response.sw)
        return Response(now, 0x6100 | min(len(later), 0xFF))

    def _get_response(self, command: Command, waiting: Response | None) -> Response:
        if waiting is None:
            raise RefusalError(StatusWord.CONDITIONS)
        if command.le is None:
            raise RefusalError(StatusWord.WRONG_LENGTH)
        if command.le > len(waiting.data) and command.le not in (LE_SHORT_MAX, LE_EXTENDED_MAX):
            self._waiting = waiting
            raise RefusalError(0x6C00 | len(waiting.data) & 0xFF)
        return self._deliver(waiting, command.le)


class ChipPart(Protocol):
    """What a chip consists of, as far as power-up concerns it."""

    def reset(self) -> None:
        """Forget all volatile state."""
        ...


class Chip(Dispatcher):
    """A dispatcher with an ATR; what a reader sees is `pcsc.winscard.VirtualCard`."""

    def __init__(
        self,
        atr: bytes,
        handlers: Mapping[int, Handler],
        *parts: ChipPart,
        chained: frozenset[int] = frozenset(),
        check_class: Callable[[int], None] = check_interindustry_class,
    ) -> None:
        super().__init__(handlers, chained=chained, check_class=check_class)
        self._atr = atr
        self._parts = parts

    def power_on(self) -> bytes:
        """Forget all volatile state; return the ATR."""
        for part in (self, *self._parts):
            part.reset()
        return self._atr

    def power_off(self) -> None:
        """Do nothing that the next power-up does not."""
