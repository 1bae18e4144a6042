"""What is asked of a module becomes these calls of it, and no others; the module is a list of calls."""

from __future__ import annotations

from typing import Any

import pytest

from hca_card.pkcs11 import loaded, messages
from hca_card.pkcs11.cryptoki import (
    PSS_HASHES,
    Attribute,
    Ckr,
    CkSlotInfo,
    CkTokenInfo,
    CryptokiError,
    Function,
    KeyType,
    Mechanism,
    ObjectClass,
    TokenFlag,
    User,
)
from hca_card.pkcs11.loaded import LoadedModule

F = Function
PIN, NEW, PUK = b"123456", b"87654321", b"12345678"


def padded(text: str, size: int) -> bytes:
    return text.encode().ljust(size)


class Module:
    """A module of two slots: an initialised token, and one that nobody has put anything on."""

    def __init__(self, path: str) -> None:
        assert path == "/usr/lib/maker.so"
        self.calls: list[tuple[Any, ...]] = []
        self.refuses: dict[Function, Ckr] = {}
        self.flags = {1: TokenFlag.TOKEN_INITIALIZED, 2: TokenFlag(0)}
        self.lengths = (8, 6)
        self.each_time = False
        self.kind = KeyType.RSA
        self.broken: set[int] = set()

    def slots(self) -> tuple[int, ...]:
        return (1, 2, 3)

    def token_info(self, slot: int) -> CkTokenInfo:
        if slot == 3 or slot in self.broken:
            raise CryptokiError("C_GetTokenInfo", Ckr.TOKEN_NOT_RECOGNIZED)
        info = CkTokenInfo()
        info.label[:] = padded("測試\x1b卡", 32)
        info.serial[:] = padded("0123", 16)
        info.flags = self.flags[slot]
        info.max_pin_length, info.min_pin_length = self.lengths
        return info

    def slot_info(self, slot: int) -> CkSlotInfo:
        info = CkSlotInfo()
        info.description[:] = padded("Reader 0", 64)
        info.flags = 0x04 if slot == 1 else 0
        return info

    def open_session(self, slot: int, *, writing: bool = False) -> int:
        self.calls.append(("open", slot, writing))
        return 100 + writing

    def objects(self, _session: int, kind: ObjectClass) -> tuple[int, ...]:
        return {ObjectClass.CERTIFICATE: (11, 12), ObjectClass.PRIVATE_KEY: (21,)}[kind]

    def attribute(self, _session: int, handle: int, kind: Attribute) -> bytes:
        known = {
            (11, Attribute.ID): b"\x01",
            (11, Attribute.VALUE): b"certificate",
            (21, Attribute.ID): b"\x01",
            (21, Attribute.MODULUS): b"\0\0modulus",
            (21, Attribute.ALWAYS_AUTHENTICATE): b"\1" if self.each_time else b"\0",
        }
        return known.get((handle, kind), b"")

    def key_type(self, _session: int, _key: int) -> int:
        return self.kind

    def call(self, function: Function, *arguments: Any) -> None:
        shown = tuple(bytes(each) if hasattr(each, "_length_") else each for each in arguments)
        self.calls.append((function, *shown))
        if function in self.refuses:
            raise CryptokiError(function.name, self.refuses[function])

    def begin(self, function: Function, session: int, key: int, mechanism: int, *parameter: int) -> None:
        self.calls.append((function, session, key, mechanism, *parameter))

    def finish(self, function: Function, _session: int, data: bytes) -> bytes:
        self.calls.append((function, data))
        return b"made"

    def derive(self, session: int, key: int, point: bytes) -> bytes:
        self.calls.append((F.C_DeriveKey, session, key, point))
        return b"secret"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> tuple[LoadedModule, Module]:
    """A module whose first slot is open; the calls until then are forgotten."""
    monkeypatch.setattr(loaded, "Cryptoki", Module)
    module = LoadedModule("/usr/lib/maker.so")
    called: Any = module._cryptoki
    assert isinstance(module.handle(messages.Slots()), messages.SlotList)
    assert isinstance(module.handle(messages.Open(1)), messages.Token)
    called.calls.clear()
    return module, called


