"""A PIN on a card during one transaction: verified at most once, dropped before the transaction ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hca_card import iso7816
from hca_card.errors import (
    PinCancelledError,
    PinError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukLockedError,
    PukWrongError,
)
from hca_card.model import Channel, Keypad, PinStatus
from hca_card.pin import Pin
from hca_card.pin_block import PinEncoding, PinFormat
from hca_card.profile_format import DropBy, StatusBy
from pcsc.apdu import Command, Response
from pcsc.pinpad import KeypadStatus
from pcsc.status import StatusError, StatusWord, tries_left

NOT_VERIFIED: Final = (
    StatusWord.VERIFICATION_FAILED,
    StatusWord.SECURITY_STATUS,
    StatusWord.DATA_UNUSABLE,
    StatusWord.CONDITIONS,
)
"""Answers to an empty VERIFY, besides 63CX and 6983, that rule out a verified PIN."""


class PinUse:
    """What a card application does with its PIN.

    Nothing here sends a PIN twice, and nothing relies on a state that another program left: `verified` is
    true only after `verify` succeeded here.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        reference: int,
        form: PinFormat,
        reselect: Callable[[], None],
        why_refused: Callable[[], None],
        tries: int = 0,
        status_by: StatusBy = StatusBy.EMPTY_VERIFY,
        drop_by: DropBy = DropBy.VERIFY_FF,
        confirm_drop: bool = False,
    ) -> None:
        """Nothing is sent yet.

        Args:
            channel: the transaction.
            reference: P2 of VERIFY.
            form: lengths, encoding and padding.
            reselect: selects the application again, which drops its state on most cards.
            why_refused: raises the card's own reason after 6984 or 6985, if it gives one.
            tries: the full number of tries, 0 if not known.
            status_by: whether an empty VERIFY tells the tries left.
            drop_by: the first way of dropping to take.
            confirm_drop: do not believe 9000 to VERIFY with P1 = FF without asking: a card that ignores P1
                takes it for a question.
        """
        self.verified = False
        self.form = form
        self._channel = channel
        self._reference = reference
        self._reselect = reselect
        self._why_refused = why_refused
        self._tries = tries
        self._status_by = status_by
        self._drop_by = drop_by
        self._confirm_drop = confirm_drop
        self._drops = False

    def status(self) -> PinStatus:
        """Return tries left and lengths.

        9000 means that another program left the PIN verified. The success that did so restored the counter,
        and a failure since would have ended that state; so all tries are left, however many that is.

        Raises:
            StatusError: there is no such PIN, or the card refuses without a reason.
            NotActivatedError: as `why_refused`.
            TerminatedError: as `why_refused`.
        """
        if self._status_by is StatusBy.NEVER:
            return self._status(None)
        sw = iso7816.verification_status(self._channel, self._reference)
        if sw == StatusWord.SUCCESS:
            return self._status(self._tries or None)
        if sw in (StatusWord.DATA_UNUSABLE, StatusWord.CONDITIONS):
            self._why_refused()
        if sw == StatusWord.DATA_UNUSABLE:
            return self._status(0)
        if sw in (StatusWord.CONDITIONS, StatusWord.REFERENCE_NOT_FOUND):
            raise StatusError(sw)
        return self._status(tries_left(sw))

    def verify(self, pin: Pin) -> None:
        """VERIFY once. Raises as `hca_card.model.Card.verify`."""
        block = self.form.encode(pin)
        self._present(lambda: iso7816.verify(self._channel, self._reference, block))
        self.verified = True

    @property
    def takes_keypad(self) -> bool:
        """Whether a keypad can form the command: ASCII characters as they were typed, and nothing else."""
        return (
            not self.form.stored_length
            and not self.form.prefix
            and self.form.encoding
            in (
                PinEncoding.ASCII,
                PinEncoding.ASCII_NUMERIC,
            )
        )

    def verify_on_keypad(self, keypad: Keypad) -> None:
        """VERIFY once with a PIN typed there. Raises as `hca_card.model.Card.verify_on_keypad`."""
        self._present(lambda: self._type(keypad.verify, 0x20))
        self.verified = True

    def change(self, old: Pin, new: Pin) -> None:
        """CHANGE REFERENCE DATA once. Raises as `hca_card.model.Card.change_pin`."""
        blocks = self.form.encode(old), self.form.encode(new)
        self._present(lambda: iso7816.change_reference_data(self._channel, self._reference, *blocks))

    def change_on_keypad(self, keypad: Keypad) -> None:
        """CHANGE REFERENCE DATA once. Raises as `hca_card.model.Card.change_pin_on_keypad`."""
        self._present(lambda: self._type(keypad.modify, 0x24))

    def unblock(self, puk: Pin, puk_form: PinFormat, new: Pin) -> None:
        """RESET RETRY COUNTER once. Raises as `hca_card.model.Card.unblock_pin`."""
        blocks = puk_form.encode(puk), self.form.encode(new)
        self._present(
            lambda: iso7816.reset_retry_counter(self._channel, self._reference, *blocks),
            wrong=PukWrongError,
            locked=PukLockedError,
        )

    def require_verified(self) -> None:
        """Refuse what needs the PIN before sending it, as the card would (6982).

        Raises:
            StatusError: `verify` has not succeeded in this transaction.
        """
        if not self.verified:
            raise StatusError(StatusWord.SECURITY_STATUS)

    def _present(
        self,
        send: Callable[[], int],
        *,
        wrong: type[PinError] = PinWrongError,
        locked: type[PinError] = PinLockedError,
    ) -> None:
        """Send the one command that holds the PIN or PUK, and raise what its status word means."""
        # Registered before the PIN is sent: a link that breaks in mid-command may leave it verified.
        if not self._drops:
            self._channel.before_end(self._drop)
            self._drops = True
        self.verified = False
        sw = send()
        if sw == StatusWord.SUCCESS:
            return
        if sw in (StatusWord.DATA_UNUSABLE, StatusWord.CONDITIONS):
            self._why_refused()
        if tries_left(sw) == 0:
            # 63C0 spent the last try: what the person has to do next is unlock, not type again.
            raise locked("no try is left", tries_left=0)
        if sw == StatusWord.DATA_UNUSABLE:
            raise locked("the card says that this PIN cannot be used", tries_left=0)
        if sw == StatusWord.VERIFICATION_FAILED or tries_left(sw) is not None:
            raise wrong("one try is spent", tries_left=tries_left(sw))
        raise StatusError(sw)

    def _type(self, send: Callable[..., Response], ins: int) -> int:
        """Have the PIN typed and sent with this instruction; the card's status word."""
        limits = {"min_length": self.form.min_length, "max_length": self.form.max_length}
        sw = send(Command(0x00, ins, 0x00, self._reference), **limits).sw
        if sw in (KeypadStatus.TIMEOUT, KeypadStatus.CANCELLED, KeypadStatus.DIFFERENT):
            raise PinCancelledError
        # 6700 is the card's own answer to a length that the keypad let through; no try is spent.
        if sw in (KeypadStatus.LENGTH, StatusWord.WRONG_LENGTH):
            raise PinLengthError(sent=True)
        return sw

    def _drop(self) -> None:
        """Drop the verified state; raising makes the transaction reset the card."""
        self.verified = False
        if self._drop_by is DropBy.VERIFY_FF:
            sw = iso7816.drop_verification(self._channel, self._reference)
            if sw == StatusWord.SUCCESS and (not self._confirm_drop or self._surely_dropped()):
                return
        if self._drop_by is not DropBy.RESET:
            self._reselect()
            if self._surely_dropped():
                return
        raise StatusError(StatusWord.CONDITIONS)

    def _surely_dropped(self) -> bool:
        sw = iso7816.verification_status(self._channel, self._reference)
        return tries_left(sw) is not None or sw in NOT_VERIFIED

    def _status(self, left: int | None) -> PinStatus:
        return PinStatus(left, self.form.min_length, self.form.max_length)
