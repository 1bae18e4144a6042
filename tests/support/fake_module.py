"""A PKCS#11 module without a file: its functions in Python below our ctypes calls, its process a thread.

All between is the program's own: the messages over two pipes, `LoadedModule`, the arguments of the calls. A
test arms one fault, which happens at the call of that number, or at the message of that number.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from ctypes import c_ulong, memmove, memset, sizeof
from functools import cache
from io import FileIO
from types import SimpleNamespace
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hca_card.pkcs11 import messages
from hca_card.pkcs11.cryptoki import (
    Attribute,
    Ckr,
    CkSlotInfo,
    CkTokenInfo,
    Cryptoki,
    CryptokiError,
    Function,
    KeyType,
    ObjectClass,
    TokenFlag,
    User,
)
from hca_card.pkcs11.loaded import LoadedModule
from hca_card.simulator.rsa import RsaKey
from pcsc.virtual import VirtualReader, VirtualWinscard
from tests.support.softhsm import PIN, PUK, Object, ulong

SLOT: Final = 7
DEVICE_ERROR, OPERATION_NOT_INITIALIZED, USER_ALREADY_LOGGED_IN = 0x30, 0x91, 0x100
ATTRIBUTE_TYPE_INVALID, BUFFER_TOO_SMALL, ENCRYPTED_DATA_INVALID, SESSION_READ_ONLY_EXISTS = (
    0x12,
    0x150,
    0x40,
    0xB7,
)
_TRIES: Final = 3
_PIN_COMMANDS: Final = (b"\x20", b"\x24", b"\x2c")


@cache
def _key(pkcs8: bytes) -> RsaKey:
    """Load a key; its numbers are tested for being primes, which takes long."""
    key = load_der_private_key(pkcs8, None)
    assert isinstance(key, RSAPrivateKey)
    return RsaKey(key)


class FakeToken:
    """A token that is a card in a virtual reader: a reset, and nothing but a reset or C_Logout, ends a PIN.

    Attributes:
        user: who is logged in at the card itself, whatever the module remembers.
        tries: left of the PIN.
        commands: what a driver of ours sent it past the module.
    """

    def __init__(self, serial: str, atr: bytes, objects: tuple[Object, ...]) -> None:
        self.serial, self.atr = serial, atr
        self.certificates = {10 + at: each for at, each in enumerate(objects)}
        self.keys: dict[int, tuple[Object, RsaKey]] = {}
        for at, each in enumerate(objects, 20):
            if each.pkcs8 is not None:
                self.keys[at] = each, _key(each.pkcs8)
        self.commands: list[bytes] = []
        self.restore()

    def restore(self) -> None:
        """Be as when it was made."""
        self.pins = {User.USER: PIN.encode(), User.SECURITY_OFFICER: PUK.encode()}
        self.tries = _TRIES
        self.user: User | None = None
        self.commands.clear()

    def power_on(self) -> bytes:
        """Forget who is logged in."""
        self.user = None
        return self.atr

    def power_off(self) -> None:
        """Forget who is logged in."""
        self.user = None

    def transmit(self, command: bytes) -> bytes:
        """Know no command."""
        self.commands.append(command)
        return bytes.fromhex("6D00")

    def present(self, user: User, pin: bytes) -> None:
        """Compare a PIN, which costs a try where it is wrong."""
        if self.tries == 0:
            raise CryptokiError("C_Login", Ckr.PIN_LOCKED)
        if self.pins[user] != pin:
            self.tries -= 1
            raise CryptokiError("C_Login", Ckr.PIN_INCORRECT if self.tries else Ckr.PIN_LOCKED)
        self.tries = _TRIES

    @property
    def presented_past_the_module(self) -> int:
        """How many commands with a PIN a driver of ours sent."""
        return sum(command[1:2] in _PIN_COMMANDS for command in self.commands)


class DiedError(Exception):
    """The module took its process with it."""


Act = Callable[[], None]
CallFault = Callable[["FakeModule", Act, tuple[Any, ...]], None]
MessageFault = Callable[["FakeModule", "FakeProcess", messages.Answer], None]


class FakeModule:
    """A module for the one reader, in as many processes as are started.

    Attributes:
        sent: the functions that were called since `begin`.
        questions: the messages that came since `begin`.
        presented: how often a PIN or PUK went to the token since then.
    """

    def __init__(self, winscard: VirtualWinscard, reader: Callable[[], VirtualReader]) -> None:
        self.winscard, self.reader = winscard, reader
        self.process: FakeProcess | None = None
        self._queue: _Patience | None = None
        self.begin()

    def begin(
        self, at: int = -1, fault: CallFault | None = None, message_fault: MessageFault | None = None
    ) -> None:
        """Count anew; a fault happens at number `at`."""
        self.sent: list[Function] = []
        self.questions: list[messages.Request] = []
        self.presented = 0
        self.at, self.fault, self.message_fault = at, fault, message_fault

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the module's process; whoever waits for it waits until `hang` is called."""
        monkeypatch.setattr("agent.pkcs11_modules.installed_modules.converse", self.start)
        patience = SimpleNamespace(SimpleQueue=self._new_queue, Empty=queue.Empty)
        monkeypatch.setattr("hca_card.pkcs11.client.queue", patience)

    @property
    def token(self) -> FakeToken | None:
        """The token in the reader, as far as the module can see."""
        reader = self.reader()
        card = reader.card if reader.plugged and self.winscard.running else None
        return card if isinstance(card, FakeToken) else None

    def called(self, function: Function, act: Act, arguments: tuple[Any, ...]) -> None:
        """Do what is called, or the fault that is due."""
        number = len(self.sent)
        self.sent.append(function)
        if self.fault is not None and number == self.at:
            self.fault(self, act, arguments)
        else:
            act()

    def answered(self, process: FakeProcess, question: messages.Request, answer: messages.Answer) -> None:
        """Give the answer, or the fault that is due."""
        number = len(self.questions)
        self.questions.append(question)
        if self.message_fault is not None and number == self.at:
            self.message_fault(self, process, answer)
        else:
            process.tell(answer)

    def hang(self) -> None:
        """Never return; whoever waits has waited long enough."""
        assert self.process is not None
        assert self._queue is not None
        self._queue.give_up()
        self.process.exited.wait(30)
        raise DiedError

    def start(self, *_how: object) -> FakeProcess:
        """Start a process."""
        self.process = FakeProcess(self)
        return self.process

    def _new_queue(self) -> _Patience:
        self._queue = _Patience()
        return self._queue


