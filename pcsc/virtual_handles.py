"""What a virtual service remembers of the contexts and handles it has given out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pcsc.results import Result
from pcsc.winscard import Share

if TYPE_CHECKING:
    from pcsc.virtual import VirtualWinscard
    from pcsc.virtual_reader import VirtualReader


@dataclass(eq=False, slots=True)
class VirtualContext:
    """One SCARDCONTEXT.

    Attributes:
        winscard: the service that gave it.
        start: which start of the service that was; a later one does not know it.
        waiting: whether SCardGetStatusChange is at work.
        cancelled: whether that was cancelled.
        closed: whether it was released.
    """

    winscard: VirtualWinscard
    start: int
    waiting: bool = False
    cancelled: bool = False
    closed: bool = False

    def trouble(self) -> Result | None:
        """Why nothing can be done with it any more."""
        if self.closed:
            return Result.INVALID_HANDLE
        if not self.winscard.running or self.start != self.winscard.starts:
            return Result.NO_SERVICE
        return None


@dataclass(eq=False, slots=True)
class VirtualHandle:
    """One SCARDHANDLE.

    Attributes:
        context: the context it was connected with.
        reader: where the card is.
        share: how it shares the card.
        counter: the reader's event counter when it was connected, so that another card is not taken for this.
        resets: the card's resets it knows of.
    """

    context: VirtualContext
    reader: VirtualReader
    share: Share
    counter: int = field(default=-1)
    resets: int = field(default=-1)

    def refresh(self) -> None:
        """Know the card as it is now."""
        self.counter = self.reader.counter
        self.resets = self.reader.resets

    def trouble(self) -> Result | None:
        """Why the card cannot be used with it."""
        if trouble := self.context.trouble():
            return trouble
        if not self.reader.plugged:
            return Result.READER_UNAVAILABLE
        if self.share is Share.DIRECT:
            return None
        if self.counter != self.reader.counter or self.reader.card is None:
            return Result.REMOVED_CARD
        if self.resets != self.reader.resets:
            return Result.RESET_CARD
        return None

    def transmit(self, command: bytes) -> bytes | None:
        """The card's answer, or None where no card is left to give one."""
        card = self.reader.card
        return None if card is None else card.transmit(command)
