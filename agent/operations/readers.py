"""The readers as they stand, and news of every change; no command is sent to a card."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from typing import Final

from agent.operations.messages import ReaderCondition, ReaderView
from agent.pkcs11_modules import Modules
from agent.threads import GivenUp, OneThread
from pcsc.context import Context, ReaderState
from pcsc.errors import (
    CardMuteError,
    NoCardError,
    NoReaderError,
    PcscError,
    ReaderBusyError,
    ReaderNameError,
    ReaderUnavailableError,
    ServiceUnavailableError,
)
from pcsc.service import Service
from pcsc.watcher import ReaderWatcher

log = logging.getLogger(__name__)

ReadersListener = Callable[[tuple[ReaderView, ...]], None]

_LOOK_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0

# No card anybody holds in a hand: Windows shows these as readers with a card that never leaves.
_BUILT_IN: Final = re.compile(
    "windows hello|microsoft virtual smart card|microsoft iris|microsoft uicc", re.IGNORECASE
)
_VIRTUAL: Final = re.compile(f"{_BUILT_IN.pattern}|virtual|vpcd|simulat", re.IGNORECASE)
_WITHOUT_CARD: Final = {
    ReaderCondition.BUSY: ReaderBusyError,
    ReaderCondition.MUTE: CardMuteError,
    ReaderCondition.EMPTY: NoCardError,
    ReaderCondition.UNNAMEABLE: ReaderNameError,
    ReaderCondition.UNAVAILABLE: ReaderUnavailableError,
}
"""What keeps a reader from being used; what a person can do most about first."""


def is_virtual(name: str) -> bool:
    """Return whether a reader's name says that it is no device: Windows Hello, vpcd, a simulator."""
    return _VIRTUAL.search(name) is not None


def is_built_in(name: str) -> bool:
    """Return whether a reader's name is one of Windows' own: no card anybody holds in a hand."""
    return _BUILT_IN.search(name) is not None


