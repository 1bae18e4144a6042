"""The binding by itself: what no module on this system can show."""

from __future__ import annotations

import ctypes
import importlib.util
import inspect
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, Structure, c_ulong, c_void_p, sizeof
from pathlib import Path
from typing import Any

import pytest

from hca_card.pkcs11 import cryptoki
from hca_card.pkcs11.cryptoki import (
    Attribute,
    CkAttribute,
    Ckr,
    Cryptoki,
    CryptokiError,
    Function,
    KeyType,
    Mechanism,
    ObjectClass,
    _FunctionList,
    _Mechanism,
    text,
)
from tests.support.platforms import WINDOWS

LONG, POINTER = sizeof(c_ulong), sizeof(c_void_p)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("CkSlotInfo", 64 + 32 + LONG + 4),
        ("CkTokenInfo", 32 + 32 + 16 + 16 + 11 * LONG + 4 + 16),
        ("CkAttribute", LONG + POINTER + LONG),
        ("_Mechanism", LONG + POINTER + LONG),
        ("_FunctionList", 2 + 68 * POINTER),
    ],
)
def test_structures_are_packed_on_windows_and_aligned_elsewhere(
    monkeypatch: pytest.MonkeyPatch, name: str, octets: int
) -> None:
    elsewhere = () if WINDOWS else (("linux", POINTER), ("darwin", POINTER))  # a long has other octets there
    for platform, alignment in (("win32", 1), *elsewhere):
        monkeypatch.setattr(sys, "platform", platform)
        spec = importlib.util.spec_from_file_location("packed", Path(cryptoki.__file__))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        kind: type[Structure] = getattr(module, name)
        assert sizeof(kind) == -(-octets // alignment) * alignment


class Entry:
    """C_GetFunctionList."""

    restype: Any = None

    def __init__(self, table: _FunctionList | None, value: int) -> None:
        self._table, self._value = table, value

    def __call__(self, place: Any) -> int:
        if self._table is not None:
            place._obj.contents = self._table
        return self._value


class Library:
    """A module's library: its functions are Python's, called as those of C are."""

    def __init__(self, value: int = Ckr.OK, **functions: Callable[..., int]) -> None:
        self.calls: list[str] = []
        self.kept: list[Any] = []  # for as long as C may call them
        table = _FunctionList()
        for name, work in {"C_Initialize": lambda _: Ckr.OK, **functions}.items():
            table.functions[Function[name]] = self._address(name, work)
        self.C_GetFunctionList = Entry(table, value)

    def _address(self, name: str, work: Callable[..., int]) -> int | None:
        def called(*arguments: int | None) -> int:
            self.calls.append(name)
            return int(work(*arguments))

        count = len(inspect.signature(work).parameters)
        self.kept.append(CFUNCTYPE(c_ulong, *(c_void_p,) * count)(called))
        return ctypes.cast(self.kept[-1], c_void_p).value


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[Library], Cryptoki]:
    def loaded(library: Library) -> Cryptoki:
        monkeypatch.setattr(ctypes, "CDLL", lambda _path: library)
        return Cryptoki("/usr/lib/maker.so")

    return loaded


Load = Callable[[Library], Cryptoki]
Place = int | None


def put(place: int | None, value: int | bytes) -> int:
    """Write to where a module was told to, and return CKR_OK."""
    assert place is not None
    octets = value if isinstance(value, bytes) else value.to_bytes(LONG, sys.byteorder)
    ctypes.memmove(place, octets, len(octets))
    return Ckr.OK


def test_a_module_is_initialised_once_and_one_that_is_none_is_refused(load: Load) -> None:
    library = Library()
    load(library)
    assert library.calls == ["C_Initialize"]
    with pytest.raises(CryptokiError, match="C_GetFunctionList: CKR 0x5"):
        load(Library(Ckr.GENERAL_ERROR))
    empty = Library()
    empty.C_GetFunctionList = Entry(None, Ckr.OK)
    with pytest.raises(CryptokiError):
        load(empty)


def test_what_a_module_returns_is_an_error_with_the_function_and_what_it_lacks_too(load: Load) -> None:
    module = load(Library(C_Logout=lambda _session: Ckr.USER_NOT_LOGGED_IN))
    with pytest.raises(CryptokiError) as caught:
        module.call(Function.C_Logout, 7)
    assert (caught.value.value, str(caught.value)) == (Ckr.USER_NOT_LOGGED_IN, "C_Logout: CKR 0x101")
    with pytest.raises(CryptokiError, match="0x54"):
        module.call(Function.C_CloseSession, 7)


@pytest.mark.parametrize(("most", "slots"), [(2, (5, 9)), (2000, None)])
def test_slots_are_counted_before_they_are_read(load: Load, most: int, slots: tuple[int, ...] | None) -> None:
    def slot_list(_present: int | None, found: int | None, count: int | None) -> int:
        if found is not None:
            put(found, b"".join(each.to_bytes(LONG, sys.byteorder) for each in (5, 9)))
        return put(count, most)

    module = load(Library(C_GetSlotList=slot_list))
    if slots is None:
        with pytest.raises(CryptokiError, match="C_GetSlotList"):
            module.slots()
    else:
        assert module.slots() == slots


