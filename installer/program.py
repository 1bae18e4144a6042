"""What the frozen program runs first."""

import os
import sys

if sys.platform == "linux":
    # PyInstaller's start program had this process look for libraries in its own folder. The programs that
    # this one starts (a browser, certutil, update-ca-certificates) are the system's, and so are their
    # libraries.
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    os.environ.pop("LD_LIBRARY_PATH", None)
    if before:
        os.environ["LD_LIBRARY_PATH"] = before
    # Its own processes (windows, icon, modules) begin as a program does that a person starts.
    os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"

from agent.__main__ import main

main()
