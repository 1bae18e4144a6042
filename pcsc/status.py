"""Status words (SW1 SW2) with the words of ISO/IEC 7816-4:2020 §5.6, tables 5 and 6."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class StatusWord(IntEnum):
    """The status words this program meets; a card may answer others, which stay plain numbers."""

    words: str

    def __new__(cls, value: int, words: str) -> StatusWord:  # noqa: D102
        member = int.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member

    SUCCESS = 0x9000, "no further qualification"
    NO_INFORMATION = 0x6200, "no information given, state of non-volatile memory unchanged"
    DATA_CORRUPTED = 0x6281, "part of returned data may be corrupted"
    END_OF_FILE = 0x6282, "end of file reached before reading Ne bytes"
    FILE_DEACTIVATED = 0x6283, "selected file deactivated"
    FCI_NOT_FORMATTED = 0x6284, "file control information not formatted"
    FILE_TERMINATED = 0x6285, "selected file in termination state"
    VERIFICATION_FAILED = 0x6300, "verification failed"
    MEMORY_FAILURE = 0x6581, "memory failure"
    WRONG_LENGTH = 0x6700, "wrong length"
    LOGICAL_CHANNEL = 0x6881, "logical channel not supported"
    SECURE_MESSAGING = 0x6882, "secure messaging not supported"
    LAST_OF_CHAIN_EXPECTED = 0x6883, "last command of the chain expected"
    CHAINING = 0x6884, "command chaining not supported"
    INCOMPATIBLE_FILE = 0x6981, "command incompatible with file structure"
    SECURITY_STATUS = 0x6982, "security status not satisfied"
    METHOD_BLOCKED = 0x6983, "authentication method blocked"
    DATA_UNUSABLE = 0x6984, "reference data not usable"
    CONDITIONS = 0x6985, "conditions of use not satisfied"
    NO_CURRENT_EF = 0x6986, "command not allowed (no current EF)"
    WRONG_DATA = 0x6A80, "incorrect parameters in the command data field"
    FUNCTION_NOT_SUPPORTED = 0x6A81, "function not supported"
    FILE_NOT_FOUND = 0x6A82, "file or application not found"
    RECORD_NOT_FOUND = 0x6A83, "record not found"
    WRONG_P1P2 = 0x6A86, "incorrect parameters P1-P2"
    LC_INCONSISTENT = 0x6A87, "Nc inconsistent with parameters P1-P2"
    REFERENCE_NOT_FOUND = 0x6A88, "referenced data or reference data not found"
    OFFSET = 0x6B00, "wrong parameters P1-P2"
    INS_NOT_SUPPORTED = 0x6D00, "instruction code not supported or invalid"
    CLA_NOT_SUPPORTED = 0x6E00, "class not supported"
    UNKNOWN = 0x6F00, "no precise diagnosis"


def tries_left(sw: int) -> int | None:
    """Return the tries that a status word leaves: 63CX gives X, 6983 gives 0, all others None.

    ISO/IEC 7816-4:2020 §11.5.6 (VERIFY) and table 6 (63CX: counter from 0 to 15).
    """
    if sw & 0xFFF0 == 0x63C0:
        return sw & 0x0F
    if sw == StatusWord.METHOD_BLOCKED:
        return 0
    return None


def describe(sw: int) -> str:
    """`6A82 file or application not found`, for logs and traces; never for a page."""
    try:
        words = StatusWord(sw).words  # type: ignore[call-arg]
    except ValueError:
        left = tries_left(sw)
        words = (
            f"verification failed, {left} tries left" if left is not None else "status word not in ISO 7816-4"
        )
    return f"{sw:04X} {words}"


class StatusError(Exception):
    """The card answered a status word that the operation has no use for.

    Attributes:
        sw: the status word.
    """

    error_id: ClassVar[str] = "card.status"

    def __init__(self, sw: int) -> None:
        super().__init__(describe(sw))
        self.sw = sw
