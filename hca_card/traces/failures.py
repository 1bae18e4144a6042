"""What keeps a trace from being read, and what is said of one that can be read in part."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

_Result = TypeVar("_Result")


class TraceError(Exception):
    """A trace cannot be used. Its message holds nothing of what stands in the trace."""

    error_id: ClassVar[str] = "trace.unreadable"


class UnknownTraceError(TraceError):
    """The file is none of the traces that can be read, or holds no command to a card."""

    error_id: ClassVar[str] = "trace.unknown"


class ContactlessError(TraceError):
    """The trace is of a contactless card."""

    error_id: ClassVar[str] = "trace.contactless"


class MixedCardsError(TraceError):
    """What two cards said cannot be told apart."""

    error_id: ClassVar[str] = "trace.mixed"


class SeveralCardsError(TraceError):
    """There are several cards in the trace, each by itself, and none was chosen."""

    error_id: ClassVar[str] = "trace.several_cards"


def out_of_reach(work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns; what it raises is made anew, so that its frames and their bytes are gone.

    Raises:
        TraceError: as `work`, or anything that nobody foresaw, by its name alone.
        OSError: as `work`.
    """
    try:
        return work()
    except TraceError as error:
        again: Exception = type(error)(*error.args)
    except OSError as error:
        again = OSError(error.errno, error.strerror, error.filename)
    except Exception as error:
        again = TraceError(type(error).__name__)
    raise again
