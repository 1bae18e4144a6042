"""Adding to a file that several processes add to at once, as O_APPEND does elsewhere.

The C library of Windows looks for the end and writes there in two steps, so that one process writes over what
another just wrote, and it keeps others from renaming a file that is open.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.platform == "win32":
    import win32con
    import win32file

    from agent.win32.errors import as_os_errors

    _APPEND = 0x0004 | win32con.SYNCHRONIZE  # FILE_APPEND_DATA without FILE_WRITE_DATA
    _SHARED = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_WRITE | win32con.FILE_SHARE_DELETE

    @as_os_errors()
    def append(path: Path, content: bytes) -> None:
        """Add `content` at the end, in one piece; the file is made when there is none.

        Raises:
            OSError: if it cannot be written.
        """
        always, normal = win32con.OPEN_ALWAYS, win32con.FILE_ATTRIBUTE_NORMAL
        handle = win32file.CreateFile(str(path), _APPEND, _SHARED, None, always, normal, None)
        try:
            win32file.WriteFile(handle, content)
        finally:
            handle.Close()

else:

    def append(path: Path, content: bytes) -> None:
        """Add `content` at the end, in one piece; done in this way on Windows alone."""
        raise OSError(f"not on {sys.platform}: {path}, {len(content)} bytes")
