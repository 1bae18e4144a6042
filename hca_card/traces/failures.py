"""What keeps a trace from being read, and what is said of one that can be read in part."""

from __future__ import annotations

from typing import ClassVar


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
