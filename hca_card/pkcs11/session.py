"""One visit to the token in a slot: what is asked of the module, and its refusals in this program's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from hca_card.errors import (
    CardDataError,
    NotActivatedError,
    ObjectMissingError,
    PinCancelledError,
    PinError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukLockedError,
    PukWrongError,
    UnsupportedError,
)
from hca_card.model import PinStatus
from hca_card.pin import Pin
from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess
from hca_card.pkcs11.cryptoki import Ckr, TokenFlag
from hca_card.pkcs11.errors import ModuleError
from hca_card.pkcs11.messages import AnswerT, ModuleQuestion
from pcsc.errors import CardRemovedError, CardResetError, NoCardError
from pcsc.status import StatusError, StatusWord

KEYPAD_SECONDS: Final = 60.0
"""How long the person is waited for at a keypad; readers give up after half a minute."""

_GONE: Final = (Ckr.TOKEN_NOT_PRESENT, Ckr.DEVICE_REMOVED, Ckr.SLOT_ID_INVALID, Ckr.TOKEN_NOT_RECOGNIZED)
_ENDED: Final = (Ckr.SESSION_CLOSED, Ckr.SESSION_HANDLE_INVALID)
_CANNOT: Final = (
    Ckr.FUNCTION_NOT_SUPPORTED,
    Ckr.KEY_FUNCTION_NOT_PERMITTED,
    Ckr.MECHANISM_INVALID,
    Ckr.TOKEN_WRITE_PROTECTED,
    Ckr.USER_TYPE_INVALID,
)


class TokenSession:
    """The token in a slot, for one thread; a context manager. Leaving it logs out and ends the session.

    Where the module will not log out, its process is ended, and with it all that was verified there.

    Args:
        module: the module.
        slot: its number for the slot.
        generation: the process that said so.

    Attributes:
        token: as it stood when the visit began.
        logged_in: whether the PIN has been verified in this visit.
        pin_sent: whether a PIN went to the module, or was asked for at the keypad, whatever came of it.
    """

    token: messages.Token

    def __init__(self, module: ModuleProcess, slot: int, generation: int) -> None:
        self._module = module
        self._slot = slot
        self._generation = generation
        self.pin_sent = False
        self.logged_in = False
        self._begun = False

    def begin(self) -> None:
        """Open the session, if it is not open yet.

        Raises:
            NoCardError: there is no token in the slot.
        """
        if not self._begun:
            with _worded(NoCardError):
                self.token = self._ask(messages.Open(self._slot))
            self._begun = True

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask(messages.Close(self._slot))
        except ModuleError:
            # Also after a crash: ending a process that has ended does nothing.
            if self.pin_sent:
                self._module.end(self._generation)

    @property
    def keypad(self) -> bool:
        """Whether the PIN is typed on the reader's keypad, and nowhere else."""
        return bool(self.token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH)

    def look(self) -> messages.Token:
        """Return the token as it stands now."""
        with _worded():
            self.token = self._ask(messages.LookAtToken(self._slot))
        return self.token

    def certificates(self) -> tuple[messages.Certificate, ...]:
        """All certificates that can be read."""
        with _worded():
            return self._ask(messages.Certificates(self._slot)).certificates

    def keys(self) -> tuple[messages.Key, ...]:
        """All private keys that can be seen; many modules show them after the PIN only."""
        with _worded():
            return self._ask(messages.Keys(self._slot)).keys

    def login(self, pin: Pin | None) -> None:
        """C_Login, once; None has the PIN typed on the keypad."""
        octets = None if pin is None else bytearray(pin.octets)
        self._with_pin(messages.Login(self._slot, octets), PinWrongError, PinLockedError, octets)
        self.logged_in = True

    def set_pin(self, old: Pin | None, new: Pin | None) -> None:
        """C_SetPIN, once; None for both has them typed on the keypad."""
        secrets = [None if pin is None else bytearray(pin.octets) for pin in (old, new)]
        request = messages.SetPin(self._slot, *secrets)
        self._with_pin(request, PinWrongError, PinLockedError, *secrets)

    def unblock(self, puk: Pin, new: Pin) -> None:
        """C_Login as security officer and C_InitPIN, once each."""
        secrets = bytearray(puk.octets), bytearray(new.octets)
        self._with_pin(messages.Unblock(self._slot, *secrets), PukWrongError, PukLockedError, *secrets)

    def sign(self, key: int, data: bytes) -> bytes:
        """CKM_RSA_PKCS or CKM_ECDSA with that key."""
        with _worded():
            return self._ask(messages.Sign(self._slot, key, data)).octets

    def sign_pss(self, key: int, digest: bytes) -> bytes:
        """CKM_RSA_PKCS_PSS with that key."""
        with _worded():
            return self._ask(messages.SignPss(self._slot, key, digest)).octets

    def agree(self, key: int, point: bytes) -> bytes:
        """CKM_ECDH1_DERIVE with that key.

        Raises:
            CardDataError: whatever the module found wrong with the point.
        """
        return self._deciphered(messages.Agree(self._slot, key, point))

    def decrypt(self, key: int, data: bytes) -> bytes:
        """CKM_RSA_PKCS with that key.

        Raises:
            CardDataError: whatever the module found wrong with the cipher.
        """
        return self._deciphered(messages.Decrypt(self._slot, key, data))

    def _deciphered(self, question: messages.Agree | messages.Decrypt) -> bytes:
        with _worded():
            try:
                return self._ask(question).octets
            except ModuleError as error:
                if type(error) is ModuleError and error.code not in (*_GONE, *_ENDED, *_CANNOT):
                    raise CardDataError("the module cannot decrypt this") from None
                raise

    def _with_pin(
        self,
        request: messages.Login | messages.SetPin | messages.Unblock,
        wrong: type[PinError],
        locked: type[PinError],
        *secrets: bytearray | None,
    ) -> None:
        self.pin_sent = True
        seconds = KEYPAD_SECONDS if request.pin is None else None
        try:
            self._ask(request, seconds=seconds)
        except ModuleError as error:
            if type(error) is not ModuleError:
                raise
            match error.code:
                case Ckr.PIN_INCORRECT:
                    left = self._left(wrong is PukWrongError)
                    if left == 0:
                        raise locked("no try is left", tries_left=0) from None
                    raise wrong("one try is spent", tries_left=left) from None
                case Ckr.PIN_LOCKED:
                    raise locked(tries_left=0) from None
                case Ckr.PIN_LEN_RANGE | Ckr.PIN_INVALID:
                    raise PinLengthError(str(error), sent=True) from None
                case Ckr.FUNCTION_CANCELED:
                    raise PinCancelledError from None
            with _worded():
                raise
        finally:
            messages.wipe(*secrets)

    def _left(self, officer: bool) -> int | None:
        """Return tries left after a wrong PIN, where the token's flags say so; asking costs none."""
        try:
            token = self._ask(messages.LookAtToken(self._slot))
        except ModuleError:
            return None
        return (puk_status if officer else pin_status)(token).tries_left

    def _ask(self, question: ModuleQuestion[AnswerT], *, seconds: float | None = None) -> AnswerT:
        return self._module.ask(question, generation=self._generation, seconds=seconds)


