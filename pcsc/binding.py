"""The system's own PC/SC as pyscard gives it, kept from raising where `Winscard` promises a return code.

pyscard 2.3 takes readers' names as ASCII in SCardGetStatusChange and gives them as UTF-8 in SCardListReaders.
For others it raises, or ends the process: one reader with such a name took away all readers of the machine.
On Windows it asks for them in the code page, where a character that has no place there is "?": a name that
Windows then does not know.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final, cast

from pcsc.errors import BindingError
from pcsc.results import ReturnCode
from pcsc.winscard import ReaderFlags, Winscard

_LIBRARY: Final = {
    "linux": "libpcsclite.so.1",
    "darwin": "/System/Library/Frameworks/PCSC.framework/PCSC",
}
_UNNAMEABLE: Final = int(ReaderFlags.UNNAMEABLE | ReaderFlags.UNAVAILABLE)


def system() -> Winscard:
    """Return the system's own PC/SC; loaded late, as virtual readers do not need pyscard."""
    from smartcard import scard

    return cast(Winscard, SystemWinscard(scard, _names_in_unicode if sys.platform == "win32" else None))


class SystemWinscard:
    """The functions of pyscard; whatever they raise is a `BindingError`.

    Args:
        scard: `smartcard.scard`.
        names: what lists the readers in its place.
    """

    def __init__(self, scard: Any, names: Callable[..., Any] | None = None) -> None:
        self._scard = scard
        self._names = names

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._scard, name)

        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception as trouble:
                # Its own words stay out: they could repeat what was to be sent.
                raise BindingError(detail=f"{name}: {type(trouble).__name__}") from None

        setattr(self, name, call)
        return call

    def SCardListReaders(self, context: Any, groups: list[str], /) -> tuple[int, list[str]]:
        """Return all names; octets that are no UTF-8 are U+FFFD."""
        try:
            names = self._names or self._scard.SCardListReaders
            return cast(tuple[int, list[str]], names(context, groups))
        except Exception as trouble:
            detail = f"SCardListReaders: {type(trouble).__name__}"
        try:
            return _names_in_octets(int(context))
        except Exception:
            raise BindingError(detail=detail) from None

    def SCardGetStatusChange(
        self, context: Any, timeout: int, states: list[tuple[Any, ...]], /
    ) -> tuple[int, list[tuple[str, int, list[int]]]]:
        """Ask for all readers but those whose names do not get through, answered as `UNNAMEABLE`."""
        # Left out beforehand: pyscard 2.3 may not only raise for one of several, but end the process.
        usable = [state for state in states if state[0].isascii()]
        code = int(ReturnCode.SUCCESS)
        found: list[tuple[str, int, list[int]]] = []
        if usable or not states:
            try:
                code, found = self._scard.SCardGetStatusChange(context, timeout, usable)
            except Exception as trouble:
                raise BindingError(detail=f"SCardGetStatusChange: {type(trouble).__name__}") from None
        answers = iter(found)
        return code, [
            next(answers, (state[0], 0, [])) if state[0].isascii() else (state[0], _UNNAMEABLE, [])
            for state in states
        ]


def _names_in_unicode(context: Any, _groups: list[str], /) -> tuple[int, list[str]]:
    """Return what SCardListReadersW of Windows says, without pyscard."""
    library = ctypes.WinDLL("winscard")  # type: ignore[attr-defined, unused-ignore]
    handle = ctypes.c_void_p(int(context))
    size = ctypes.c_uint32(0)
    code = library.SCardListReadersW(handle, None, None, ctypes.byref(size))
    units = (ctypes.c_uint16 * size.value)()
    if code == ReturnCode.SUCCESS:
        code = library.SCardListReadersW(handle, None, units, ctypes.byref(size))
    # Half of a pair of surrogates is no text: nobody could write it down.
    names = bytes(units).decode("utf-16-le", "replace").split("\0")
    return code, list(dict.fromkeys(filter(None, names)))


def _names_in_octets(context: int) -> tuple[int, list[str]]:
    """Return what SCardListReaders of winscard.h says, without pyscard.

    Raises:
        KeyError, OSError: it cannot be called here.
    """
    library = ctypes.CDLL(_LIBRARY[sys.platform])
    context_type, size_type = (
        (ctypes.c_int32, ctypes.c_uint32) if sys.platform == "darwin" else (ctypes.c_long, ctypes.c_ulong)
    )
    size = size_type(0)
    code = library.SCardListReaders(context_type(context), None, None, ctypes.byref(size))
    octets = ctypes.create_string_buffer(size.value)
    if code == ReturnCode.SUCCESS:
        code = library.SCardListReaders(context_type(context), None, octets, ctypes.byref(size))
    names = (name.decode("utf-8", "replace") for name in octets.raw.split(b"\0") if name)
    return code, list(dict.fromkeys(names))
