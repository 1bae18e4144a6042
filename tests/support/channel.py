"""Fakes at the Winscard seam, for what `pcsc.virtual.VirtualWinscard` would never answer.

    winscard = ScriptedWinscard(SCardTransmit=[(0x80100016, [])])
    with winscard.connection() as connection: ...

For a scripted channel to a card application see `tests.support.script`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pcsc.connection import Connection
from pcsc.service import Service
from pcsc.winscard import ReaderFlags as Flags

READER = "Reader 00"
T1_ATR = bytes.fromhex("3B 81 81 31 FE 45 41 CA")

_USUAL: dict[str, Any] = {
    "SCardEstablishContext": (0, 1),
    "SCardReleaseContext": 0,
    "SCardCancel": 0,
    "SCardListReaders": (0, [READER]),
    "SCardGetStatusChange": (
        0,
        [(READER, 1 << 16 | Flags.PRESENT | Flags.CHANGED, list(T1_ATR))],
    ),
    "SCardConnect": (0, 2, 2),
    "SCardReconnect": (0, 2),
    "SCardDisconnect": 0,
    "SCardBeginTransaction": 0,
    "SCardEndTransaction": 0,
    "SCardTransmit": (0, [0x90, 0x00]),
    "SCardStatus": (0, READER, Flags.PRESENT, 2, list(T1_ATR)),
    "SCardControl": (0x8010001F, []),
}


class ScriptedWinscard:
    """A service with one reader and a card in it that answers 9000, except where the script says otherwise.

    Args:
        script: for a function's name, what it returns call after call; then the usual again.

    Attributes:
        calls: the name and arguments of every call so far.
    """

    def __init__(self, **script: list[Any]) -> None:
        assert script.keys() <= _USUAL.keys()
        self._script = script
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        usual = _USUAL[name]

        def call(*args: Any) -> Any:
            self.calls.append((name, *args))
            left = self._script.get(name)
            return left.pop(0) if left else usual

        return call

    def called(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of one function."""
        return [tuple(args) for called, *args in self.calls if called == name]

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection to the card."""
        with Service(self).context() as context, Connection(context, READER) as connection:  # type: ignore[arg-type]
            yield connection
