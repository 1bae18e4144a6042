"""PC/SC return codes (PC/SC part 5 §3, winscard.h) and the one table from them to exceptions."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from pcsc.errors import (
    CancelledError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    CommunicationError,
    NoCardError,
    NoReaderError,
    PcscError,
    ReaderBusyError,
    ReaderUnavailableError,
    ServiceUnavailableError,
)


class ReturnCode(IntEnum):
    """The return codes this program meets; a service may answer others, which stay plain numbers."""

    SUCCESS = 0
    CANCELLED = 0x80100002
    INVALID_HANDLE = 0x80100003
    INVALID_PARAMETER = 0x80100004
    INSUFFICIENT_BUFFER = 0x80100008
    UNKNOWN_READER = 0x80100009
    TIMEOUT = 0x8010000A
    SHARING_VIOLATION = 0x8010000B
    NO_SMARTCARD = 0x8010000C
    PROTO_MISMATCH = 0x8010000F
    NOT_READY = 0x80100010
    SYSTEM_CANCELLED = 0x80100012
    COMM_ERROR = 0x80100013
    UNKNOWN_ERROR = 0x80100014
    INVALID_ATR = 0x80100015
    NOT_TRANSACTED = 0x80100016
    READER_UNAVAILABLE = 0x80100017
    SHUTDOWN = 0x80100018
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    UNSUPPORTED_FEATURE = 0x8010001F
    NO_READERS_AVAILABLE = 0x8010002E
    COMM_DATA_LOST = 0x8010002F
    SERVER_TOO_BUSY = 0x80100031
    UNSUPPORTED_CARD = 0x80100065
    UNRESPONSIVE_CARD = 0x80100066
    UNPOWERED_CARD = 0x80100067
    RESET_CARD = 0x80100068
    REMOVED_CARD = 0x80100069
    SECURITY_VIOLATION = 0x8010006A

    # What Windows passes through from below winscard: the dead handle and pipe of a service that was
    # restarted, the RPC server that has ended, and what drivers say when the device fails.
    WINDOWS_INVALID_HANDLE = 0x00000006
    WINDOWS_GENERAL_FAILURE = 0x0000001F
    WINDOWS_TIMEOUT = 0x00000079
    WINDOWS_BROKEN_PIPE = 0x0000006D
    WINDOWS_IO_DEVICE = 0x0000045D
    WINDOWS_RPC_UNAVAILABLE = 0x000006BA


_ERRORS: Final[dict[int, type[PcscError]]] = {
    ReturnCode.CANCELLED: CancelledError,
    # A handle can only become invalid behind our back, when the service that gave it was restarted.
    ReturnCode.INVALID_HANDLE: ServiceUnavailableError,
    ReturnCode.WINDOWS_INVALID_HANDLE: ServiceUnavailableError,
    ReturnCode.WINDOWS_BROKEN_PIPE: ServiceUnavailableError,
    ReturnCode.WINDOWS_RPC_UNAVAILABLE: ServiceUnavailableError,
    # pcsc-lite says COMM_ERROR when its daemon dies during a call (the link to the card is NOT_TRANSACTED).
    ReturnCode.COMM_ERROR: ServiceUnavailableError,
    ReturnCode.SYSTEM_CANCELLED: ServiceUnavailableError,
    ReturnCode.SHUTDOWN: ServiceUnavailableError,
    ReturnCode.NO_SERVICE: ServiceUnavailableError,
    ReturnCode.SERVICE_STOPPED: ServiceUnavailableError,
    ReturnCode.SERVER_TOO_BUSY: ServiceUnavailableError,
    # polkit refuses this user; to the person that is a service that cannot be used.
    ReturnCode.SECURITY_VIOLATION: ServiceUnavailableError,
    ReturnCode.NO_READERS_AVAILABLE: NoReaderError,
    ReturnCode.UNKNOWN_READER: ReaderUnavailableError,
    ReturnCode.READER_UNAVAILABLE: ReaderUnavailableError,
    ReturnCode.SHARING_VIOLATION: ReaderBusyError,
    ReturnCode.NO_SMARTCARD: NoCardError,
    ReturnCode.REMOVED_CARD: CardRemovedError,
    ReturnCode.RESET_CARD: CardResetError,
    # Another program cut the power: as after a reset, nothing selected or verified is left.
    ReturnCode.UNPOWERED_CARD: CardResetError,
    ReturnCode.UNRESPONSIVE_CARD: CardMuteError,
    ReturnCode.UNSUPPORTED_CARD: CardMuteError,
    ReturnCode.INVALID_ATR: CardMuteError,
    ReturnCode.INSUFFICIENT_BUFFER: CommunicationError,
    ReturnCode.TIMEOUT: CommunicationError,
    ReturnCode.PROTO_MISMATCH: CommunicationError,
    ReturnCode.NOT_READY: CommunicationError,
    ReturnCode.UNKNOWN_ERROR: CommunicationError,
    ReturnCode.NOT_TRANSACTED: CommunicationError,
    ReturnCode.COMM_DATA_LOST: CommunicationError,
    ReturnCode.WINDOWS_GENERAL_FAILURE: CommunicationError,
    ReturnCode.WINDOWS_TIMEOUT: CommunicationError,
    ReturnCode.WINDOWS_IO_DEVICE: CommunicationError,
}

RESET_CODES: Final = frozenset({ReturnCode.RESET_CARD, ReturnCode.UNPOWERED_CARD})
"""Another program reset the card or cut its power: SCardReconnect makes the handle usable again."""


def unsigned(code: int) -> int:
    """`code` as the unsigned 32-bit number that winscard.h prints."""
    return code & 0xFFFFFFFF


def error(code: int, *, reader: str | None = None) -> PcscError:
    """Return the exception for a return code; `PcscError` itself for one not in the table."""
    return _ERRORS.get(unsigned(code), PcscError)(code, reader=reader)


def check(code: int, *, reader: str | None = None) -> None:
    """Do nothing for success.

    Raises:
        PcscError: the class of the table for any other return code.
    """
    if code != ReturnCode.SUCCESS:
        raise error(code, reader=reader)