def test_structures_are_filled_by_the_module(load: Load) -> None:
    module = load(
        Library(
            C_GetSlotInfo=lambda _slot, info: put(info, b"Reader 0".ljust(64)),
            C_GetTokenInfo=lambda _slot, info: put(info, b"label".ljust(32)),
            C_OpenSession=lambda slot, flags, _data, _notify, handle: put(
                handle, (slot or 0) << 8 | (flags or 0)
            ),
        )
    )
    assert bytes(module.slot_info(1).description).rstrip() == b"Reader 0"
    assert bytes(module.token_info(1).label).rstrip() == b"label"
    assert (module.open_session(3), module.open_session(3, writing=True)) == (0x304, 0x306)


def test_objects_are_found_until_there_are_no_more_and_the_search_is_ended(load: Load) -> None:
    batches = [(21, 22), (23,), ()]

    def find(_session: int | None, found: int | None, _most: int | None, count: int | None) -> int:
        some = batches.pop(0)
        put(found, b"".join(each.to_bytes(LONG, sys.byteorder) for each in some) or b"\0")
        return put(count, len(some))

    library = Library(
        C_FindObjectsInit=lambda _session, _template, _count: Ckr.OK,
        C_FindObjects=find,
        C_FindObjectsFinal=lambda _session: Ckr.OK,
    )
    assert load(library).objects(7, ObjectClass.CERTIFICATE) == (21, 22, 23)
    assert library.calls[-1] == "C_FindObjectsFinal"


def attributes(values: dict[int, bytes], length: int | None = None) -> Callable[..., int]:
    def get(_session: int | None, _object: int | None, template: int | None, _count: int | None) -> int:
        assert template is not None
        wanted = CkAttribute.from_address(template)
        if wanted.type not in values:
            return 0x12
        octets = values[wanted.type]
        if wanted.value is not None:
            put(wanted.value, octets)
        wanted.length = len(octets) if length is None else length
        return Ckr.OK

    return get


def test_an_attribute_is_read_and_is_empty_where_there_is_none(load: Load) -> None:
    values = {
        int(Attribute.ID): b"\x01\x02",
        int(Attribute.KEY_TYPE): KeyType.EC.to_bytes(LONG, sys.byteorder),
    }
    module = load(Library(C_GetAttributeValue=attributes(values)))
    assert module.attribute(7, 21, Attribute.ID) == b"\x01\x02"
    assert module.attribute(7, 21, Attribute.VALUE) == b""
    assert module.key_type(7, 21) == KeyType.EC
    unavailable = load(Library(C_GetAttributeValue=attributes(values, length=2 ** (8 * LONG) - 1)))
    assert unavailable.attribute(7, 21, Attribute.ID) == b""


def test_work_is_begun_with_its_parameter_and_finished_once(load: Load) -> None:
    begun: list[tuple[int, bytes]] = []

    def begin(_session: int | None, mechanism: int | None, _key: int | None) -> int:
        found = _Mechanism.from_address(mechanism or 0)
        given = ctypes.string_at(found.parameter, found.parameter_length) if found.parameter else b""
        begun.append((found.mechanism, given))
        return Ckr.OK

    def sign(
        _session: int | None, data: int | None, size: int | None, output: int | None, count: int | None
    ) -> int:
        put(output, ctypes.string_at(data or 0, size or 0)[::-1])
        return put(count, size or 0)

    module = load(Library(C_SignInit=begin, C_Sign=sign))
    module.begin(Function.C_SignInit, 7, 21, Mechanism.RSA_PKCS)
    module.begin(Function.C_SignInit, 7, 21, Mechanism.RSA_PSS, 1, 2)
    numbers = b"".join(each.to_bytes(LONG, sys.byteorder) for each in (1, 2))
    assert begun == [(Mechanism.RSA_PKCS, b""), (Mechanism.RSA_PSS, numbers)]
    assert module.finish(Function.C_Sign, 7, b"data") == b"atad"
    lying = load(Library(C_Sign=lambda _session, _data, _size, _output, count: put(count, 1 << 20)))
    with pytest.raises(CryptokiError, match="C_Sign: CKR 0x5"):
        lying.finish(Function.C_Sign, 7, b"data")


def test_a_secret_is_read_and_destroyed_whatever_becomes_of_it(load: Load) -> None:
    given: list[tuple[int, int]] = []

    def derive(
        _s: int | None,
        mechanism: int | None,
        key: int | None,
        _t: int | None,
        count: int | None,
        handle: int | None,
    ) -> int:
        given.append((_Mechanism.from_address(mechanism or 0).mechanism, key or 0))
        assert count == 6
        return put(handle, 33)

    library = Library(
        C_DeriveKey=derive,
        C_GetAttributeValue=attributes({int(Attribute.VALUE): b"secret"}),
        C_DestroyObject=lambda _session, _object: Ckr.OK,
    )
    assert load(library).derive(7, 21, b"\x04" + bytes(64)) == b"secret"
    assert given == [(Mechanism.ECDH1_DERIVE, 21)]
    assert library.calls[-1] == "C_DestroyObject"


def test_a_pin_is_passed_where_it_lies_so_that_wiping_it_is_enough() -> None:
    octets = bytearray(b"123456")
    pointer, size = text(octets)
    assert (bytes(pointer), size) == (b"123456", 6)
    octets[:] = bytes(6)
    assert bytes(pointer) == bytes(6)
    assert text(None) == (None, 0)
