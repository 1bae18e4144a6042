"""The calls of a PKCS#11 module, over ctypes; PKCS#11 2.40 §5.

python-pkcs11 and PyKCS11 copy PINs to where they cannot be wiped, and ask C_Sign for the length first, with a
NULL buffer, which HiCOS' module answers wrongly; python-pkcs11 also loses the return value.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, addressof, byref, c_ubyte, c_ulong, c_void_p, sizeof
from enum import IntEnum, IntFlag
from typing import Any, Final

# On Windows the structures are packed (PKCS#11 §2.1); elsewhere they are aligned as usual.
_ALIGNMENT: Final = 1 if sys.platform == "win32" else sizeof(c_void_p)
_OUTPUT_MAX: Final = 1024
_SLOTS_MAX: Final = 1024
_OBJECTS_MAX: Final = 64
_VALUE_MAX: Final = 32 * 1024
_CKD_NULL: Final = 1
_RW_SESSION: Final = 0x02
_SERIAL_SESSION: Final = 0x04


class Ckr(IntEnum):
    """Return values that mean something to the person; PKCS#11 §3.6."""

    OK = 0x00
    SLOT_ID_INVALID = 0x03
    GENERAL_ERROR = 0x05
    DEVICE_REMOVED = 0x32
    FUNCTION_CANCELED = 0x50
    FUNCTION_NOT_SUPPORTED = 0x54
    KEY_HANDLE_INVALID = 0x60
    KEY_FUNCTION_NOT_PERMITTED = 0x68
    MECHANISM_INVALID = 0x70
    PIN_INCORRECT = 0xA0
    PIN_INVALID = 0xA1
    PIN_LEN_RANGE = 0xA2
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
    USER_PIN_FINAL_TRY = 0x20000
    USER_PIN_LOCKED = 0x40000
    SO_PIN_FINAL_TRY = 0x200000
    SO_PIN_LOCKED = 0x400000


class KeyType(IntEnum):
    """CK_KEY_TYPE."""

    RSA = 0x00
    EC = 0x03
    GENERIC_SECRET = 0x10


class Mechanism(IntEnum):
    """CK_MECHANISM_TYPE."""

    RSA_PKCS = 0x01
    RSA_PSS = 0x0D
    ECDSA = 0x1041
    ECDH1_DERIVE = 0x1050


PSS_HASHES: Final = {20: (0x220, 1), 32: (0x250, 2), 48: (0x260, 3), 64: (0x270, 4)}
"""CKM_SHA_1, CKM_SHA256, CKM_SHA384, CKM_SHA512 and MGF1 with each (PKCS#11 §2.1.9), by digest length."""


class User(IntEnum):
    """CK_USER_TYPE."""

    SECURITY_OFFICER = 0
    USER = 1
    CONTEXT_SPECIFIC = 2


class ObjectClass(IntEnum):
    """CK_OBJECT_CLASS."""

    CERTIFICATE = 1
    PRIVATE_KEY = 3
    SECRET_KEY = 4


class Attribute(IntEnum):
    """CK_ATTRIBUTE_TYPE."""

    CLASS = 0x00
    TOKEN = 0x01
    VALUE = 0x11
    KEY_TYPE = 0x100
    ID = 0x102
    SENSITIVE = 0x103
    MODULUS = 0x120
    VALUE_LEN = 0x161
    EXTRACTABLE = 0x162
    ALWAYS_AUTHENTICATE = 0x202


class CryptokiError(Exception):
    """A function of the module did not return CKR_OK."""

    def __init__(self, function: str, value: int) -> None:
        super().__init__(f"{function}: CKR 0x{value:X}")
        self.value = value


class CkSlotInfo(Structure):
    """CK_SLOT_INFO."""

    _pack_ = _ALIGNMENT
    _fields_ = (
        ("description", c_ubyte * 64),
        ("manufacturer", c_ubyte * 32),
        ("flags", c_ulong),
        ("versions", c_ubyte * 4),
    )


class CkTokenInfo(Structure):
    """CK_TOKEN_INFO."""

    _pack_ = _ALIGNMENT
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
    _pack_ = _ALIGNMENT
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("parameter_length", c_ulong))


