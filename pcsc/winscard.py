"""The seam to PC/SC: the functions and numbers of winscard.h, as `smartcard.scard` gives them.

Everything above (`context`, `connection`, `watcher`) calls these and nothing else, so that the system's
service and the in-process virtual readers of `pcsc.virtual` run through the same code.
"""

from __future__ import annotations

import sys
from enum import IntEnum, IntFlag
from typing import Any, Final, Protocol

SCOPE_USER: Final = 0
"""The scope on Windows; pcsc-lite has only the system's."""
SCOPE_SYSTEM: Final = 2

INFINITE: Final = 0x7FFFFFFF
"""A wait of 24 days: the longest that pyscard passes on as it is on every platform."""

PNP_NOTIFICATION: Final = r"\\?PnP?\Notification"
"""The name that stands for "a reader came or went" in SCardGetStatusChange."""

COUNTER_SHIFT: Final = 16
"""The upper half of a reader's state counts insertions and removals."""


class Share(IntEnum):
    """Who else may use the card."""

    EXCLUSIVE = 1
    SHARED = 2
    DIRECT = 3


class CardProtocol(IntFlag):
    """Transmission protocols (ISO/IEC 7816-3)."""

    T0 = 1
    T1 = 2


class Disposition(IntEnum):
    """What becomes of the card at the end of a transaction or connection."""

    LEAVE = 0
    RESET = 1
    UNPOWER = 2


class ReaderFlags(IntFlag):
    """The lower half of a reader's state."""

    UNAWARE = 0x0000
    IGNORE = 0x0001
    CHANGED = 0x0002
    UNKNOWN = 0x0004
    UNAVAILABLE = 0x0008
    EMPTY = 0x0010
    PRESENT = 0x0020
    ATRMATCH = 0x0040
    EXCLUSIVE = 0x0080
    INUSE = 0x0100
    MUTE = 0x0200
    UNPOWERED = 0x0400
    UNNAMEABLE = 0x8000
    """Not one of winscard.h's: the binding cannot pass this reader's name on."""


def control_code(function: int) -> int:
    """SCARD_CTL_CODE: the number by which the platform's SCardControl knows a function."""
    if sys.platform == "win32":
        return 0x0031_0000 | function << 2
    return 0x4200_0000 + function


class Winscard(Protocol):
    """Each function returns the PC/SC return code first (0 is success), then its results, as pyscard does.

    Codes may come back negative on some platforms. All of them let other threads run while they wait.
    """

    def SCardEstablishContext(self, scope: int, /) -> tuple[int, Any]: ...
    def SCardReleaseContext(self, context: Any, /) -> int: ...
    def SCardCancel(self, context: Any, /) -> int: ...
    def SCardListReaders(self, context: Any, groups: list[str], /) -> tuple[int, list[str]]: ...
    def SCardGetStatusChange(
        self, context: Any, timeout: int, states: list[tuple[Any, ...]], /
    ) -> tuple[int, list[tuple[str, int, list[int]]]]: ...
    def SCardConnect(
        self, context: Any, reader: str, share: int, protocols: int, /
    ) -> tuple[int, Any, int]: ...
    def SCardReconnect(
        self, card: Any, share: int, protocols: int, initialization: int, /
    ) -> tuple[int, int]: ...
    def SCardDisconnect(self, card: Any, disposition: int, /) -> int: ...
    def SCardBeginTransaction(self, card: Any, /) -> int: ...
    def SCardEndTransaction(self, card: Any, disposition: int, /) -> int: ...
    def SCardTransmit(self, card: Any, protocol: int, command: list[int], /) -> tuple[int, list[int]]: ...
    def SCardStatus(self, card: Any, /) -> tuple[int, str, int, int, list[int]]: ...
    def SCardControl(self, card: Any, code: int, data: list[int], /) -> tuple[int, list[int]]: ...


class VirtualCard(Protocol):
    """A card as a reader sees it: what `hca_card.simulator` makes, and a virtual reader or vpcd holds."""

    def power_on(self) -> bytes:
        """Cold or warm reset: forget all volatile state and give the ATR; empty when the card is mute."""
        ...

    def power_off(self) -> None:
        """Lose power."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """Return the response APDU to a command APDU, both as raw bytes; whatever a broken card would say."""
        ...
