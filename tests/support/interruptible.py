"""Programs that Ctrl-C reaches, even in a test run that is itself a background job.

A shell has its background jobs ignore SIGINT, and every program they start inherits that.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

_RUN: Final = "import sys; from tests.support.interruptible import replace; replace(sys.argv[1:])"


def interruptible(words: Sequence[str]) -> list[str]:
    """Return the words that run `words`, in the same process, with the system's own answer to SIGINT."""
    return [sys.executable, "-c", _RUN, *words]


def replace(words: Sequence[str]) -> NoReturn:
    """Become the program `words`, which SIGINT ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(words[0], words)
