"""Tests that have nothing to do on Windows say so, with the reason."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

WINDOWS = sys.platform == "win32"
LINUX_STORES = "trust stores of Linux, and the certutil of NSS"
MODES = "modes of POSIX; on Windows the folder's access control list says it"


def not_on_windows(reason: str) -> pytest.MarkDecorator:
    """For a test or a whole module."""
    return pytest.mark.skipif(WINDOWS, reason=reason)


def not_under_wine(reason: str) -> pytest.MarkDecorator:
    """For what Microsoft's Windows does and Wine does not."""
    return pytest.mark.skipif(is_wine(), reason=reason)


def is_wine() -> bool:
    """Whether this Windows is Wine."""
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def is_private(file: Path) -> bool:
    """Whether other users cannot read it."""
    if sys.platform == "win32":
        from agent.win32 import acl, users

        return not acl.strangers(acl.list_of(file), users.sid_of())
    return file.stat().st_mode & 0o077 == 0