class CkAttribute(Structure):
    """CK_ATTRIBUTE."""

    _pack_ = _ALIGNMENT
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class _Ecdh(Structure):
    """CK_ECDH1_DERIVE_PARAMS."""

    _pack_ = _ALIGNMENT
    _fields_ = (
        ("kdf", c_ulong),
        ("shared_length", c_ulong),
        ("shared", c_void_p),
        ("public_length", c_ulong),
        ("public", c_void_p),
    )


class _FunctionList(Structure):
    _pack_ = _ALIGNMENT
    _fields_ = (("version", c_ubyte * 2), ("functions", c_void_p * 68))


class Function(IntEnum):
    """Places in CK_FUNCTION_LIST; PKCS#11 §3.7."""

    C_Initialize = 0
    C_GetSlotList = 4
    C_GetSlotInfo = 5
    C_GetTokenInfo = 6
    C_InitPIN = 10
    C_SetPIN = 11
    C_OpenSession = 12
    C_CloseSession = 13
    C_Login = 18
    C_Logout = 19
    C_CreateObject = 20
    C_DestroyObject = 22
    C_GetAttributeValue = 24
    C_FindObjectsInit = 26
    C_FindObjects = 27
    C_FindObjectsFinal = 28
    C_DecryptInit = 33
    C_Decrypt = 34
    C_SignInit = 42
    C_Sign = 43
    C_DeriveKey = 62


