"""What a process that reads hostile documents may take, where the system can bound it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


def limit_process(seconds: int, memory: int) -> None:
    """Bound this process: so many seconds of the processor, so many octets of memory, no file written."""
    if sys.platform == "win32":
        return
    import resource

    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


@contextmanager
def answer_alone() -> Iterator[BinaryIO]:
    """Run the body with what was standard output; whatever libraries print goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answers, "wb") as target:
        yield target
