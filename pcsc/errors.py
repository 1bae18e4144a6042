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


class ServiceRestartedError(ServiceUnavailableError):
    """The smart card service ended in the middle, or was started anew: what it had given is void."""

    error_id = "service.restarted"


class ServiceEndingError(ServiceUnavailableError):
    """The smart card service ends, as the computer shuts down or the person logs out."""

    error_id = "service.ending"


class ServiceBusyError(ServiceUnavailableError):
    """The smart card service takes no more programs."""

    error_id = "service.busy"


class ServiceDeniedError(ServiceUnavailableError):
    """The system does not let this session use the smart card service (polkit, or its like)."""

    error_id = "service.denied"


class BindingError(ServiceUnavailableError):
    """The library between this program and the smart card service failed, and no reader can be seen."""

    error_id = "service.binding"


class NoReaderError(PcscError):
    """There is no reader."""

    error_id = "reader.none"


class ReaderUnavailableError(PcscError):
    """The reader named is not (or no longer) there."""

    error_id = "reader.unavailable"


class ReaderNameError(PcscError):
    """The reader's name cannot be passed on to the smart card service."""

    error_id = "reader.name"


class ReaderLimitError(PcscError):
    """The reader or its driver cannot do what was asked."""

    error_id = "reader.limit"


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


class CardUnpoweredError(CardResetError):
    """Another program, or the system to save power, cut the card's power: it forgot everything."""

    error_id = "card.unpowered"


class CardProtocolError(PcscError):
    """Reader and card have no way of speaking in common."""

    error_id = "card.protocol"


class CardMuteError(PcscError):
    """The card does not answer: upside down, dirty, broken, or not a chip card."""

    error_id = "card.mute"


class CommunicationError(PcscError):
    """The exchange with the card failed."""

    error_id = "card.communication"


class ReaderFaultError(CommunicationError):
    """The reader or its driver failed in the exchange."""

    error_id = "reader.failed"


class ReaderTooSmallError(CommunicationError):
    """The reader or its driver does not pass on as much as this exchange needs."""

    error_id = "reader.too_small"


class ReaderTimeoutError(CommunicationError):
    """The reader did not answer in time."""

    error_id = "reader.timeout"


class ReaderNotReadyError(CommunicationError):
    """The reader is not ready yet."""

    error_id = "reader.not_ready"


class MalformedResponseError(PcscError):
    """The card answered bytes that are no valid response: torn, endless, or lengths that lie."""

    error_id = "card.malformed"


class CancelledError(PcscError):
    """The wait was cancelled by this program itself."""

    error_id = "request.cancelled"
