"""What pyscard raises is an error with a sentence, and takes away no more than it must."""

from __future__ import annotations

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
