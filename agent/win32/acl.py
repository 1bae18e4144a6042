"""Who may read and write a file or folder on Windows: its owner and its access control list.

Lists are written in the security descriptor definition language ([MS-DTYP] §2.5.1): `D:` the list, `P` what
the folder above says does not count, `(A;OICI;FA;;;SY)` all rights for the system here and below.
"""

from __future__ import annotations

import ctypes
import os
import re
import stat
import sys
from pathlib import Path
from typing import Final

ADMINISTRATORS: Final = frozenset(
    (
        "SY",
        "BA",
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",  # TrustedInstaller
    )
)
"""Who may own what an administrator is to have written, as SDDL says it."""

FOR_ALL_USERS: Final = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
"""Administrators write, users read."""

_ENTRY: Final = re.compile(r"\(([A-Z]+);([A-Z]*);([0-9A-Za-z]*);[^;()]*;[^;()]*;([A-Z0-9-]+)\)")
_READING: Final = frozenset(("FR", "FX", "GR", "GX", "FRFX", "GRGX", "GXGR"))
_READING_BITS: Final = (
    0x00120089 | 0x001200A0 | 0xA0000000
)  # FILE_GENERIC_READ, _EXECUTE, GENERIC_READ, _EXECUTE
_ALSO_FINE: Final = frozenset(("SY", "BA", "CO", "OW"))
"""The system and the administrators read everything anyway; the other two stand for the owner."""


def strangers(list_: str, own: str) -> frozenset[str]:
    """Who is allowed something by `list_` besides the user `own` and those who could take it anyway.

    Args:
        list_: `D:…`, as SDDL.
        own: the user's security identifier.
    """
    return frozenset(trustee for trustee, _ in _allowed(list_)) - _ALSO_FINE - {own}


def writers(list_: str) -> frozenset[str]:
    """Who may change anything by `list_`, besides the system and the administrators."""
    return frozenset(trustee for trustee, rights in _allowed(list_) if _more_than_reading(rights)) - (
        ADMINISTRATORS | {"CO"}  # what somebody makes is theirs; who may make something is in the list too
    )


def leads_elsewhere(folder: Path) -> bool:
    """Whether it is a link or a junction, whose maker can have it lead elsewhere at any time.

    Raises:
        OSError: it is not there.
    """
    told = folder.lstat()
    attributes = getattr(told, "st_file_attributes", 0)  # Windows has them alone
    return stat.S_ISLNK(told.st_mode) or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _allowed(list_: str) -> list[tuple[str, str]]:
    if "NO_ACCESS_CONTROL" in list_ or not list_.startswith("D:"):
        return [("WD", "FA")]  # no list at all: everybody
    return [(who, rights) for kind, _, rights, who in _ENTRY.findall(list_) if not kind.startswith("D")]


def _more_than_reading(rights: str) -> bool:
    if rights.lower().startswith("0x"):
        return bool(int(rights, 16) & ~_READING_BITS)
    return rights not in _READING


