"""What can go wrong between this program and a card, one class for each thing a person can do about it.

`error_id` is the stable id of the row in `agent.errors`; the number in `code` is the PC/SC return code
(PC/SC part 5 §3, winscard.h) where there was one.
"""

from __future__ import annotations

from typing import ClassVar


class PcscError(Exception):
    """Base of everything that PC/SC, a reader or the link to a card reports."""

    error_id: ClassVar[str] = "reader.failed"

    def __init__(self, code: int = 0, detail: str = "", *, reader: str | None = None) -> None:
        self.code = code & 0xFFFFFFFF
        self.reader = reader
        where = f" ({reader})" if reader else ""
        number = f" 0x{self.code:08X}" if self.code else ""
        super().__init__(f"{detail or type(self).__doc__ or ''}{number}{where}".strip())


class ServiceUnavailableError(PcscError):
    """The smart card service is not running."""

    error_id = "service.unavailable"


class NoReaderError(PcscError):
    """There is no reader."""

    error_id = "reader.none"


class ReaderUnavailableError(PcscError):
    """The reader named is not (or no longer) there."""

    error_id = "reader.unavailable"


class ReaderBusyError(PcscError):
    """Another program holds the card exclusively."""

    error_id = "reader.busy"


class NoCardError(PcscError):
    """There is no card in the reader."""

    error_id = "card.none"


class CardRemovedError(PcscError):
    """The card was pulled out in the middle."""

    error_id = "card.removed"


class CardResetError(PcscError):
    """Another program reset the card; whatever was selected or verified is no longer so."""

    error_id = "card.reset"


class CardMuteError(PcscError):
    """The card does not answer: upside down, dirty, broken, or not a chip card."""

    error_id = "card.mute"


class CommunicationError(PcscError):
    """The exchange with the card failed."""

    error_id = "card.communication"


class MalformedResponseError(PcscError):
    """The card answered bytes that are no valid response: torn, endless, or lengths that lie."""

    error_id = "card.malformed"


class CancelledError(PcscError):
    """The wait was cancelled by this program itself."""

    error_id = "request.cancelled"
