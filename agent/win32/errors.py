"""The errors of pywin32 as those that Python has for files and processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform == "win32":
    import pywintypes

    @contextmanager
    def as_os_errors() -> Iterator[None]:
        """Run the body; raise OSError, or the subclass that fits, for an error of Windows."""
        try:
            yield
        except pywintypes.error as error:
            raise OSError(0, error.strerror, None, error.winerror) from error
