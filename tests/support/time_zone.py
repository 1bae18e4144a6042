"""The process in Taiwan's time, so that no local time can pass for UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support.platforms import WINDOWS

# As POSIX writes it, so that no data base of time zones is needed.
TAIWAN: Final = "CST-8"


@contextmanager
def in_taiwan() -> Iterator[None]:
    """The body runs eight hours ahead of UTC; left alone on Windows, where a process has no zone."""
    if WINDOWS:
        yield
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", TAIWAN)
        time.tzset()
        yield
    time.tzset()
