"""Ending the agents that run from a folder, so that their files can be replaced or removed."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    from ctypes import wintypes

    _PATH_MAX: Final = 32_768
    _PROCESSES_MAX: Final = 65_536
    _QUERY_AND_END: Final = 0x1000 | 0x0001 | 0x00100000  # query limited, terminate, synchronize
    _PATIENCE: Final = 10_000  # ms

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _kernel32.TerminateProcess.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel32.WaitForSingleObject.argtypes = (wintypes.HANDLE, wintypes.DWORD)
    _kernel32.QueryFullProcessImageNameW.argtypes = (
        wintypes.HANDLE,
        wintypes.DWORD,
        wintypes.LPWSTR,
        ctypes.POINTER(wintypes.DWORD),
    )
    _kernel32.K32EnumProcesses.argtypes = (
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )

    def end_all(folder: Path) -> int:
        """End every other process whose program lies in `folder`, as far as this process may; how many."""
        count = 0
        for pid in _pids():
            if pid in (os.getpid(), 0):
                continue
            process = _kernel32.OpenProcess(_QUERY_AND_END, False, pid)
            if not process:
                continue  # gone, or somebody else's
            try:
                if _lies_in(_program(process), folder) and _kernel32.TerminateProcess(process, 1):
                    _kernel32.WaitForSingleObject(process, _PATIENCE)
                    count += 1
            finally:
                _kernel32.CloseHandle(process)
        return count

    def _pids() -> tuple[int, ...]:
        numbers = (wintypes.DWORD * _PROCESSES_MAX)()
        used = wintypes.DWORD()
        if not _kernel32.K32EnumProcesses(numbers, ctypes.sizeof(numbers), ctypes.byref(used)):
            raise ctypes.WinError(ctypes.get_last_error())
        return tuple(numbers[: used.value // ctypes.sizeof(wintypes.DWORD)])

    def _program(process: int) -> Path | None:
        name = ctypes.create_unicode_buffer(_PATH_MAX)
        length = wintypes.DWORD(_PATH_MAX)
        done = _kernel32.QueryFullProcessImageNameW(process, 0, name, ctypes.byref(length))
        return Path(name.value) if done else None

    def _lies_in(program: Path | None, folder: Path) -> bool:
        return program is not None and program.parent == folder  # Windows' paths compare in any case

else:

    def end_all(folder: Path) -> int:
        """End every other process whose program lies in `folder`; done on Windows alone."""
        raise OSError(f"not on {sys.platform} ({os.getpid()}): {folder}")