Opened = tuple[LoadedModule, Module]


def test_slots_are_those_whose_token_is_known_and_initialised(opened: Opened) -> None:
    module, _ = opened
    assert module.handle(messages.Slots()) == messages.SlotList(
        (messages.Slot(id=1, description="Reader 0", hardware=True, label="測試卡", serial="0123"),)
    )


@pytest.mark.parametrize(
    ("lengths", "told"), [((8, 6), (6, 8)), ((0, 0), (1, 255)), ((2**64 - 1, 2**64 - 1), (1, 255))]
)
def test_lengths_that_a_module_does_not_know_are_any(
    opened: Opened, lengths: tuple[int, int], told: tuple[int, int]
) -> None:
    module, called = opened
    called.lengths = lengths
    token = module.handle(messages.LookAtToken(1))
    assert isinstance(token, messages.Token)
    assert (token.min_length, token.max_length) == told
    assert token.flags == TokenFlag.TOKEN_INITIALIZED


def test_a_slot_is_opened_anew_and_only_where_it_was_listed(opened: Opened) -> None:
    module, called = opened
    module.handle(messages.Open(1))
    assert called.calls == [(F.C_CloseSession, 100), ("open", 1, False)]
    refused = module.handle(messages.Open(9))
    assert isinstance(refused, messages.CallRefused) and refused.value == Ckr.SLOT_ID_INVALID


def test_what_needs_a_session_is_refused_without_one(opened: Opened) -> None:
    module, called = opened
    for request in (messages.Certificates(2), messages.Sign(2, 21, b""), messages.Login(2, bytearray(PIN))):
        refused = module.handle(request)
        assert isinstance(refused, messages.CallRefused) and refused.value == Ckr.SESSION_CLOSED
    assert module.handle(messages.Close(2)) == messages.Done()
    assert not called.calls


def test_certificates_and_keys_are_listed_with_what_joins_them(opened: Opened) -> None:
    module, called = opened
    assert module.handle(messages.Certificates(1)) == messages.TokenCertificates(
        (messages.Certificate(b"\x01", b"certificate"),)
    )
    assert module.handle(messages.Keys(1)) == messages.KeyList((messages.Key(21, b"\x01", b"modulus"),))
    called.kind = KeyType.EC
    keys = module.handle(messages.Keys(1))
    assert isinstance(keys, messages.KeyList) and keys.keys[0].elliptic


@pytest.mark.parametrize("pin", [PIN, None])
def test_a_pin_is_presented_once_and_wiped(opened: Opened, pin: bytes | None) -> None:
    module, called = opened
    given = None if pin is None else bytearray(pin)
    assert module.handle(messages.Login(1, given)) == messages.Done()
    assert called.calls == [(F.C_Login, 100, User.USER, pin, len(pin or b""))]
    assert given is None or not any(given)


def test_a_refused_pin_is_told_with_the_function_and_wiped_too(opened: Opened) -> None:
    module, called = opened
    called.refuses[F.C_Login] = Ckr.PIN_INCORRECT
    given = bytearray(PIN)
    refused = module.handle(messages.Login(1, given))
    assert refused == messages.CallRefused(Ckr.PIN_INCORRECT, "C_Login: CKR 0xA0")
    assert not any(given)
    called.refuses.clear()
    module.handle(messages.Close(1))
    assert (F.C_Logout, 100) not in called.calls


