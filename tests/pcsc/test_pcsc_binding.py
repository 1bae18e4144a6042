"""What pyscard raises is an error with a sentence, and takes away no more than it must."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pcsc import binding
from pcsc.binding import SystemWinscard
from pcsc.context import Context
from pcsc.errors import BindingError
from tests.support.channel import READER, ScriptedWinscard

ODD = "Reader ＠ 00 00"


class Raising(ScriptedWinscard):
    """pyscard, which takes no name but an ASCII one where it is asked for states."""

    def __init__(self, raised: Exception, function: str = "", names: tuple[str, ...] = (READER, ODD)) -> None:
        super().__init__(SCardListReaders=[(0, list(names))] * 9)
        self.raised, self.function = raised, function

    def __getattr__(self, name: str) -> Any:
        usual = super().__getattr__(name)
        if name != self.function:
            return usual

        def fail(*_arguments: Any) -> Any:
            raise self.raised

        return fail

    def SCardGetStatusChange(self, context: Any, timeout: int, states: list[tuple[Any, ...]]) -> Any:
        assert all(name.isascii() for name, _ in states), "pyscard would end the process"
        return (0, [(name, 0x20, []) for name, _ in states])


RAISED = (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "x"), SystemError("an exception set"), MemoryError())


def test_the_good_reader_is_seen_beside_one_that_cannot_be_named() -> None:
    context = Context(SystemWinscard(Raising(SystemError())))  # type: ignore[arg-type]
    good, odd = context.look()
    assert (good.name, good.present, good.unnameable) == (READER, True, False)
    assert (odd.name, odd.unavailable, odd.unnameable) == (ODD, True, True)
    assert context.wait([good, odd], 1)


def test_a_machine_with_nothing_but_an_unnameable_reader_waits_for_others() -> None:
    context = Context(SystemWinscard(Raising(SystemError(), names=(ODD,))))  # type: ignore[arg-type]
    assert [state.unnameable for state in context.look()] == [True]


def test_names_of_windows_are_those_in_unicode_not_those_in_its_code_page() -> None:
    in_code_page = Raising(SystemError(), names=(READER, "Reader ? 00 00"))
    winscard = SystemWinscard(in_code_page, lambda _context, _groups: (0, [READER, ODD]))
    context = Context(winscard)  # type: ignore[arg-type]
    assert [(state.name, state.unnameable) for state in context.look()] == [(READER, False), (ODD, True)]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
@pytest.mark.parametrize(
    "function", ["SCardEstablishContext", "SCardListReaders", "SCardConnect", "SCardTransmit", "SCardControl"]
)
def test_whatever_the_binding_raises_is_an_error_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, function: str
) -> None:
    monkeypatch.setattr(binding, "_LIBRARY", {})
    winscard = SystemWinscard(Raising(raised, function))
    with pytest.raises(BindingError, match=f"{function}: {type(raised).__name__}") as caught:
        getattr(winscard, function)(1, [])
    assert caught.value.error_id == "service.binding"
    assert caught.value.__cause__ is None


def test_the_systems_functions_are_pyscards(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = ScriptedWinscard(SCardListReaders=[(0, ["by pyscard"])])
    monkeypatch.setitem(sys.modules, "smartcard", SimpleNamespace(scard=scripted))
    monkeypatch.setattr("sys.platform", "linux")
    assert binding.system().SCardListReaders(7, []) == (0, ["by pyscard"])
    assert scripted.calls == [("SCardListReaders", 7, [])]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_a_question_for_states_that_raises_is_an_error_too(raised: Exception) -> None:
    class Failing(ScriptedWinscard):
        def SCardGetStatusChange(self, *_arguments: Any) -> Any:
            raise raised

    winscard = SystemWinscard(Failing())
    with pytest.raises(BindingError, match=f"SCardGetStatusChange: {type(raised).__name__}"):
        winscard.SCardGetStatusChange(1, 0, [(READER, 0)])


def listing(answer: bytes, unit: int, code: int = 0) -> Callable[..., int]:
    """SCardListReaders as C has it: the size first, then what there is."""

    def list_readers(_context: Any, _groups: None, into: Any, size: Any) -> int:
        if into is None:
            size._obj.value = len(answer) // unit
        else:
            ctypes.memmove(into, answer, len(answer))
        return code

    return list_readers


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_names_that_pyscard_cannot_give_are_asked_of_the_library_itself(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    library = SimpleNamespace(SCardListReaders=listing(b"Reader \xe9 00\0" + ODD.encode() + b"\0\0", 1))
    loaded: list[str] = []
    monkeypatch.setattr("sys.platform", platform)

    def load(path: str) -> SimpleNamespace:
        loaded.append(path)
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    winscard = SystemWinscard(Raising(RAISED[0], "SCardListReaders"))
    assert winscard.SCardListReaders(7, []) == (0, ["Reader � 00", ODD])
    assert loaded == [binding._LIBRARY[platform]]
    library.SCardListReaders = listing(b"", 1, 0x8010002E)
    assert winscard.SCardListReaders(7, []) == (0x8010002E, [])


def test_windows_names_its_readers_in_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    names = f"{ODD}\0half \ud800\0\0".encode("utf-16-le", "surrogatepass")
    library = SimpleNamespace(SCardListReadersW=listing(names, 2))
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda _name: library, raising=False)
    monkeypatch.setitem(sys.modules, "smartcard", SimpleNamespace(scard=ScriptedWinscard()))
    assert binding.system().SCardListReaders(7, []) == (0, [ODD, "half �"])