def pin_status(token: messages.Token) -> PinStatus:
    """How the PIN stands: locked is 0 tries left, the final try is 1, anything else is not known.

    CKF_USER_PIN_COUNT_LOW says only that a wrong PIN was entered since the last right one, not how many
    tries are left; and a module may leave all three flags unset for ever (PKCS#11 §3.2).
    """
    return _status(token, TokenFlag.USER_PIN_LOCKED, TokenFlag.USER_PIN_FINAL_TRY)


def puk_status(token: messages.Token) -> PinStatus:
    """How the security officer's PIN stands, as `pin_status`."""
    return _status(token, TokenFlag.SO_PIN_LOCKED, TokenFlag.SO_PIN_FINAL_TRY)


def _status(token: messages.Token, locked: TokenFlag, final: TokenFlag) -> PinStatus:
    left = 0 if token.flags & locked else 1 if token.flags & final else None
    return PinStatus(left, token.min_length, max(token.min_length, token.max_length))


@contextmanager
def _worded(absent: type[CardRemovedError | NoCardError] = CardRemovedError) -> Iterator[None]:
    """Run the body; raise what a return value means to the person, else leave the `ModuleError`."""
    try:
        yield
    except ModuleError as error:
        if type(error) is not ModuleError:
            raise
        if error.code in _GONE:
            raise absent(error.code) from None
        if error.code in _ENDED:
            raise CardResetError(error.code) from None
        if error.code in _CANNOT:
            raise UnsupportedError(str(error)) from None
        match error.code:
            case Ckr.USER_NOT_LOGGED_IN:
                raise StatusError(StatusWord.SECURITY_STATUS) from None
            case Ckr.USER_PIN_NOT_INITIALIZED:
                raise NotActivatedError from None
            case Ckr.KEY_HANDLE_INVALID:
                raise ObjectMissingError from None
        raise
