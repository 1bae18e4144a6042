"""Has Wine draw its bar with the icons anew; run by the Windows Python of that Windows.

    python -m tests.support.windows_bar DESKTOP

Wine 10 draws an icon that changed over the one before and erases nothing: where the new one is transparent,
the old one still shows. A bar that is drawn as a whole shows what is.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

BAR: Final = "Shell_TrayWnd"
_ALL_RIGHTS: Final = 0x1FF
_INVALIDATE, _ERASE, _ALL_CHILDREN, _UPDATE_NOW = 0x1, 0x4, 0x80, 0x100


def main(desktop: str) -> None:
    """Redraw the bar of a desktop, and all that is on it, once there is one."""
    user: Any = ctypes.WinDLL("user32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    for function in (user.OpenDesktopW, user.FindWindowW):
        function.restype = ctypes.c_void_p
    user.SetThreadDesktop.argtypes = (ctypes.c_void_p,)
    user.RedrawWindow.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint)
    if not user.SetThreadDesktop(user.OpenDesktopW(desktop, 0, False, _ALL_RIGHTS)):
        return
    bar = user.FindWindowW(BAR, None)
    if bar:
        user.RedrawWindow(bar, None, None, _INVALIDATE | _ERASE | _ALL_CHILDREN | _UPDATE_NOW)


if __name__ == "__main__":
    main(sys.argv[1])
