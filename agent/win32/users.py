"""Whose a process is, by the security identifier of its user in SDDL (`S-1-5-21-…`)."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import win32api
    import win32con
    import win32security

    from agent.win32.errors import as_os_errors

    @as_os_errors()
    def sid_of(pid: int | None = None) -> str:
        """Return the security identifier of the user of process `pid`, or of this process.

        Raises:
            OSError: if there is no such process, or Windows does not tell this user.
        """
        if pid is None:
            process = win32api.GetCurrentProcess()
        else:
            process = win32api.OpenProcess(win32con.PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
        token = win32security.OpenProcessToken(process, win32con.TOKEN_QUERY)
        user, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
        return str(win32security.ConvertSidToStringSid(user))

else:

    def sid_of(pid: int | None = None) -> str:
        """Return the security identifier of the user of process `pid`; on Windows alone."""
        raise OSError(f"not on {sys.platform}: {pid}")
