"""The calls of a PKCS#11 module that need more care than python-pkcs11 takes; PKCS#11 2.40 §5.

It gives PINs as texts, which cannot be wiped; it asks C_Sign for the length first, with a NULL buffer, which
HiCOS' module answers wrongly; and it does not tell the lengths of PINs. Both use the module as loaded once:
the system's loader gives the same one for the same path.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char, c_ubyte, c_ulong, c_void_p, sizeof
from enum import IntEnum, IntFlag
from typing import Any, Final

# On Windows the structures are packed (PKCS#11 §2.1); elsewhere they are aligned as usual.
_PACKED: Final = sys.platform == "win32"
_TABLE_OFFSET: Final = 2 if _PACKED else sizeof(c_void_p)
_OUTPUT_MAX: Final = 1024
_RSA_PKCS: Final = 0x01


class Ckr(IntEnum):
    """Return values that mean something to the person; PKCS#11 §3.6."""

    OK = 0x00
    SLOT_ID_INVALID = 0x03
    GENERAL_ERROR = 0x05
    FUNCTION_FAILED = 0x06
    DEVICE_ERROR = 0x30
    DEVICE_REMOVED = 0x32
    ENCRYPTED_DATA_INVALID = 0x40
    ENCRYPTED_DATA_LEN_RANGE = 0x41
    FUNCTION_CANCELED = 0x50
    FUNCTION_NOT_SUPPORTED = 0x54
    KEY_HANDLE_INVALID = 0x60
    KEY_FUNCTION_NOT_PERMITTED = 0x68
    MECHANISM_INVALID = 0x70
    PIN_INCORRECT = 0xA0
    PIN_INVALID = 0xA1
    PIN_LEN_RANGE = 0xA2
    PIN_EXPIRED = 0xA3
    PIN_LOCKED = 0xA4
    SESSION_CLOSED = 0xB0
    SESSION_HANDLE_INVALID = 0xB3
    TOKEN_NOT_PRESENT = 0xE0
    TOKEN_NOT_RECOGNIZED = 0xE1
    TOKEN_WRITE_PROTECTED = 0xE2
    USER_NOT_LOGGED_IN = 0x101
    USER_PIN_NOT_INITIALIZED = 0x102
    USER_TYPE_INVALID = 0x103


class TokenFlag(IntFlag):
    """Flags of CK_TOKEN_INFO; PKCS#11 §3.2."""

    PROTECTED_AUTHENTICATION_PATH = 0x100
    TOKEN_INITIALIZED = 0x400
    USER_PIN_COUNT_LOW = 0x10000
    USER_PIN_FINAL_TRY = 0x20000
    USER_PIN_LOCKED = 0x40000
    SO_PIN_COUNT_LOW = 0x100000
    SO_PIN_FINAL_TRY = 0x200000
    SO_PIN_LOCKED = 0x400000


class User(IntEnum):
    """CK_USER_TYPE."""

    SECURITY_OFFICER = 0
    USER = 1
    CONTEXT_SPECIFIC = 2


class CryptokiError(Exception):
    """A function of the module did not return CKR_OK."""

    def __init__(self, function: str, value: int) -> None:
        super().__init__(f"{function}: CKR 0x{value:X}")
        self.value = value


class CkTokenInfo(Structure):
    """CK_TOKEN_INFO."""

    if _PACKED:
        _pack_ = 1
    _fields_ = (
        ("label", c_ubyte * 32),
        ("manufacturer", c_ubyte * 32),
        ("model", c_ubyte * 16),
        ("serial", c_ubyte * 16),
        ("flags", c_ulong),
        ("session_counts", c_ulong * 4),
        ("max_pin_length", c_ulong),
        ("min_pin_length", c_ulong),
        ("memory", c_ulong * 4),
        ("versions", c_ubyte * 4),
        ("time", c_ubyte * 16),
    )


class _Mechanism(Structure):
    if _PACKED:
        _pack_ = 1
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("parameter_length", c_ulong))


