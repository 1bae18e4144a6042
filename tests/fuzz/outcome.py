"""When what a target did with bytes is a finding.

A reader may take what it is given or refuse it in words: with an exception that has an error of its own in
the table. Any other exception is a finding; so are a hang and memory past their bounds, and a "valid" for
what nobody signed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from agent.errors import ErrorId, error_id

Target = Callable[[bytes], None]


def worded(error: Exception) -> bool:
    """Whether an exception is an answer that a person can be given."""
    return error_id(error) in set(ErrorId) and error_id(error) != ErrorId.INTERNAL


@contextmanager
def refusals(*also: type[Exception]) -> Iterator[None]:
    """Let refusals pass: those with words, and those that the reader's own contract names."""
    try:
        yield
    except also:
        pass
    except Exception as error:
        if not worded(error):
            raise


@cache
def folder() -> Path:
    """A folder for this process."""
    return Path(tempfile.mkdtemp(prefix="hca-agent-fuzz-"))
