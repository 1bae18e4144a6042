"""What a card can refuse or lack, one class for each thing a person can do about it.

`error_id` is the stable id of the row in `agent.errors`. Transport troubles stay `pcsc.errors`.
"""

from __future__ import annotations

from typing import ClassVar


class CardError(Exception):
    """Base of what a card application refuses."""

    error_id: ClassVar[str] = "card.failed"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or type(self).__doc__)


class UnknownCardError(CardError):
    """No application on this card is known to us."""

    error_id = "card.unknown"


class UnsupportedError(CardError):
    """This card cannot do what was asked (it has no such key, or its commands are not public)."""

    error_id = "card.unsupported"


class HicosModuleError(UnsupportedError):
    """Keys and PIN of a HiCOS card need its maker's module (HiCOSPKCS11.dll, libHicos_p11v1.dylib, .so)."""

    error_id = "card.hicos_module"


class CardDataError(CardError):
    """The card holds data that does not follow its own standard: lengths, nesting or text that cannot be."""

    error_id = "card.malformed"


class CardChangedError(CardError):
    """The card in the reader is not the one this work began with."""

    error_id = "card.changed"


class NotActivatedError(CardError):
    """The card has not been opened for use yet (未開卡)."""

    error_id = "card.not_activated"


class TerminatedError(CardError):
    """The card has been terminated."""

    error_id = "card.terminated"


class CertificateRenewedError(CardError):
    """The card has another certificate by now than the one this work began with."""

    error_id = "certificate.renewed"


class ObjectMissingError(CardError):
    """The card has no such certificate or key."""

    error_id = "card.object_missing"


class PinError(CardError):
    """Base of PIN troubles.

    Attributes:
        tries_left: what the card said it leaves; None where it did not say.
    """

    error_id = "pin.failed"

    def __init__(self, detail: str = "", *, tries_left: int | None = None) -> None:
        super().__init__(detail)
        self.tries_left = tries_left


class PinWrongError(PinError):
    """The PIN was wrong; one try is spent."""

    error_id = "pin.wrong"


class PinLockedError(PinError):
    """The PIN is locked."""

    error_id = "pin.locked"


class PinLengthError(PinError):
    """The PIN has a length this card does not take; no try is spent.

    Attributes:
        sent: card, keypad or module say so, and not this program before anything was sent.
    """

    error_id = "pin.length"

    def __init__(self, detail: str = "", *, sent: bool = False) -> None:
        super().__init__(detail)
        self.sent = sent


class PinLastTryError(PinError):
    """Only one try is left and nobody confirmed spending it; nothing was sent."""

    error_id = "pin.last_try"


class PinCancelledError(PinError):
    """Nobody entered a PIN on the reader's keypad; nothing was sent."""

    error_id = "pin.cancelled"


class PukWrongError(PinError):
    """The PUK was wrong; one of its tries is spent."""

    error_id = "puk.wrong"


class PukLockedError(PinError):
    """The PUK is locked."""

    error_id = "puk.locked"