class _Function(IntEnum):
    """Places in CK_FUNCTION_LIST, counted from C_Initialize; PKCS#11 §3.7."""

    C_GetTokenInfo = 6
    C_InitPIN = 10
    C_SetPIN = 11
    C_Login = 18
    C_Logout = 19
    C_DecryptInit = 33
    C_Decrypt = 34
    C_SignInit = 42
    C_Sign = 43


class Cryptoki:
    """The functions of a module that python-pkcs11 has loaded and initialised already.

    Args:
        path: the very path that it was loaded by.

    Raises:
        CryptokiError: from any method.
    """

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        library.C_GetFunctionList.restype = c_ulong
        table = c_void_p()
        value = library.C_GetFunctionList(byref(table))
        if value != Ckr.OK or not table.value:
            raise CryptokiError("C_GetFunctionList", value)
        self._library = library  # keeps it loaded
        self._table = table.value

    def token_info(self, slot: int) -> CkTokenInfo:
        """C_GetTokenInfo."""
        info = CkTokenInfo()
        self._call(_Function.C_GetTokenInfo, c_ulong(slot), byref(info))
        return info

    def login(self, session: int, user: User, pin: bytearray | None) -> None:
        """C_Login; None has the PIN typed on the reader's keypad."""
        self._call(_Function.C_Login, c_ulong(session), c_ulong(user), *_text(pin))

    def logout(self, session: int) -> None:
        """C_Logout."""
        self._call(_Function.C_Logout, c_ulong(session))

    def set_pin(self, session: int, old: bytearray | None, new: bytearray | None) -> None:
        """C_SetPIN; None for both has them typed on the reader's keypad."""
        self._call(_Function.C_SetPIN, c_ulong(session), *_text(old), *_text(new))

    def init_pin(self, session: int, new: bytearray) -> None:
        """C_InitPIN."""
        self._call(_Function.C_InitPIN, c_ulong(session), *_text(new))

    def sign(self, session: int, key: int, data: bytes, confirm: Callable[[], None]) -> bytes:
        """C_SignInit with CKM_RSA_PKCS, `confirm`, and C_Sign, once, with a buffer that is long enough."""
        return self._transform((_Function.C_SignInit, _Function.C_Sign), session, key, data, confirm)

    def decrypt(self, session: int, key: int, cipher: bytes, confirm: Callable[[], None]) -> bytes:
        """C_DecryptInit with CKM_RSA_PKCS, `confirm`, and C_Decrypt, once."""
        return self._transform((_Function.C_DecryptInit, _Function.C_Decrypt), session, key, cipher, confirm)

    def _transform(
        self,
        functions: tuple[_Function, _Function],
        session: int,
        key: int,
        data: bytes,
        confirm: Callable[[], None],
    ) -> bytes:
        begin, finish = functions
        mechanism = _Mechanism(_RSA_PKCS, None, 0)
        self._call(begin, c_ulong(session), byref(mechanism), c_ulong(key))
        confirm()
        given = (c_ubyte * len(data)).from_buffer_copy(data)
        output, length = (c_ubyte * _OUTPUT_MAX)(), c_ulong(_OUTPUT_MAX)
        self._call(finish, c_ulong(session), given, c_ulong(len(data)), output, byref(length))
        if length.value > _OUTPUT_MAX:
            raise CryptokiError(finish.name, Ckr.GENERAL_ERROR)
        return bytes(output[: length.value])

    def _call(self, function: _Function, *arguments: Any) -> None:
        place = self._table + _TABLE_OFFSET + function * sizeof(c_void_p)
        address = c_void_p.from_address(place).value
        if not address:
            raise CryptokiError(function.name, Ckr.FUNCTION_NOT_SUPPORTED)
        value = int(CFUNCTYPE(c_ulong)(address)(*arguments))
        if value != Ckr.OK:
            raise CryptokiError(function.name, value)


def _text(pin: bytearray | None) -> tuple[Any, c_ulong]:
    """CK_UTF8CHAR_PTR and its length: the caller's own memory, which the caller wipes."""
    if pin is None:
        return POINTER(c_char)(), c_ulong(0)
    return (c_char * len(pin)).from_buffer(pin), c_ulong(len(pin))