class _Patience:
    """A queue at which nobody waits any longer once that is said: no test waits for a limit."""

    _LONG_ENOUGH: Final = object()

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def give_up(self) -> None:
        self._queue.put(self._LONG_ENOUGH)

    def put(self, answer: Any) -> None:
        self._queue.put(answer)

    def empty(self) -> bool:
        return self._queue.empty()

    def get(self, timeout: float) -> Any:
        answer = self._queue.get(timeout=timeout)
        if answer is self._LONG_ENOUGH:
            raise queue.Empty
        return answer


class FakeProcess:
    """What `subprocess.Popen` is to `ModuleProcess`: two pipes, and an end."""

    def __init__(self, module: FakeModule) -> None:
        given, requests = os.pipe()
        answers, told = os.pipe()
        self._given, self._told = FileIO(given, "rb"), FileIO(told, "wb")
        self.stdin, self.stdout = FileIO(requests, "wb"), FileIO(answers, "rb")
        self.exited = threading.Event()
        self._code: int | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, args=(module,), name="fake module", daemon=True).start()

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._code

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, when there is one."""
        self.exited.wait(timeout)
        return self._code

    def kill(self) -> None:
        """As SIGKILL."""
        self._exit(-9)

    def tell(self, answer: messages.Answer) -> None:
        """Write an answer."""
        self.write(messages.frame(answer))

    def write(self, octets: bytes | bytearray) -> None:
        """Write whatever it is."""
        with self._lock:
            if self._code is not None:
                raise DiedError
            self._told.write(octets)

    def _exit(self, code: int) -> None:
        with self._lock:
            if self._code is None:
                self._code = code
                self._told.close()
        self.exited.set()

    def _serve(self, module: FakeModule) -> None:
        try:
            loaded = _Loaded(module)
            self.tell(messages.Ready())
            while (question := messages.read_request(self._given.readinto)) is not None:
                module.answered(self, question, loaded.handle(question))
        except DiedError:
            pass
        except CryptokiError as error:
            self.tell(messages.Unusable(str(error)))
        finally:
            self._exit(1)
            self._given.close()


class _Loaded(LoadedModule):
    def __init__(self, module: FakeModule) -> None:
        self._cryptoki = _FakeCryptoki(module)
        self._slots = ()
        self._visits = {}


class _Session:
    def __init__(self, token: FakeToken, *, writing: bool) -> None:
        self.token, self.writing = token, writing
        self.found: list[int] = []
        self.begun: int | None = None
        self.context = False


class _FakeCryptoki(Cryptoki):
    """The functions of the module; what it remembers ends with its process."""

    def __init__(self, module: FakeModule) -> None:
        self._module = module
        self._sessions: dict[int, _Session] = {}
        self._handles = 0
        self._user: User | None = None
        self.call(Function.C_Initialize, None)

    def call(self, function: Function, *arguments: Any) -> None:
        act = getattr(self, function.name, None)
        if act is None:
            raise CryptokiError(function.name, Ckr.FUNCTION_NOT_SUPPORTED)
        self._module.called(function, lambda: act(*arguments), arguments)

    # The functions, with the arguments that our calls have.

    def C_Initialize(self, _arguments: None) -> None:
        pass

    def C_GetSlotList(self, _present: Any, found: Any, count: Any) -> None:
        slots = (SLOT,) if self._module.token is not None else ()
        if found is not None:
            if len(found) < len(slots):
                raise CryptokiError("C_GetSlotList", BUFFER_TOO_SMALL)
            found[: len(slots)] = slots
        count._obj.value = len(slots)

    def C_GetSlotInfo(self, _slot: int, info: Any) -> None:
        told: CkSlotInfo = info._obj
        told.description[:] = self._module.reader().name.encode().ljust(64)
        told.flags = 0x07

    def C_GetTokenInfo(self, _slot: int, info: Any) -> None:
        token = self._token("C_GetTokenInfo")
        told: CkTokenInfo = info._obj
        told.label[:] = "測試卡".encode().ljust(32)
        told.serial[:] = token.serial.encode().ljust(16)[:16]
        locked = TokenFlag.USER_PIN_LOCKED if token.tries == 0 else 0
        final = TokenFlag.USER_PIN_FINAL_TRY if token.tries == 1 else 0
        told.flags = TokenFlag.TOKEN_INITIALIZED | locked | final
        told.min_pin_length, told.max_pin_length = 6, 8

    def C_OpenSession(self, _slot: int, flags: int, _data: None, _notify: None, handle: Any) -> None:
        token = self._token("C_OpenSession")
        self._handles += 1
        self._sessions[self._handles] = _Session(token, writing=bool(flags & 2))
        handle._obj.value = self._handles

    def C_CloseSession(self, handle: int) -> None:
        if self._sessions.pop(handle, None) is None:
            raise CryptokiError("C_CloseSession", Ckr.SESSION_HANDLE_INVALID)
        if not self._sessions:
            self._user = None  # of the module; the card is not told

    def C_Login(self, handle: int, user: int, pin: Any, size: int) -> None:
        session = self._session("C_Login", handle)
        if user == User.CONTEXT_SPECIFIC:
            if session.begun is None:
                raise CryptokiError("C_Login", OPERATION_NOT_INITIALIZED)
        elif self._user is not None:
            raise CryptokiError("C_Login", USER_ALREADY_LOGGED_IN)
        elif user == User.SECURITY_OFFICER and not all(one.writing for one in self._sessions.values()):
            raise CryptokiError("C_Login", SESSION_READ_ONLY_EXISTS)
        who = User.USER if user == User.CONTEXT_SPECIFIC else User(user)
        if user == User.CONTEXT_SPECIFIC:
            session.context = True
        else:
            self._module.presented += 1
        session.token.present(who, bytes(pin[:size]))
        self._user = session.token.user = who

    def C_Logout(self, handle: int) -> None:
        session = self._session("C_Logout", handle)
        if self._user is None:
            raise CryptokiError("C_Logout", Ckr.USER_NOT_LOGGED_IN)
        self._user = session.token.user = None

    def C_SetPIN(self, handle: int, old: Any, old_size: int, new: Any, new_size: int) -> None:
        token = self._session("C_SetPIN", handle).token
        self._module.presented += 1
        token.present(User.USER, bytes(old[:old_size]))
        token.pins[User.USER] = bytes(new[:new_size])
        token.user = User.USER  # as cards do it

    def C_InitPIN(self, handle: int, new: Any, size: int) -> None:
        token = self._session("C_InitPIN", handle).token
        if not self._user == token.user == User.SECURITY_OFFICER:
            raise CryptokiError("C_InitPIN", Ckr.USER_NOT_LOGGED_IN)
        token.pins[User.USER] = bytes(new[:size])

    def C_FindObjectsInit(self, handle: int, template: Any, _count: int) -> None:
        session = self._session("C_FindObjectsInit", handle)
        wanted = c_ulong.from_address(template._obj.value).value
        keys = session.token.keys if self._user is User.USER else {}
        session.found = [*(session.token.certificates if wanted == ObjectClass.CERTIFICATE else keys)]

    def C_FindObjects(self, handle: int, found: Any, most: int, count: Any) -> None:
        session = self._session("C_FindObjects", handle)
        some, session.found = session.found[:most], session.found[most:]
        found[: len(some)] = some
        count._obj.value = len(some)

    def C_FindObjectsFinal(self, handle: int) -> None:
        self._session("C_FindObjectsFinal", handle)

    def C_GetAttributeValue(self, handle: int, thing: int, template: Any, _count: int) -> None:
        token = self._session("C_GetAttributeValue", handle).token
        one, key = token.keys.get(thing, (token.certificates.get(thing), None))
        if one is None:
            raise CryptokiError("C_GetAttributeValue", 0x82)
        values = {Attribute.ID: one.id, Attribute.VALUE: b"" if key else one.der}
        if key is not None:
            values |= {
                Attribute.MODULUS: key.key.public_key().public_numbers().n.to_bytes(key.octets, "big"),
                Attribute.KEY_TYPE: ulong(KeyType.RSA),
                Attribute.ALWAYS_AUTHENTICATE: bytes((one.each_time,)),
            }
        wanted = template._obj
        if wanted.type not in values:
            raise CryptokiError("C_GetAttributeValue", ATTRIBUTE_TYPE_INVALID)
        value = values[wanted.type]
        if wanted.value:
            if wanted.length < len(value):
                raise CryptokiError("C_GetAttributeValue", BUFFER_TOO_SMALL)
            memmove(wanted.value, value, len(value))
        wanted.length = len(value)

    def C_SignInit(self, handle: int, _mechanism: Any, key: int) -> None:
        session = self._session("C_SignInit", handle)
        if key not in session.token.keys:
            raise CryptokiError("C_SignInit", Ckr.KEY_HANDLE_INVALID)
        session.begun, session.context = key, False

    C_DecryptInit = C_SignInit

    def C_Sign(self, handle: int, data: Any, size: int, out: Any, length: Any) -> None:
        self._finish("C_Sign", handle, lambda key: key.sign(bytes(data[:size])), out, length)

    def C_Decrypt(self, handle: int, data: Any, size: int, out: Any, length: Any) -> None:
        self._finish("C_Decrypt", handle, lambda key: key.decipher(bytes(data[:size])), out, length)

    def _finish(self, name: str, handle: int, work: Callable[[RsaKey], bytes], out: Any, length: Any) -> None:
        session = self._session(name, handle)
        if session.begun is None:
            raise CryptokiError(name, OPERATION_NOT_INITIALIZED)
        one, key = session.token.keys[session.begun]
        session.begun = None
        if session.token.user is not User.USER or (one.each_time and not session.context):
            raise CryptokiError(name, Ckr.USER_NOT_LOGGED_IN)
        try:
            done = work(key)
        except ValueError:
            raise CryptokiError(name, ENCRYPTED_DATA_INVALID) from None
        out[: len(done)] = done
        length._obj.value = len(done)

    def _token(self, name: str) -> FakeToken:
        token = self._module.token
        if token is None:
            raise CryptokiError(name, Ckr.TOKEN_NOT_PRESENT)
        return token

    def _session(self, name: str, handle: int) -> _Session:
        session = self._sessions.get(handle)
        if session is None:
            raise CryptokiError(name, Ckr.SESSION_HANDLE_INVALID)
        if session.token is not self._module.token:
            raise CryptokiError(name, Ckr.DEVICE_REMOVED)
        return session


def fill(arguments: tuple[Any, ...], octet: int) -> None:
    """Overwrite all that a call gave back with this octet; places and types stay."""
    for given in arguments:
        told = getattr(given, "_obj", None)
        if told is None:
            continue
        if hasattr(told, "length"):  # an attribute or a mechanism, of which only the length is an answer
            told.length = int.from_bytes(bytes((octet,)) * sizeof(c_ulong), "little")
        else:
            memset(given, octet, sizeof(told))
