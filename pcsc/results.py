"""PC/SC return codes (PC/SC part 5 §3, winscard.h) and the one table from them to exceptions."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from pcsc.errors import (
    CancelledError,
    CardMuteError,
    CardProtocolError,
    CardRemovedError,
    CardResetError,
    CardUnpoweredError,
    CommunicationError,
    NoCardError,
    NoReaderError,
    PcscError,
    ReaderBusyError,
    ReaderFaultError,
    ReaderLimitError,
    ReaderNotReadyError,
    ReaderTimeoutError,
    ReaderTooSmallError,
    ReaderUnavailableError,
    ServiceBusyError,
    ServiceDeniedError,
    ServiceEndingError,
    ServiceRestartedError,
    ServiceUnavailableError,
)


class ReturnCode(IntEnum):
    """The return codes this program meets; a service may answer others, which stay plain numbers."""

    SUCCESS = 0
    CANCELLED = 0x80100002
    INVALID_HANDLE = 0x80100003
    INVALID_PARAMETER = 0x80100004
    NO_MEMORY = 0x80100006
    WAITED_TOO_LONG = 0x80100007
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
    READER_UNSUPPORTED = 0x8010001A
    CARD_UNSUPPORTED = 0x8010001C
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    UNSUPPORTED_FEATURE = 0x8010001F
    WINDOWS_UNSUPPORTED_FEATURE = 0x80100022
    NO_ACCESS = 0x80100027
    NO_READERS_AVAILABLE = 0x8010002E
    COMM_DATA_LOST = 0x8010002F
    SERVER_TOO_BUSY = 0x80100031
    UNSUPPORTED_CARD = 0x80100065
    UNRESPONSIVE_CARD = 0x80100066
    UNPOWERED_CARD = 0x80100067
    RESET_CARD = 0x80100068
    REMOVED_CARD = 0x80100069
    SECURITY_VIOLATION = 0x8010006A

    # What Windows passes through from below winscard: what its rules forbid, the dead handle and pipe of a
    # service that was restarted, the RPC server that has ended, and what drivers say when the device fails.
    WINDOWS_ACCESS_DENIED = 0x00000005
    WINDOWS_INVALID_HANDLE = 0x00000006
    WINDOWS_GENERAL_FAILURE = 0x0000001F
    WINDOWS_TIMEOUT = 0x00000079
    WINDOWS_BROKEN_PIPE = 0x0000006D
    WINDOWS_IO_DEVICE = 0x0000045D
    WINDOWS_RPC_UNAVAILABLE = 0x000006BA


_ERRORS: Final[dict[int, type[PcscError]]] = {
    ReturnCode.CANCELLED: CancelledError,
    # A handle can only become invalid behind our back, when the service that gave it was restarted.
    ReturnCode.INVALID_HANDLE: ServiceRestartedError,
    ReturnCode.WINDOWS_INVALID_HANDLE: ServiceRestartedError,
    ReturnCode.WINDOWS_BROKEN_PIPE: ServiceRestartedError,
    ReturnCode.WINDOWS_RPC_UNAVAILABLE: ServiceRestartedError,
    # pcsc-lite says COMM_ERROR when its daemon dies during a call (the link to the card is NOT_TRANSACTED).
    ReturnCode.COMM_ERROR: ServiceRestartedError,
    ReturnCode.SYSTEM_CANCELLED: ServiceEndingError,
    ReturnCode.SHUTDOWN: ServiceEndingError,
    ReturnCode.NO_SERVICE: ServiceUnavailableError,
    ReturnCode.SERVICE_STOPPED: ServiceUnavailableError,
    ReturnCode.SERVER_TOO_BUSY: ServiceBusyError,
    # pcsc-lite has so many places for programs, and says this when all are taken.
    ReturnCode.NO_MEMORY: ServiceBusyError,
    ReturnCode.SECURITY_VIOLATION: ServiceDeniedError,
    ReturnCode.NO_ACCESS: ServiceDeniedError,
    ReturnCode.WINDOWS_ACCESS_DENIED: ServiceDeniedError,
    ReturnCode.NO_READERS_AVAILABLE: NoReaderError,
    ReturnCode.UNKNOWN_READER: ReaderUnavailableError,
    ReturnCode.READER_UNAVAILABLE: ReaderUnavailableError,
    ReturnCode.SHARING_VIOLATION: ReaderBusyError,
    ReturnCode.NO_SMARTCARD: NoCardError,
    ReturnCode.REMOVED_CARD: CardRemovedError,
    ReturnCode.RESET_CARD: CardResetError,
    ReturnCode.UNPOWERED_CARD: CardUnpoweredError,
    ReturnCode.UNRESPONSIVE_CARD: CardMuteError,
    ReturnCode.INVALID_ATR: CardMuteError,
    ReturnCode.UNSUPPORTED_CARD: CardProtocolError,
    ReturnCode.CARD_UNSUPPORTED: CardProtocolError,
    ReturnCode.PROTO_MISMATCH: CardProtocolError,
    ReturnCode.READER_UNSUPPORTED: ReaderLimitError,
    ReturnCode.UNSUPPORTED_FEATURE: ReaderLimitError,
    ReturnCode.WINDOWS_UNSUPPORTED_FEATURE: ReaderLimitError,
    ReturnCode.INVALID_PARAMETER: ReaderLimitError,
    ReturnCode.INSUFFICIENT_BUFFER: ReaderTooSmallError,
    ReturnCode.TIMEOUT: ReaderTimeoutError,
    ReturnCode.WAITED_TOO_LONG: ReaderTimeoutError,
    ReturnCode.WINDOWS_TIMEOUT: ReaderTimeoutError,
    ReturnCode.NOT_READY: ReaderNotReadyError,
    ReturnCode.NOT_TRANSACTED: CommunicationError,
    ReturnCode.UNKNOWN_ERROR: ReaderFaultError,
    ReturnCode.COMM_DATA_LOST: ReaderFaultError,
    ReturnCode.WINDOWS_GENERAL_FAILURE: ReaderFaultError,
    ReturnCode.WINDOWS_IO_DEVICE: ReaderFaultError,
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
