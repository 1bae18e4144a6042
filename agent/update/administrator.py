"""Whether this process is the administrator's, and whether a file could be anybody else's."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Final

from agent import links

# winnt.h, accctrl.h; well-known security identifiers: SYSTEM, Administrators, TrustedInstaller.
_SE_FILE_OBJECT: Final = 1
_OWNER_SECURITY_INFORMATION: Final = 1
_ADMINISTRATORS: Final = (
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
)


def is_administrator() -> bool:
    """Whether this process may install programs for everybody: root, or an elevated administrator."""
    if sys.platform == "win32":
        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0


def is_administrators(path: Path) -> bool:
    """Whether nobody but the administrator made `path` and what leads to it, or can change them.

    That is the file, the folders above it, and every link on the way with the folders above that.

    On Windows the owners are asked, which no ordinary user can make others; who else may write there is what
    the owner gave away, and not looked at.

    Raises:
        OSError: it is not there, or cannot be asked.
    """
    file = links.real(path)
    return all(map(_is_administrators, (file, *file.parents, *links.places_of(path.absolute()))))


if sys.platform == "win32":

    def _is_administrators(path: Path) -> bool:
        advapi: Any = ctypes.WinDLL("advapi32")
        kernel: Any = ctypes.WinDLL("kernel32")
        advapi.ConvertSidToStringSidW.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        kernel.LocalFree.argtypes = (ctypes.c_void_p,)
        owner, descriptor, text = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_wchar_p()
        what = (_SE_FILE_OBJECT, _OWNER_SECURITY_INFORMATION)
        told = (ctypes.byref(owner), None, None, None, ctypes.byref(descriptor))
        code = advapi.GetNamedSecurityInfoW(str(path), *what, *told)
        if code:
            raise ctypes.WinError(code)
        try:
            if not advapi.ConvertSidToStringSidW(owner, ctypes.byref(text)):
                raise ctypes.WinError()
            sid = text.value
            kernel.LocalFree(ctypes.cast(text, ctypes.c_void_p))
            return sid in _ADMINISTRATORS
        finally:
            kernel.LocalFree(descriptor)

else:

    def _is_administrators(path: Path) -> bool:
        told = path.stat()
        return told.st_uid == 0 and not told.st_mode & 0o022
