"""The command line of OpenSSL, the independent judge of what we make."""

from __future__ import annotations

import shutil
import sys

import pytest


def openssl_program() -> str:
    """Its path; only on Windows, which does not bring it, may it be missing."""
    found = shutil.which("openssl")
    if found is None and sys.platform == "win32":
        pytest.skip("Windows does not bring the command line of OpenSSL")
    assert found is not None, "tools/setup test installs openssl"
    return found
