"""A module in this process, and what is asked of it; only ever run in a process of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hca_card.pkcs11 import messages
from hca_card.pkcs11.cryptoki import (
    PSS_HASHES,
    Attribute,
    Ckr,
    CkTokenInfo,
    Cryptoki,
    CryptokiError,
    Function,
    KeyType,
    Mechanism,
    ObjectClass,
    TokenFlag,
    User,
    text,
)
from hca_card.pkcs11.messages import wipe

_PIN_MAX: Final = 255
_HARDWARE_SLOT: Final = 0x04


class _Visit:
    """The one session with a token, and the PIN for keys that want it once more for each signature."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.pin: bytearray | None = None
        self.user: User | None = None


class LoadedModule:
    """A module, loaded and initialised.

    Args:
        path: the file, absolute.

    Raises:
        CryptokiError, OSError, AttributeError: it cannot be loaded, or is no module.
    """

    def __init__(self, path: str) -> None:
        self._cryptoki = Cryptoki(path)
        self._slots: tuple[int, ...] = ()
        self._visits: dict[int, _Visit] = {}

    def handle(self, request: messages.Request) -> messages.Answer:
        """Do what is asked; a PIN in it is wiped."""
        try:
            return self._handle(request)
        except CryptokiError as error:
            return messages.CallRefused(error.value, str(error))
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
            case messages.Sign() | messages.SignPss() | messages.Decrypt():
                return self._with_key(request)
            case messages.Agree(slot, key, point):
                return messages.Octets(self._cryptoki.derive(self._at(slot).session, key, point))
            case messages.Login(slot, pin):
                self._login(self._at(slot), User.USER, pin)
            case messages.SetPin(slot, pin, new):
                self._set_pin(slot, pin, new)
            case messages.Unblock(slot, pin, new):
                self._unblock(slot, pin, new)
            case messages.Close(slot):
                self._close(slot)
        return messages.Done()

    def _list(self) -> tuple[messages.Slot, ...]:
        found = []
        self._slots = self._cryptoki.slots()
        for number in self._slots:
            try:
                info, slot = self._cryptoki.token_info(number), self._cryptoki.slot_info(number)
            except CryptokiError:
                continue  # a card that this module does not know
            if not info.flags & TokenFlag.TOKEN_INITIALIZED:
                continue
            token = _token(info)
            found.append(
                messages.Slot(
                    id=number,
                    description=_clean(slot.description),
                    hardware=bool(slot.flags & _HARDWARE_SLOT),
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
        self._visits[number] = _Visit(self._cryptoki.open_session(number))
        return _token(self._cryptoki.token_info(number))

    def _at(self, number: int) -> _Visit:
        if number not in self._visits:
            raise CryptokiError("no session", Ckr.SESSION_CLOSED)
        return self._visits[number]

    def _certificates(self, visit: _Visit) -> tuple[messages.Certificate, ...]:
        session, read = visit.session, self._cryptoki.attribute
        return tuple(
            messages.Certificate(read(session, handle, Attribute.ID), der)
            for handle in self._cryptoki.objects(session, ObjectClass.CERTIFICATE)
            if (der := read(session, handle, Attribute.VALUE))
        )

    def _keys(self, visit: _Visit) -> tuple[messages.Key, ...]:
        session, read = visit.session, self._cryptoki.attribute
        return tuple(
            messages.Key(
                handle,
                read(session, handle, Attribute.ID),
                read(session, handle, Attribute.MODULUS).lstrip(b"\0"),
                elliptic=self._cryptoki.key_type(session, handle) == KeyType.EC,
            )
            for handle in self._cryptoki.objects(session, ObjectClass.PRIVATE_KEY)
        )

    def _login(self, visit: _Visit, user: User, pin: bytearray | None) -> None:
        self._cryptoki.call(Function.C_Login, visit.session, user, *text(pin))
        visit.user = user
        if pin is not None and user is User.USER:
            visit.pin = bytearray(pin)

    def _with_key(self, work: messages.Sign | messages.SignPss | messages.Decrypt) -> messages.Octets:
        visit = self._at(work.slot)
        # Before the work begins: a session does one thing at a time (PKCS#11 §5.2).
        each_time = any(self._cryptoki.attribute(visit.session, work.key, Attribute.ALWAYS_AUTHENTICATE))
        mechanism, *parameter = self._mechanism(visit, work)
        decrypts = isinstance(work, messages.Decrypt)
        begin = Function.C_DecryptInit if decrypts else Function.C_SignInit
        self._cryptoki.begin(begin, visit.session, work.key, mechanism, *parameter)
        if each_time and visit.user is User.USER:
            # Only after a C_Login that succeeded with this very PIN, so that it can cost no try.
            self._cryptoki.call(Function.C_Login, visit.session, User.CONTEXT_SPECIFIC, *text(visit.pin))
        finish = Function.C_Decrypt if decrypts else Function.C_Sign
        return messages.Octets(self._cryptoki.finish(finish, visit.session, work.data))

    def _mechanism(
        self, visit: _Visit, work: messages.Sign | messages.SignPss | messages.Decrypt
    ) -> tuple[int, ...]:
        """Return the mechanism and the numbers of its parameter."""
        match work:
            case messages.SignPss(data=digest):
                if len(digest) not in PSS_HASHES:
                    raise CryptokiError("C_SignInit", Ckr.MECHANISM_INVALID)
                return (Mechanism.RSA_PSS, *PSS_HASHES[len(digest)], len(digest))
            case messages.Sign(key=key) if self._cryptoki.key_type(visit.session, key) == KeyType.EC:
                return (Mechanism.ECDSA,)
        return (Mechanism.RSA_PKCS,)

    def _set_pin(self, slot: int, pin: bytearray | None, new: bytearray | None) -> None:
        # Without a login: then C_SetPIN is the one verification of the old PIN (PKCS#11 §5.5).
        self._cryptoki.call(Function.C_SetPIN, self._writing(slot).session, *text(pin), *text(new))

    def _unblock(self, slot: int, puk: bytearray, new: bytearray) -> None:
        visit = self._writing(slot)
        self._login(visit, User.SECURITY_OFFICER, puk)
        self._cryptoki.call(Function.C_InitPIN, visit.session, *text(new))

    def _writing(self, slot: int) -> _Visit:
        """Return the visit with a read-write session instead of its own.

        A security officer cannot log in while a read-only session is open (PKCS#11 §5.6).
        """
        visit = self._at(slot)
        self._cryptoki.call(Function.C_CloseSession, visit.session)
        visit.session = self._cryptoki.open_session(slot, writing=True)
        return visit

    def _close(self, number: int) -> None:
        visit = self._visits.pop(number, None)
        if visit is None:
            return
        wipe(visit.pin)
        try:
            if visit.user is not None:
                self._cryptoki.call(Function.C_Logout, visit.session)
        finally:
            self._cryptoki.call(Function.C_CloseSession, visit.session)


def _token(info: CkTokenInfo) -> messages.Token:
    return messages.Token(
        label=_clean(info.label),
        serial=_clean(info.serial),
        flags=info.flags,
        # A module that does not know says 0, or the greatest number there is (PKCS#11 §3.2).
        min_length=info.min_pin_length if 0 < info.min_pin_length <= _PIN_MAX else 1,
        max_length=info.max_pin_length if 0 < info.max_pin_length <= _PIN_MAX else _PIN_MAX,
    )


def _clean(padded: Iterable[int]) -> str:
    """Return a padded text of a structure."""
    characters = bytes(padded).decode("utf-8", "replace")
    return "".join(character for character in characters if character.isprintable()).strip()