@pytest.mark.parametrize(
    ("work", "kind", "began", "ended"),
    [
        (messages.Sign(1, 21, b"info"), KeyType.RSA, (F.C_SignInit, Mechanism.RSA_PKCS), F.C_Sign),
        (messages.Sign(1, 21, b"info"), KeyType.EC, (F.C_SignInit, Mechanism.ECDSA), F.C_Sign),
        (messages.Decrypt(1, 21, b"info"), KeyType.EC, (F.C_DecryptInit, Mechanism.RSA_PKCS), F.C_Decrypt),
    ],
)
def test_a_key_works_by_the_mechanism_of_its_kind(
    opened: Opened, work: messages.Sign, kind: KeyType, began: tuple[int, int], ended: Function
) -> None:
    module, called = opened
    called.kind = kind
    assert module.handle(work) == messages.Octets(b"made")
    assert called.calls == [(began[0], 100, 21, began[1]), (ended, b"info")]


def test_pss_is_bound_to_the_hash_that_the_digest_is_of(opened: Opened) -> None:
    module, called = opened
    module.handle(messages.SignPss(1, 21, bytes(32)))
    assert called.calls[0] == (F.C_SignInit, 100, 21, Mechanism.RSA_PSS, *PSS_HASHES[32], 32)
    refused = module.handle(messages.SignPss(1, 21, bytes(31)))
    assert isinstance(refused, messages.CallRefused) and refused.value == Ckr.MECHANISM_INVALID


def test_a_key_that_wants_the_pin_each_time_is_given_the_one_that_was_right(opened: Opened) -> None:
    module, called = opened
    called.each_time = True
    module.handle(messages.Sign(1, 21, b"info"))
    assert F.C_Login not in [call[0] for call in called.calls]
    module.handle(messages.Login(1, bytearray(PIN)))
    called.calls.clear()
    for _ in range(2):
        module.handle(messages.Sign(1, 21, b"info"))
    again = (F.C_Login, 100, User.CONTEXT_SPECIFIC, PIN, len(PIN))
    assert called.calls == [(F.C_SignInit, 100, 21, Mechanism.RSA_PKCS), again, (F.C_Sign, b"info")] * 2


def test_a_secret_is_agreed_upon(opened: Opened) -> None:
    module, called = opened
    assert module.handle(messages.Agree(1, 21, b"point")) == messages.Octets(b"secret")
    assert called.calls == [(F.C_DeriveKey, 100, 21, b"point")]


def test_a_pin_is_replaced_without_a_login_in_a_session_that_may_write(opened: Opened) -> None:
    module, called = opened
    old, new = bytearray(PIN), bytearray(NEW)
    assert module.handle(messages.SetPin(1, old, new)) == messages.Done()
    assert called.calls == [
        (F.C_CloseSession, 100),
        ("open", 1, True),
        (F.C_SetPIN, 101, PIN, len(PIN), NEW, len(NEW)),
    ]
    assert not any(old) and not any(new)


def test_the_security_officer_sets_a_new_pin_and_is_logged_out(opened: Opened) -> None:
    module, called = opened
    module.handle(messages.Unblock(1, bytearray(PUK), bytearray(NEW)))
    module.handle(messages.Close(1))
    assert called.calls == [
        (F.C_CloseSession, 100),
        ("open", 1, True),
        (F.C_Login, 101, User.SECURITY_OFFICER, PUK, len(PUK)),
        (F.C_InitPIN, 101, NEW, len(NEW)),
        (F.C_Logout, 101),
        (F.C_CloseSession, 101),
    ]


def test_a_session_is_closed_also_where_logging_out_fails(opened: Opened) -> None:
    module, called = opened
    module.handle(messages.Login(1, bytearray(PIN)))
    kept = module._visits[1].pin
    called.refuses[F.C_Logout] = Ckr.DEVICE_REMOVED
    refused = module.handle(messages.Close(1))
    assert isinstance(refused, messages.CallRefused)
    assert called.calls[-1] == (F.C_CloseSession, 100)
    assert kept is not None and not any(kept)
    assert module.handle(messages.Close(1)) == messages.Done()
