"""What may be shown of an exchange with a card, recorded where commands become bytes.

Nothing is left to be masked later. Command data is shown of a few instructions that can hold no secret,
response data of SELECT alone; of everything else only the length, of a secret command only the header.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from pcsc.apdu import Command, Response

_SELECT: Final = 0xA4
_SHOWN_DATA: Final = frozenset({_SELECT, 0x22, 0xCA})
"""SELECT, MANAGE SECURITY ENVIRONMENT and GET DATA: names of files, keys and data objects."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command APDU and what came back.

    Attributes:
        header: CLA INS P1 P2.
        lc: bytes of command data; None where even that would tell of a secret.
        data: the command data; None where it is not shown.
        le: bytes asked for, None without Le.
        sw: the status word; None where no response came.
        length: bytes of response data.
        answer: the response data; None where it is not shown.
        seconds: from sending to the last byte back.
        failure: name of the error that came instead of a response.
    """

    header: bytes
    lc: int | None
    data: bytes | None
    le: int | None
    sw: int | None
    length: int
    answer: bytes | None
    seconds: float
    failure: str = ""

    @classmethod
    def of(cls, command: Command, response: Response | None, seconds: float, failure: str = "") -> Self:
        """Return what may be shown of this exchange."""
        shown = not command.secret and command.ins in _SHOWN_DATA
        answer = response.data if response is not None and command.ins == _SELECT else None
        return cls(
            header=command.header,
            lc=None if command.secret else len(command.data),
            data=command.data if shown else None,
            le=command.le,
            sw=None if response is None else response.sw,
            length=0 if response is None else len(response.data),
            answer=answer if shown else None,
            seconds=seconds,
            failure=failure,
        )


Observe = Callable[[Exchange], None]
