"""The two numbers by which pages of the HiPKI dialect know an error (docs/hipki.md, "Numbers").

`ret_code` says what kind of trouble it is; `last_error` is a PKCS#11 return value (CKR_…), or how many tries
a wrong PIN left. Both follow from the row of the error, so that every row has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from agent.errors.ids import ErrorId
from agent.errors.table import JsonRpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.errors.table import ErrorRow


class RetCode(IntEnum):
    """`ret_code`."""

    OK = 0
    NO_CARD = 0x76000006
    WRONG_TYPE = 0x76000008
    TOO_LARGE = 0x7600000A
    NOT_JSON = 0x7600000B
    PARAMETER = 0x7600000C
    FAILED = 0x7600000D
    UNKNOWN_METHOD = 0x7600000E
    ORIGIN_REFUSED = 0x76000031
    NO_PIN = 0x76000998
    CANCELLED = 0x76000999
    NO_READER = 0x76100003
    LOGIN_FAILED = 0x76100006
    NOT_YET_VALID = 0x76500001
    EXPIRED = 0x76500002


@dataclass(frozen=True, slots=True)
class HipkiNumbers:
    """An error as the pages see it.

    Attributes:
        ret_code: unsigned, 32 bits.
        last_error: signed, 32 bits; 0 where the trouble is none that PKCS#11 has a word for.
    """

    ret_code: RetCode
    last_error: int


CKR_PIN_INCORRECT: Final = 0xA0
CKR_PIN_LOCKED: Final = 0xA4
TRIES: Final = -0x80000000
"""Plus the tries left, 1 or 2, of a PIN that was wrong: pages compare with negative numbers."""

_OF_FAMILY: Final[Mapping[JsonRpc, RetCode]] = MappingProxyType(
    {
        JsonRpc.PARSE_ERROR: RetCode.NOT_JSON,
        JsonRpc.INVALID_REQUEST: RetCode.PARAMETER,
        JsonRpc.METHOD_NOT_FOUND: RetCode.UNKNOWN_METHOD,
        JsonRpc.INVALID_PARAMS: RetCode.PARAMETER,
        JsonRpc.READER: RetCode.NO_CARD,
        JsonRpc.PIN: RetCode.LOGIN_FAILED,
        JsonRpc.PERMISSION: RetCode.ORIGIN_REFUSED,
        JsonRpc.DATA: RetCode.PARAMETER,
    }
)
"""What every row of a family gives, else `FAILED`; and `_OF_ROW` what single ones do instead."""

_OF_ROW: Final[Mapping[ErrorId, RetCode]] = MappingProxyType(
    {
        ErrorId.SERVICE_UNAVAILABLE: RetCode.NO_READER,
        ErrorId.READER_NONE: RetCode.NO_READER,
        ErrorId.CARD_NONE: RetCode.NO_CARD,
        ErrorId.CARD_MUTE: RetCode.NO_CARD,
        ErrorId.CARD_UNKNOWN: RetCode.WRONG_TYPE,
        ErrorId.CARD_WRONG_KIND: RetCode.WRONG_TYPE,
        ErrorId.CARD_UNSUPPORTED: RetCode.WRONG_TYPE,
        ErrorId.CERTIFICATE_NOT_YET_VALID: RetCode.NOT_YET_VALID,
        ErrorId.CERTIFICATE_EXPIRED: RetCode.EXPIRED,
        ErrorId.CONSENT_TIMEOUT: RetCode.FAILED,
        ErrorId.PIN_CANCELLED: RetCode.CANCELLED,
        ErrorId.PIN_UNAVAILABLE: RetCode.NO_PIN,
        ErrorId.PIN_NOT_KEPT: RetCode.NO_PIN,
        ErrorId.SIGNING_SESSION_UNKNOWN: RetCode.NO_PIN,
        ErrorId.SIGNING_SESSION_ENDED: RetCode.NO_PIN,
        ErrorId.REQUEST_CANCELLED: RetCode.CANCELLED,
        ErrorId.REQUEST_TOO_LARGE: RetCode.TOO_LARGE,
        ErrorId.REQUEST_NOT_JSON: RetCode.NOT_JSON,
        ErrorId.REQUEST_UNKNOWN_METHOD: RetCode.UNKNOWN_METHOD,
    }
)

# The ServiSign numbers from 9001 on are the PKCS#11 return values in the order of their values (PKCS#11
# v2.40, §A), and 9999 is an error nobody foresaw.
_CKR: Final[Mapping[int, int]] = MappingProxyType(
    {
        9001: 0x01,  # CANCEL
        9003: 0x03,  # SLOT_ID_INVALID
        9004: 0x05,  # GENERAL_ERROR
        9005: 0x06,  # FUNCTION_FAILED
        9006: 0x07,  # ARGUMENTS_BAD
        9014: 0x20,  # DATA_INVALID
        9015: 0x21,  # DATA_LEN_RANGE
        9016: 0x30,  # DEVICE_ERROR
        9018: 0x32,  # DEVICE_REMOVED
        9019: 0x40,  # ENCRYPTED_DATA_INVALID
        9020: 0x41,  # ENCRYPTED_DATA_LEN_RANGE
        9021: 0x50,  # FUNCTION_CANCELED
        9023: 0x54,  # FUNCTION_NOT_SUPPORTED
        9026: 0x63,  # KEY_TYPE_INCONSISTENT
        9031: 0x68,  # KEY_FUNCTION_NOT_PERMITTED
        9034: 0x70,  # MECHANISM_INVALID
        9039: CKR_PIN_INCORRECT,
        9040: 0xA1,  # PIN_INVALID
        9041: 0xA2,  # PIN_LEN_RANGE
        9042: 0xA3,  # PIN_EXPIRED
        9043: CKR_PIN_LOCKED,
        9052: 0xC0,  # SIGNATURE_INVALID
        9053: 0xC1,  # SIGNATURE_LEN_RANGE
        9056: 0xE0,  # TOKEN_NOT_PRESENT
        9057: 0xE1,  # TOKEN_NOT_RECOGNIZED
        9063: 0x101,  # USER_NOT_LOGGED_IN
        9064: 0x102,  # USER_PIN_NOT_INITIALIZED
        9075: 0x150,  # BUFFER_TOO_SMALL
        9100: 0x82,  # OBJECT_HANDLE_INVALID
        9999: 0x05,  # GENERAL_ERROR
    }
)


def hipki_numbers(row: ErrorRow, tries_left: int | None = None) -> HipkiNumbers:
    """Return the numbers of a row.

    Args:
        row: the row of the error.
        tries_left: of the PIN, where the error says so.
    """
    ret_code = _OF_ROW.get(row.id) or _OF_FAMILY.get(row.jsonrpc, RetCode.FAILED)
    last_error = _CKR.get(row.servisign, 0)
    if last_error == CKR_PIN_INCORRECT and tries_left is not None:
        if tries_left == 0:
            last_error = CKR_PIN_LOCKED
        elif tries_left <= 2:
            last_error = TRIES + tries_left
    return HipkiNumbers(ret_code, last_error)
