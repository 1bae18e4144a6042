"""The functions of winscard.h for readers that exist in this process only.

The return codes and the blocking are those of pcsc-lite 1.9.9, measured: connecting, transmitting and
disconnecting wait while another connection is in a transaction; after a reset every handle, even the one
that asked for it, answers 0x80100068 until it reconnects; SCardCancel without a wait does nothing; a name
that is no reader spoils the whole SCardGetStatusChange; a program that lets go of its context in a
transaction has the card reset.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from pcsc import pinpad
from pcsc.results import ReturnCode
from pcsc.virtual.handles import VirtualContext, VirtualHandle
from pcsc.virtual.keypad import FEATURES, KeypadInput, perform
from pcsc.virtual.readers import VirtualReader
from pcsc.virtual.state import ServiceState
from pcsc.winscard import PNP_NOTIFICATION, CardProtocol, Disposition, ReaderFlags, Share

_PROTOCOL: Final = CardProtocol.T1


class VirtualWinscard(ServiceState):
    """A smart card service of one's own: a `pcsc.winscard.Winscard`, safe to use from any thread."""

    virtual: Final = True

    def __init__(self) -> None:
        super().__init__()
        self._stop_code = ReturnCode.COMM_ERROR
        self._numbers = itertools.count(0x1000)
        self._added: list[VirtualReader] = []
        self._contexts: dict[int, VirtualContext] = {}
        self._handles: dict[int, VirtualHandle] = {}

    # The world: readers are plugged in, the service stops and starts.

    def add_reader(self, name: str, *, pin_pad: KeypadInput | None = None) -> VirtualReader:
        """Plug in a reader.

        Args:
            name: its PC/SC name; one that was unplugged may be used again.
            pin_pad: gives what the person types on the reader's keypad; None for a reader without one.

        Raises:
            ValueError: there is a reader of that name.
        """
        with self.changed:
            if name in self._readers:
                raise ValueError(f"there is a reader named {name}")
            reader = VirtualReader(self, name, pin_pad)
            self._added = [*self._readers.values(), reader]
            self.changed.notify_all()
            return reader

    @property
    def _readers(self) -> dict[str, VirtualReader]:
        """The readers that are plugged in, by name."""
        return {reader.name: reader for reader in self._added if reader.plugged}

    def stop_service(self, code: ReturnCode = ReturnCode.COMM_ERROR) -> None:
        """Stop the service: every context and handle is dead for good.

        Args:
            code: what a call that is waiting answers; SERVICE_STOPPED is what Windows says.
        """
        with self.changed:
            self.running = False
            self._stop_code = code
            for reader in self._readers.values():
                reader.power_off()
                reader.sharers, reader.exclusive = 0, False
            self.changed.notify_all()

    def start_service(self) -> None:
        """Start the service (again): it finds readers and cards anew and counts events from the start."""
        with self.changed:
            self.running = True
            self.starts += 1
            for reader in self._readers.values():
                reader.counter = int(reader.card is not None)
                reader.power_on()
            self.changed.notify_all()

    # Contexts.

    def SCardEstablishContext(self, scope: int, /) -> tuple[int, Any]:
        with self.changed:
            if not self.running:
                return int(ReturnCode.NO_SERVICE), 0
            number = next(self._numbers)
            self._contexts[number] = VirtualContext(self, self.starts)
            return 0, number

    def SCardReleaseContext(self, context: Any, /) -> int:
        with self.changed:
            known = self._contexts.pop(context, None)
            if known is None:
                return int(ReturnCode.INVALID_HANDLE)
            trouble = known.trouble()
            known.closed = True
            for number in [number for number, handle in self._handles.items() if handle.context is known]:
                handle = self._handles.pop(number)
                if handle.reader.owner is handle:
                    handle.reader.reset()
                self._leave(handle)
            self.changed.notify_all()
            return int(trouble or 0)

    def SCardCancel(self, context: Any, /) -> int:
        with self.changed:
            known = self._contexts.get(context)
            if known is None:
                return int(ReturnCode.INVALID_HANDLE)
            known.cancelled = known.waiting
            self.changed.notify_all()
            return 0

    def SCardListReaders(self, context: Any, groups: list[str], /) -> tuple[int, list[str]]:
        with self.changed:
            if trouble := self._context_trouble(context):
                return int(trouble), []
            if not self._readers:
                return int(ReturnCode.NO_READERS_AVAILABLE), []
            return 0, list(self._readers)

    def SCardGetStatusChange(
        self, context: Any, timeout: int, states: list[tuple[Any, ...]], /
    ) -> tuple[int, list[tuple[str, int, list[int]]]]:
        asked = [(str(state[0]), int(state[1])) for state in states]
        nothing: list[tuple[str, int, list[int]]] = [(name, 0, []) for name, _ in asked]
        deadline = time.monotonic() + timeout / 1000
        with self.changed:
            if trouble := self._context_trouble(context):
                return int(trouble), nothing
            if any(name not in self._readers and name != PNP_NOTIFICATION for name, _ in asked):
                return int(ReturnCode.UNKNOWN_READER), nothing
            known = self._contexts[context]
            count = len(self._readers)
            known.waiting, known.cancelled = True, False
            try:
                while True:
                    found = [self._state(name, current, count) for name, current in asked]
                    if trouble := known.trouble():
                        return int(trouble if known.closed else self._stop_code), found
                    if any(state & ReaderFlags.CHANGED for _, state, _ in found):
                        return 0, found
                    if known.cancelled:
                        return int(ReturnCode.CANCELLED), found
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return int(ReturnCode.TIMEOUT), found
                    self.changed.wait(min(left, threading.TIMEOUT_MAX))
            finally:
                known.waiting = False

    def _state(self, name: str, current: int, count: int) -> tuple[str, int, list[int]]:
        """Return one name's state, with CHANGED if it differs from `current`."""
        if name == PNP_NOTIFICATION:
            return name, int(ReaderFlags.CHANGED) if len(self._readers) != count else 0, []
        reader = self._readers.get(name)
        if reader is None:
            absent = ReaderFlags.UNKNOWN | ReaderFlags.UNAVAILABLE
            return name, int(absent if current & ReaderFlags.UNKNOWN else absent | ReaderFlags.CHANGED), []
        return name, reader.state_since(current), list(reader.atr)

    # Connections.

    def SCardConnect(self, context: Any, reader: str, share: int, protocols: int, /) -> tuple[int, Any, int]:
        with self.changed:
            if trouble := self._context_trouble(context):
                return int(trouble), 0, 0
            known = self._contexts[context]
            found = self._readers.get(reader)
            if found is None:
                return int(ReturnCode.UNKNOWN_READER), 0, 0
            self.changed.wait_for(lambda: found.owner is None or not found.plugged or known.trouble())
            handle = VirtualHandle(known, found, Share(share))
            if trouble := known.trouble() or self._join(handle, protocols):
                return int(trouble), 0, 0
            number = next(self._numbers)
            self._handles[number] = handle
            return 0, number, 0 if share == Share.DIRECT else int(_PROTOCOL)

    def _join(self, handle: VirtualHandle, protocols: int) -> ReturnCode | None:
        reader = handle.reader
        if not reader.plugged:
            return ReturnCode.READER_UNAVAILABLE
        if reader.exclusive or (handle.share is Share.EXCLUSIVE and reader.sharers):
            return ReturnCode.SHARING_VIOLATION
        if handle.share is not Share.DIRECT and (trouble := self._make_ready(reader, protocols)):
            return trouble
        reader.exclusive = handle.share is Share.EXCLUSIVE
        reader.sharers += 1
        handle.refresh()
        self.changed.notify_all()
        return None

    @staticmethod
    def _make_ready(reader: VirtualReader, protocols: int) -> ReturnCode | None:
        if reader.card is None:
            return ReturnCode.NO_SMARTCARD
        if not reader.powered:
            reader.power_on()
        if not reader.powered:
            return ReturnCode.UNRESPONSIVE_CARD
        if not protocols & _PROTOCOL:
            return ReturnCode.PROTO_MISMATCH
        return None

    def _leave(self, handle: VirtualHandle) -> None:
        reader = handle.reader
        if handle.context.start != self.starts:
            return
        reader.sharers = max(0, reader.sharers - 1)
        if handle.share is Share.EXCLUSIVE:
            reader.exclusive = False
        self.changed.notify_all()

    def SCardReconnect(
        self, card: Any, share: int, protocols: int, initialization: int, /
    ) -> tuple[int, int]:
        with self.changed:
            handle = self._wait_for_turn(card, current=False)
            if isinstance(handle, ReturnCode):
                return int(handle), 0
            reader = handle.reader
            wanted = Share(share)
            if wanted is Share.EXCLUSIVE and reader.sharers > 1:
                return int(ReturnCode.SHARING_VIOLATION), 0
            if initialization != Disposition.LEAVE and reader.card is not None:
                transaction = reader.owner, reader.depth
                reader.reset()
                reader.owner, reader.depth = transaction
            if trouble := self._make_ready(reader, protocols):
                return int(trouble), 0
            handle.share = wanted
            reader.exclusive = wanted is Share.EXCLUSIVE
            handle.refresh()
            self.changed.notify_all()
            return 0, int(_PROTOCOL)

    def SCardDisconnect(self, card: Any, disposition: int, /) -> int:
        with self.changed:
            self._wait_for_turn(card, current=False)
            handle = self._handles.pop(card, None)
            if handle is None:
                return int(ReturnCode.INVALID_HANDLE)
            if handle.context.trouble():
                return int(ReturnCode.NO_SERVICE)
            reader = handle.reader
            if reader.owner is handle:
                reader.release()
            if disposition == Disposition.UNPOWER:
                reader.power_off()
            elif disposition == Disposition.RESET:
                reader.reset()
            self._leave(handle)
            return 0

    def SCardBeginTransaction(self, card: Any, /) -> int:
        with self.changed:
            handle = self._wait_for_turn(card)
            if isinstance(handle, ReturnCode):
                return int(handle)
            handle.reader.owner = handle
            handle.reader.depth += 1
            return 0

    def SCardEndTransaction(self, card: Any, disposition: int, /) -> int:
        with self.changed:
            handle = self._find(card)
            if isinstance(handle, ReturnCode):
                return int(handle)
            reader = handle.reader
            if reader.owner is not handle:
                return int(ReturnCode.NOT_TRANSACTED)
            reader.depth -= 1
            if disposition == Disposition.RESET:
                reader.reset()
            elif disposition == Disposition.UNPOWER:
                reader.power_off()
            elif reader.depth == 0:
                reader.release()
            return 0

    def SCardTransmit(self, card: Any, protocol: int, command: list[int], /) -> tuple[int, list[int]]:
        if len(command) < 4:
            return int(ReturnCode.INVALID_PARAMETER), []
        return self._with_card(card, lambda handle: handle.transmit(bytes(command)))

    def SCardStatus(self, card: Any, /) -> tuple[int, str, int, int, list[int]]:
        with self.changed:
            handle = self._find(card)
            if isinstance(handle, ReturnCode):
                return int(handle), "", 0, 0, []
            return 0, handle.reader.name, handle.reader.state, int(_PROTOCOL), list(handle.reader.atr)

    def SCardControl(self, card: Any, code: int, data: list[int], /) -> tuple[int, list[int]]:
        with self.changed:
            handle = self._find(card)
            if isinstance(handle, ReturnCode):
                return int(handle), []
            typed = handle.reader.typed
        if typed is None:
            return int(ReturnCode.UNSUPPORTED_FEATURE), []
        if code == pinpad.GET_FEATURE_REQUEST:
            return 0, list(FEATURES)
        return self._with_card(
            card,
            lambda handle: perform(code, bytes(data), typed, handle.transmit),
        )

    # What the calls have in common; the caller holds the lock.

    def _with_card(self, card: Any, work: Callable[[VirtualHandle], bytes | None]) -> tuple[int, list[int]]:
        """Let the card work, without the lock, so that it can be pulled out meanwhile."""
        with self.changed:
            handle = self._wait_for_turn(card)
            if isinstance(handle, ReturnCode):
                return int(handle), []
            reader = handle.reader
            reader.busy = True
        answer = None
        try:
            answer = work(handle)
        finally:
            with self.changed:
                reader.busy = False
                self.changed.notify_all()
                trouble = handle.trouble()
                if handle.context.trouble():
                    trouble = self._stop_code
                elif answer is None or trouble is ReturnCode.REMOVED_CARD:
                    # The command was on its way: a real driver reports a failed exchange first.
                    trouble = ReturnCode.NOT_TRANSACTED
        return (int(trouble), []) if trouble else (0, list(answer or b""))

    def _wait_for_turn(self, card: Any, *, current: bool = True) -> VirtualHandle | ReturnCode:
        """Wait until no other has a transaction and the card is idle; return the handle, or what is wrong.

        Args:
            card: the handle.
            current: whether a card that was reset or removed is trouble.
        """
        handle = self._handles.get(card)
        if handle is None:
            return ReturnCode.INVALID_HANDLE
        reader = handle.reader

        def trouble() -> ReturnCode | None:
            return handle.trouble() if current else handle.context.trouble()

        def our_turn() -> bool:
            return reader.owner in (None, handle) and not reader.busy

        self.changed.wait_for(lambda: trouble() or our_turn() or card not in self._handles)
        if card not in self._handles:
            return ReturnCode.INVALID_HANDLE
        if not current and not reader.plugged:
            return ReturnCode.READER_UNAVAILABLE
        return trouble() or handle

    def _find(self, card: Any) -> VirtualHandle | ReturnCode:
        handle = self._handles.get(card)
        return ReturnCode.INVALID_HANDLE if handle is None else handle.trouble() or handle

    def _context_trouble(self, context: Any) -> ReturnCode | None:
        known = self._contexts.get(context)
        return ReturnCode.INVALID_HANDLE if known is None else known.trouble()
