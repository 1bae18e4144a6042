"""Ending the agents that run from a folder, so that their files can be replaced or removed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import win32api
    import win32con
    import win32event
    import win32process
    import win32profile
    import win32ts

    _RIGHTS = (
        win32con.PROCESS_QUERY_INFORMATION
        | win32con.PROCESS_VM_READ
        | win32con.PROCESS_TERMINATE
        | win32con.SYNCHRONIZE
    )
    _PATIENCE = 10_000  # ms

    def end_all(folder: Path) -> int:
        """End every other process whose program lies in `folder`, as far as it may; return how many."""
        count = 0
        for pid in win32process.EnumProcesses():
            with suppress(win32api.error):  # it ended, or is somebody else's
                process = win32api.OpenProcess(_RIGHTS, False, pid)
                program = Path(win32process.GetModuleFileNameEx(process, 0))
                if pid != os.getpid() and program.parent == folder:  # Windows' paths compare in any case
                    win32api.TerminateProcess(process, 1)
                    win32event.WaitForSingleObject(process, _PATIENCE)
                    count += 1
        return count

    def start_for_everybody(program: Path) -> int:
        """Start the agent in the session of each person who is logged in; return in how many.

        The system alone gets at their tokens: for an administrator it is none, and agents come at the next
        login.
        """
        count = 0
        for session in win32ts.WTSEnumerateSessions():
            with suppress(win32api.error):  # nobody is logged in there, or this is not the system
                token = win32ts.WTSQueryUserToken(session["SessionId"])
                environment = win32profile.CreateEnvironmentBlock(token, False)
                win32process.CreateProcessAsUser(
                    token,
                    str(program),
                    f'"{program}" run',
                    None,
                    None,
                    False,
                    win32con.CREATE_UNICODE_ENVIRONMENT,
                    environment,
                    str(program.parent),
                    win32process.STARTUPINFO(),
                )
                count += 1
        return count

else:

    def start_for_everybody(program: Path) -> int:
        """Start the agent for each person who is logged in; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {program}")

    def end_all(folder: Path) -> int:
        """End every other process whose program lies in `folder`; done on Windows alone."""
        raise OSError(f"not on {sys.platform} ({os.getpid()}): {folder}")
