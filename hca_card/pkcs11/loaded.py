"""A module in this process, and what is asked of it; only ever run in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error

from hca_card.pkcs11 import messages
from hca_card.pkcs11.cryptoki import Ckr, CkTokenInfo, Cryptoki, CryptokiError, TokenFlag, User
from hca_card.pkcs11.messages import wipe

T = TypeVar("T")

_OBJECTS_MAX: Final = 64
_CERTIFICATE_MAX: Final = 32 * 1024
_PIN_MAX: Final = 255

# python-pkcs11 gives each return value a class and forgets the number.
_VALUES: Final = {
    "SlotIDInvalid": Ckr.SLOT_ID_INVALID,
    "DeviceError": Ckr.DEVICE_ERROR,
    "DeviceRemoved": Ckr.DEVICE_REMOVED,
    "FunctionFailed": Ckr.FUNCTION_FAILED,
    "FunctionNotSupported": Ckr.FUNCTION_NOT_SUPPORTED,
    "SessionClosed": Ckr.SESSION_CLOSED,
    "SessionHandleInvalid": Ckr.SESSION_HANDLE_INVALID,
    "TokenNotPresent": Ckr.TOKEN_NOT_PRESENT,
    "TokenNotRecognised": Ckr.TOKEN_NOT_RECOGNIZED,
    "TokenWriteProtected": Ckr.TOKEN_WRITE_PROTECTED,
    "UserNotLoggedIn": Ckr.USER_NOT_LOGGED_IN,
}


class _Visit:
    """The one session with a token, and the PIN for keys that want it once more for each signature."""

    def __init__(self, token: Any) -> None:
        self.token = token
        self.session = token.open()
        self.pin: bytearray | None = None
        self.user: User | None = None

    def reopen(self, *, writing: bool) -> None:
        # A security officer cannot log in while a read-only session is open (PKCS#11 §5.6).
        self.session.close()
        self.session = self.token.open(rw=writing)


class LoadedModule:
    """A module, loaded and initialised.

    Args:
        path: the file, absolute.

    Raises:
        CryptokiError: from any method: the module did not return CKR_OK.
        PKCS11Error, OSError: it cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        self._library = pkcs11.lib(path)
        self._cryptoki = Cryptoki(path)
        self._slots: dict[int, Any] = {}
        self._visits: dict[int, _Visit] = {}

    def handle(self, request: messages.Request) -> messages.Answer:
        """Do what is asked; a PIN in it is wiped."""
        try:
            return self._handle(request)
        except CryptokiError as error:
            return messages.CallRefused(error.value, str(error))
        except PKCS11Error as error:
            name = type(error).__name__
            return messages.CallRefused(_VALUES.get(name, Ckr.GENERAL_ERROR), f"{name} {error}".strip())
        finally:
            wipe(getattr(request, "pin", None), getattr(request, "new", None))

    def _handle(self, request: messages.Request) -> messages.Answer:
        match request:
            case messages.Slots():
                return messages.SlotList(self._list())
            case messages.Open(slot):
                return self._open(slot)
            case messages.LookAtToken(slot):
                return _token(self._cryptoki.token_info(slot))
            case messages.Certificates(slot):
                return messages.TokenCertificates(self._certificates(self._at(slot)))
            case messages.Keys(slot):
                return messages.KeyList(self._keys(self._at(slot)))
            case messages.Sign(slot, key, data):
                return messages.Octets(self._with_key(self._at(slot), key, data, self._cryptoki.sign))
            case messages.Decrypt(slot, key, data):
                return messages.Octets(self._with_key(self._at(slot), key, data, self._cryptoki.decrypt))
            case messages.Login(slot, pin):
                self._login(self._at(slot), User.USER, pin)
            case messages.SetPin(slot, pin, new):
                self._set_pin(self._at(slot), pin, new)
            case messages.Unblock(slot, pin, new):
                self._unblock(self._at(slot), pin, new)
            case messages.Close(slot):
                self._close(slot)
        return messages.Done()

    def _list(self) -> tuple[messages.Slot, ...]:
        found = []
        self._slots = {slot.slot_id: slot for slot in self._library.get_slots(token_present=True)}
        for number, slot in self._slots.items():
            try:
                info = self._cryptoki.token_info(number)
            except CryptokiError:
                continue  # a card that this module does not know
            if not info.flags & TokenFlag.TOKEN_INITIALIZED:
                continue
            token = _token(info)
            hardware = bool(int(slot.flags) & 0x04)  # CKF_HW_SLOT
            found.append(
                messages.Slot(
                    id=number,
                    description=_clean(slot.slot_description),
                    hardware=hardware,
                    label=token.label,
                    serial=token.serial,
                )
            )
        return tuple(found)

    def _open(self, number: int) -> messages.Token:
        if number in self._visits:
            self._close(number)
        if number not in self._slots:
            raise CryptokiError("C_GetSlotList", Ckr.SLOT_ID_INVALID)
        self._visits[number] = _Visit(self._slots[number].get_token())
        return _token(self._cryptoki.token_info(number))

    def _at(self, number: int) -> _Visit:
        if number not in self._visits:
            raise CryptokiError("no session", Ckr.SESSION_CLOSED)
        return self._visits[number]

    def _certificates(self, visit: _Visit) -> tuple[messages.Certificate, ...]:
        found = []
        for item in _objects(visit, ObjectClass.CERTIFICATE):
            der = _optional(item, Attribute.VALUE)
            if der and len(der) <= _CERTIFICATE_MAX:
                found.append(messages.Certificate(_optional(item, Attribute.ID), der))
        return tuple(found)

    def _keys(self, visit: _Visit) -> tuple[messages.Key, ...]:
        return tuple(
            messages.Key(
                item.handle,
                _optional(item, Attribute.ID),
                _optional(item, Attribute.MODULUS).lstrip(b"\0"),
            )
            for item in _objects(visit, ObjectClass.PRIVATE_KEY)
        )

    def _login(self, visit: _Visit, user: User, pin: bytearray | None) -> None:
        self._cryptoki.login(visit.session.handle, user, pin)
        visit.user = user
        if pin is not None and user is User.USER:
            visit.pin = bytearray(pin)

    def _with_key(
        self,
        visit: _Visit,
        key: int,
        data: bytes,
        work: Callable[[int, int, bytes, Callable[[], None]], bytes],
    ) -> bytes:
        session = visit.session.handle
        # Before the work begins: a session does one thing at a time (PKCS#11 §5.2).
        each_time = self._asks_each_time(visit, key)

        def confirm() -> None:
            """Only after a C_Login that succeeded with this very PIN, so that it can cost no try."""
            if visit.user is User.USER and each_time:
                self._cryptoki.login(session, User.CONTEXT_SPECIFIC, visit.pin)

        return work(session, key, data, confirm)

    def _asks_each_time(self, visit: _Visit, key: int) -> bool:
        return any(
            item.handle == key and _optional(item, Attribute.ALWAYS_AUTHENTICATE) is True
            for item in _objects(visit, ObjectClass.PRIVATE_KEY)
        )

    def _set_pin(self, visit: _Visit, pin: bytearray | None, new: bytearray | None) -> None:
        # Without a login: then C_SetPIN is the one verification of the old PIN (PKCS#11 §5.5).
        visit.reopen(writing=True)
        self._cryptoki.set_pin(visit.session.handle, pin, new)

    def _unblock(self, visit: _Visit, puk: bytearray, new: bytearray) -> None:
        visit.reopen(writing=True)
        self._login(visit, User.SECURITY_OFFICER, puk)
        self._cryptoki.init_pin(visit.session.handle, new)

    def _close(self, number: int) -> None:
        visit = self._visits.pop(number, None)
        if visit is None:
            return
        wipe(visit.pin)
        try:
            if visit.user is not None:
                self._cryptoki.logout(visit.session.handle)
        finally:
            visit.session.close()


def _objects(visit: _Visit, kind: ObjectClass) -> list[Any]:
    found: list[Any] = []
    for item in visit.session.get_objects({Attribute.CLASS: kind}):
        if len(found) < _OBJECTS_MAX:
            found.append(item)
    return found


def _optional(item: Any, attribute: Attribute) -> Any:
    """Return the attribute, or empty bytes where the object has none that can be read."""
    try:
        return item[attribute]
    except PKCS11Error:
        return b""


def _token(info: CkTokenInfo) -> messages.Token:
    return messages.Token(
        label=_clean(bytes(info.label).decode("utf-8", "replace")),
        serial=_clean(bytes(info.serial).decode("ascii", "replace")),
        flags=info.flags,
        # A module that does not know says 0, or the greatest number there is (PKCS#11 §3.2).
        min_length=info.min_pin_length if 0 < info.min_pin_length <= _PIN_MAX else 1,
        max_length=info.max_pin_length if 0 < info.max_pin_length <= _PIN_MAX else _PIN_MAX,
    )


def _clean(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()
