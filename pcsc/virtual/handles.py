"""The contexts and handles that a virtual service has given out."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcsc.results import ReturnCode
from pcsc.virtual.readers import VirtualReader
from pcsc.virtual.state import ServiceState
from pcsc.winscard import Share


@dataclass(eq=False, slots=True)
class VirtualContext:
    """One SCARDCONTEXT.

    Attributes:
        world: the service that gave it.
        start: which start of the service that was; a later one does not know it.
        waiting: whether SCardGetStatusChange is at work.
        cancelled: whether that was cancelled.
        closed: whether it was released.
    """

    world: ServiceState
    start: int
    waiting: bool = False
    cancelled: bool = False
    closed: bool = False

    def trouble(self) -> ReturnCode | None:
        """Return the reason why the context cannot be used, None if it can."""
        if self.closed:
            return ReturnCode.INVALID_HANDLE
        if not self.world.running or self.start != self.world.starts:
            return ReturnCode.NO_SERVICE
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
        """Take note of the card as it is now."""
        self.counter = self.reader.counter
        self.resets = self.reader.resets

    def trouble(self) -> ReturnCode | None:
        """Return the reason why the card cannot be used, None if it can."""
        if trouble := self.context.trouble():
            return trouble
        if not self.reader.plugged:
            return ReturnCode.READER_UNAVAILABLE
        if self.share is Share.DIRECT:
            return None
        if self.counter != self.reader.counter or self.reader.card is None:
            return ReturnCode.REMOVED_CARD
        if self.resets != self.reader.resets:
            return ReturnCode.RESET_CARD
        return None

    def transmit(self, command: bytes) -> bytes | None:
        """Return the card's answer, None if there is no card."""
        card = self.reader.card
        return None if card is None else card.transmit(command)