if sys.platform == "win32":
    from ctypes import wintypes

    _OWNER: Final = 0x1
    _LIST: Final = 0x4
    _PROTECTED: Final = 0x80000000
    _FILE_OBJECT: Final = 1
    _REVISION: Final = 1
    _TOKEN_QUERY: Final = 0x0008
    _TOKEN_USER: Final = 1

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _shell32 = ctypes.WinDLL("shell32")
    _pointer = ctypes.POINTER(ctypes.c_void_p)
    _kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel32.LocalFree.argtypes = (ctypes.c_void_p,)
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _advapi32.OpenProcessToken.argtypes = (wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE))
    _advapi32.GetTokenInformation.argtypes = (
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )
    _advapi32.ConvertSidToStringSidW.argtypes = (ctypes.c_void_p, ctypes.POINTER(wintypes.LPWSTR))
    _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        _pointer,
        ctypes.c_void_p,
    )
    _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW.argtypes = (
        ctypes.c_void_p,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.LPWSTR),
        ctypes.c_void_p,
    )
    _advapi32.GetNamedSecurityInfoW.argtypes = (
        wintypes.LPCWSTR,
        ctypes.c_int,
        wintypes.DWORD,
        *(ctypes.c_void_p,) * 4,
        _pointer,
    )
    _advapi32.SetFileSecurityW.argtypes = (wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p)

    class _Attributes(ctypes.Structure):
        _fields_ = (
            ("length", wintypes.DWORD),
            ("descriptor", ctypes.c_void_p),
            ("inherit", wintypes.BOOL),
        )

    _kernel32.CreateDirectoryW.argtypes = (wintypes.LPCWSTR, ctypes.POINTER(_Attributes))

    def is_administrator() -> bool:
        """Whether this process runs with an administrator's rights."""
        return bool(_shell32.IsUserAnAdmin())

    def make_for_all_users(folder: Path) -> None:
        """A new folder that administrators write and users read.

        Everybody may make folders in ProgramData, so one that others may write is put aside.

        Raises:
            OSError: it cannot be made.
        """
        if os.path.lexists(folder):
            if administrators_alone_write(folder):
                return
            for number in range(1, 1000):
                aside = folder.with_name(f"{folder.name}.aside-{number}")
                if not aside.exists():
                    folder.rename(aside)
                    break
        descriptor = _descriptor(FOR_ALL_USERS)
        try:
            attributes = _Attributes(ctypes.sizeof(_Attributes), descriptor, False)
            if not _kernel32.CreateDirectoryW(str(folder), ctypes.byref(attributes)):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            _kernel32.LocalFree(descriptor)

    def keep_private(folder: Path) -> None:
        """Close `folder` and what is in it to other users, unless it is closed already.

        Raises:
            OSError: its list cannot be read or set.
        """
        own = own_sid()
        if not strangers(list_of(folder), own):
            return
        descriptor = _descriptor(f"D:P(A;OICI;FA;;;{own})(A;OICI;FA;;;SY)")
        try:
            # What is in it has lists of its own, and who knows a file's whole path needs no right above it.
            for path in (folder, *folder.rglob("*")):
                _checked(_advapi32.SetFileSecurityW(str(path), _LIST | _PROTECTED, descriptor))
        finally:
            _kernel32.LocalFree(descriptor)

    def administrators_alone_write(folder: Path) -> bool:
        """Whether only an administrator can have put a file into this folder.

        Raises:
            OSError: Windows does not tell.
        """
        if leads_elsewhere(folder):
            return False  # what Windows tells is of the folder at its other end
        # Where Windows is set to name the person as owner, an administrator still knows what is their own.
        own = {own_sid()} if is_administrator() else frozenset()
        owner = _text_of(folder, _OWNER).removeprefix("O:")
        return owner in ADMINISTRATORS | own and not writers(list_of(folder)) - own

    def _text_of(path: Path, what: int) -> str:
        descriptor = ctypes.c_void_p()
        code = _advapi32.GetNamedSecurityInfoW(
            str(path), _FILE_OBJECT, what, None, None, None, None, ctypes.byref(descriptor)
        )
        if code:
            raise ctypes.WinError(code)
        text = wintypes.LPWSTR()
        try:
            _checked(
                _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, _REVISION, what, ctypes.byref(text), None
                )
            )
            return text.value or ""
        finally:
            _kernel32.LocalFree(descriptor)
            _kernel32.LocalFree(ctypes.cast(text, ctypes.c_void_p))

    def _descriptor(text: str) -> ctypes.c_void_p:
        descriptor = ctypes.c_void_p()
        _checked(
            _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text, _REVISION, ctypes.byref(descriptor), None
            )
        )
        return descriptor

    def list_of(path: Path) -> str:
        """The access control list of a file or folder, as SDDL.

        Raises:
            OSError: Windows does not tell.
        """
        return _text_of(path, _LIST)

    def own_sid() -> str:
        """The security identifier of the user of this process."""
        token = wintypes.HANDLE()
        _checked(_advapi32.OpenProcessToken(_kernel32.GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)))
        try:
            length = wintypes.DWORD(0)
            _advapi32.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(length))
            user = ctypes.create_string_buffer(length.value)
            _checked(_advapi32.GetTokenInformation(token, _TOKEN_USER, user, length, ctypes.byref(length)))
        finally:
            _kernel32.CloseHandle(token)
        text = wintypes.LPWSTR()
        # TOKEN_USER begins with a pointer to the identifier, which stands behind it in the same buffer.
        _checked(_advapi32.ConvertSidToStringSidW(ctypes.c_void_p.from_buffer(user), ctypes.byref(text)))
        try:
            return text.value or ""
        finally:
            _kernel32.LocalFree(ctypes.cast(text, ctypes.c_void_p))

    def _checked(done: int) -> None:
        if not done:
            raise ctypes.WinError(ctypes.get_last_error())


else:

    def is_administrator() -> bool:
        """Whether this process runs with an administrator's rights; asked on Windows alone."""
        raise OSError(f"not on {sys.platform}")

    def make_for_all_users(folder: Path) -> None:
        """A new folder that administrators write and users read; made on Windows alone."""
        raise OSError(f"not on {sys.platform}: {folder}")

    def keep_private(folder: Path) -> None:
        """Close `folder` and what is in it to other users; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {folder}")

    def administrators_alone_write(folder: Path) -> bool:
        """Whether only an administrator can have put a file into this folder; asked on Windows alone."""
        raise OSError(f"not on {sys.platform}: {folder}")
