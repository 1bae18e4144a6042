"""Adding to a file that several processes add to at once, as O_APPEND does elsewhere.

The C library of Windows looks for the end and writes there in two steps, so that one process writes over what
another just wrote, and it keeps others from renaming a file that is open.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    from ctypes import wintypes

    _APPEND: Final = 0x0004 | 0x00100000  # FILE_APPEND_DATA without FILE_WRITE_DATA, SYNCHRONIZE
    _SHARED: Final = 0x7  # to read, to write, to delete and rename
    _OPEN_ALWAYS: Final = 4
    _NORMAL: Final = 0x80
    _INVALID: Final = ctypes.c_void_p(-1).value

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.CreateFileW.restype = ctypes.c_void_p
    _kernel32.CreateFileW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.c_void_p,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.c_void_p,
    )
    _kernel32.WriteFile.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
        ctypes.c_void_p,
    )
    _kernel32.CloseHandle.argtypes = (ctypes.c_void_p,)

    def append(path: Path, content: bytes) -> None:
        """Add `content` at the end, in one piece; the file is made when there is none.

        Raises:
            OSError: it cannot be written.
        """
        handle = _kernel32.CreateFileW(str(path), _APPEND, _SHARED, None, _OPEN_ALWAYS, _NORMAL, None)
        if handle == _INVALID:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            written = wintypes.DWORD()
            if not _kernel32.WriteFile(handle, content, len(content), ctypes.byref(written), None):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            _kernel32.CloseHandle(handle)

else:

    def append(path: Path, content: bytes) -> None:
        """Add `content` at the end, in one piece; done in this way on Windows alone."""
        raise OSError(f"not on {sys.platform}: {path}, {len(content)} bytes")