class Cryptoki:
    """A module, loaded and initialised.

    Args:
        path: the file, absolute.

    Raises:
        CryptokiError: from any method: the module did not return CKR_OK.
        OSError, AttributeError: the file cannot be loaded, or is no module.
    """

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self._library.C_GetFunctionList.restype = c_ulong
        table = POINTER(_FunctionList)()
        value = self._library.C_GetFunctionList(byref(table))
        if value != Ckr.OK or not table:
            raise CryptokiError("C_GetFunctionList", value)
        self._functions = table.contents.functions
        self.call(Function.C_Initialize, None)

    def call(self, function: Function, *arguments: Any) -> None:
        """Call that function; integers among the arguments are CK_ULONG, None is NULL."""
        address = self._functions[function]
        if not address:
            raise CryptokiError(function.name, Ckr.FUNCTION_NOT_SUPPORTED)
        given = (
            c_ulong(each) if isinstance(each, int) else c_void_p() if each is None else each
            for each in arguments
        )
        value = int(CFUNCTYPE(c_ulong)(address)(*given))
        if value != Ckr.OK:
            raise CryptokiError(function.name, value)

    def slots(self) -> tuple[int, ...]:
        """C_GetSlotList of the slots with a token; the call for the length is what looks anew (§5.5)."""
        count = c_ulong()
        self.call(Function.C_GetSlotList, c_ubyte(1), None, byref(count))
        if count.value > _SLOTS_MAX:
            raise CryptokiError("C_GetSlotList", Ckr.GENERAL_ERROR)
        found = (c_ulong * count.value)()
        self.call(Function.C_GetSlotList, c_ubyte(1), found, byref(count))
        return tuple(found[: count.value])

    def slot_info(self, slot: int) -> CkSlotInfo:
        """C_GetSlotInfo."""
        info = CkSlotInfo()
        self.call(Function.C_GetSlotInfo, slot, byref(info))
        return info

    def token_info(self, slot: int) -> CkTokenInfo:
        """C_GetTokenInfo."""
        info = CkTokenInfo()
        self.call(Function.C_GetTokenInfo, slot, byref(info))
        return info

    def open_session(self, slot: int, *, writing: bool = False) -> int:
        """C_OpenSession; the handle."""
        session = c_ulong()
        flags = _SERIAL_SESSION | (_RW_SESSION if writing else 0)
        self.call(Function.C_OpenSession, slot, flags, None, None, byref(session))
        return session.value

    def objects(self, session: int, kind: ObjectClass) -> tuple[int, ...]:
        """C_FindObjects: the handles of the first 64 objects of that class."""
        wanted = c_ulong(kind)
        template = CkAttribute(Attribute.CLASS, addressof(wanted), sizeof(wanted))
        self.call(Function.C_FindObjectsInit, session, byref(template), 1)
        handles: list[int] = []
        some, count = (c_ulong * _OBJECTS_MAX)(), c_ulong()
        try:
            while len(handles) < _OBJECTS_MAX:
                self.call(Function.C_FindObjects, session, some, _OBJECTS_MAX - len(handles), byref(count))
                if not count.value:
                    break
                handles += some[: count.value]
        finally:
            self.call(Function.C_FindObjectsFinal, session)
        return tuple(handles)

    def attribute(self, session: int, handle: int, kind: Attribute) -> bytes:
        """C_GetAttributeValue; empty where the object has no such attribute, or none that can be read."""
        wanted = CkAttribute(kind, None, 0)
        try:
            self.call(Function.C_GetAttributeValue, session, handle, byref(wanted), 1)
            if wanted.length > _VALUE_MAX:  # CK_UNAVAILABLE_INFORMATION is the greatest number there is
                return b""
            value = (c_ubyte * wanted.length)()
            wanted.value = addressof(value)
            self.call(Function.C_GetAttributeValue, session, handle, byref(wanted), 1)
        except CryptokiError:
            return b""
        return bytes(value[: wanted.length])

    def key_type(self, session: int, key: int) -> int:
        """CKA_KEY_TYPE; RSA where the module does not say."""
        return int.from_bytes(self.attribute(session, key, Attribute.KEY_TYPE), sys.byteorder)

    def begin(self, function: Function, session: int, key: int, mechanism: int, *parameter: int) -> None:
        """C_SignInit or C_DecryptInit; the mechanism's parameter is of CK_ULONG, or there is none."""
        numbers = (c_ulong * len(parameter))(*parameter)
        place = addressof(numbers) if parameter else None
        self.call(function, session, byref(_Mechanism(mechanism, place, sizeof(numbers))), key)

    def derive(self, session: int, key: int, point: bytes) -> bytes:
        """C_DeriveKey of CKM_ECDH1_DERIVE, without a derivation function; the secret, kept nowhere."""
        public = (c_ubyte * len(point))(*point)
        parameters = _Ecdh(_CKD_NULL, 0, None, len(point), addressof(public))
        mechanism = _Mechanism(Mechanism.ECDH1_DERIVE, addressof(parameters), sizeof(parameters))
        template = {
            Attribute.CLASS: c_ulong(ObjectClass.SECRET_KEY),
            Attribute.KEY_TYPE: c_ulong(KeyType.GENERIC_SECRET),
            Attribute.VALUE_LEN: c_ulong(len(point) // 2),
            Attribute.TOKEN: c_ubyte(0),
            Attribute.SENSITIVE: c_ubyte(0),
            Attribute.EXTRACTABLE: c_ubyte(1),
        }
        attributes = (CkAttribute * len(template))(
            *(CkAttribute(kind, addressof(value), sizeof(value)) for kind, value in template.items())
        )
        handle = c_ulong()
        arguments = byref(mechanism), key, attributes, len(template), byref(handle)
        self.call(Function.C_DeriveKey, session, *arguments)
        try:
            return self.attribute(session, handle.value, Attribute.VALUE)
        finally:
            self.call(Function.C_DestroyObject, session, handle.value)

    def finish(self, function: Function, session: int, data: bytes) -> bytes:
        """C_Sign or C_Decrypt, once, with a buffer that is long enough."""
        output, length = (c_ubyte * _OUTPUT_MAX)(), c_ulong(_OUTPUT_MAX)
        self.call(function, session, *text(bytearray(data)), output, byref(length))
        if length.value > _OUTPUT_MAX:
            raise CryptokiError(function.name, Ckr.GENERAL_ERROR)
        return bytes(output[: length.value])


def text(octets: bytearray | None) -> tuple[Any, int]:
    """Return a pointer to these very octets (the caller wipes them) and their number; NULL and 0 for None."""
    if octets is None:
        return None, 0
    return (c_ubyte * len(octets)).from_buffer(octets), len(octets)