class Readers:
    """The readers of one PC/SC service.

    Args:
        service: PC/SC.
        on_change: called on the event loop with the raw states at each change, before any listener.
        on_service: called on the event loop when the service is found, and when it is found missing.
        modules: the PKCS#11 modules; their slots that are no readers of PC/SC are listed too. They are looked
            for when somebody asks for the readers, not at changes.
    """

    def __init__(
        self,
        service: Service,
        on_change: Callable[[Sequence[ReaderState]], None],
        on_service: Callable[[bool], None],
        modules: Modules,
    ) -> None:
        self._service = service
        self._on_change = on_change
        self._on_service = on_service
        self._modules = modules
        self._listeners: list[ReadersListener] = []
        self._pin_pads: dict[str, bool] = {}
        self._last: tuple[ReaderView, ...] | None = None
        self._watcher: ReaderWatcher | None = None
        # Its own thread: a smart card service that hangs must not take the event loop's threads with it.
        self._thread = OneThread("readers", at_end=self._drop_context)
        self._context: Context | None = None

    def start(self) -> None:
        """Begin to watch; called on the event loop that listeners are to be called on."""
        loop = asyncio.get_running_loop()

        def changed(states: Sequence[ReaderState]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._changed, tuple(states))

        was_running = False

        def service_changed(running: bool) -> None:
            nonlocal was_running
            # What modules had open ended with the service; where there never was one, they need none. It may
            # run again by now, and somebody visit a card through a process that began after it.
            if was_running and not running:
                self._modules.retire()
            was_running = running
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_service, running)

        self._watcher = ReaderWatcher(self._service, changed, service_changed)
        self._watcher.start()

    async def close(self) -> None:
        """Stop watching."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            await asyncio.to_thread(watcher.stop)
        self._listeners.clear()
        self._thread.close()
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def listen(self, listener: ReadersListener) -> Callable[[], None]:
        """Call `listener` at each change; what is returned ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def note_pin_pad(self, reader: str, *, works: bool = True) -> None:
        """Take down that this reader has a keypad, found when a card was reached through it.

        Args:
            reader: the reader's name.
            works: False where it turned out to be of no use, which is believed for as long as this runs.
        """
        self._pin_pads[reader] = works and not self.keypad_failed(reader)

    def keypad_failed(self, reader: str) -> bool:
        """Return whether the reader claims a keypad, and it turned out to be of no use."""
        return self._pin_pads.get(reader) is False

    async def look(self) -> tuple[ReaderView, ...]:
        """Return all readers as they are now.

        Raises:
            ServiceUnavailableError: the smart card service is not running.
            AgentError: card.timeout: it does not answer.
        """
        return self._views(await self._thread.submit(self._look, _LOOK_SECONDS))

    def _look(self, given_up: GivenUp) -> list[ReaderState]:
        """Return readers, and slots of modules; in `_thread`."""
        if given_up():
            return []
        if not self._modules.any:
            return self._look_at_readers()
        try:
            states = self._look_at_readers()
        except ServiceUnavailableError:
            # There are modules that need no reader.
            self._modules.look(())
            if not self._modules.extra:
                raise
            states = []
        self._modules.look(states)
        return [*states, *self._slots()]

    def _slots(self) -> list[ReaderState]:
        """Return the slots that are no readers of PC/SC, as last seen."""
        return [ReaderState(serving.reader, present=True) for serving in self._modules.extra]

    def _look_at_readers(self) -> list[ReaderState]:
        """Look with a context that stays open: opening one costs the service more than a look."""
        if self._context is not None:
            try:
                return self._context.look()
            except PcscError:
                self._drop_context()  # the service was restarted, perhaps
        self._context = self._service.context()
        try:
            return self._context.look()
        except PcscError:
            self._drop_context()
            raise

    def _drop_context(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _changed(self, changed: tuple[ReaderState, ...]) -> None:
        states = (*changed, *self._slots())
        self._on_change(states)
        views = self._views(states)
        if views == self._last:
            # Only that some program connected or let go: nothing that a person would see.
            return
        self._last = views
        for listener in tuple(self._listeners):
            try:
                listener(views)
            except Exception:
                log.exception("a listener failed on a change of the readers")

    def _views(self, states: Sequence[ReaderState]) -> tuple[ReaderView, ...]:
        return tuple([self._view(state) for state in states])

    def _view(self, state: ReaderState) -> ReaderView:
        virtual, module = is_virtual(state.name), ""
        if self._modules.any:
            serving = self._modules.known_for(state.name, state)[1]
            module = "" if serving is None else serving.module.path.name
            virtual = virtual or any(
                one.reader == state.name and not one.slot.hardware for one in self._modules.extra
            )
        return ReaderView(
            name=state.name,
            condition=_condition(state),
            pin_pad=self._pin_pads.get(state.name, False),
            keypad_failed=self.keypad_failed(state.name),
            virtual=virtual,
            atr=state.atr,
            event_counter=state.event_counter,
            module=module,
        )


def _condition(state: ReaderState) -> ReaderCondition:
    if state.unnameable:
        return ReaderCondition.UNNAMEABLE
    if state.unavailable:
        return ReaderCondition.UNAVAILABLE
    if not state.present:
        return ReaderCondition.EMPTY
    if state.mute:
        return ReaderCondition.MUTE
    return ReaderCondition.BUSY if state.exclusive else ReaderCondition.CARD


def named(views: Sequence[ReaderView], name: str) -> ReaderView:
    """Return the reader of that name, with a card that can be asked.

    Raises:
        ReaderUnavailableError, ReaderNameError, NoCardError, CardMuteError, ReaderBusyError: it has none.
    """
    for view in views:
        if view.name == name:
            if view.condition in _WITHOUT_CARD:
                raise _WITHOUT_CARD[view.condition](reader=name)
            return view
    raise ReaderUnavailableError(reader=name)


def candidates(views: Sequence[ReaderView]) -> tuple[ReaderView, ...]:
    """Return the readers to choose from when none is named: real before virtual, Windows' own never.

    Raises:
        NoReaderError, ReaderNameError, NoCardError, CardMuteError, ReaderBusyError: there is none.
    """
    real: list[ReaderView] = []
    virtual: list[ReaderView] = []
    useless: list[ReaderView] = []
    for view in views:
        if view.virtual and is_built_in(view.name):
            continue
        if view.condition is not ReaderCondition.CARD:
            useless.append(view)
        else:
            (virtual if view.virtual else real).append(view)
    if real or virtual:
        return tuple(real or virtual)
    if not useless:
        raise NoReaderError
    view = min(useless, key=lambda view: list(_WITHOUT_CARD).index(view.condition))
    raise _WITHOUT_CARD[view.condition](reader=view.name)
