"""The readers as they stand, and word of every change; none of our own commands to a card."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from agent.modules import Modules
from agent.operations.messages import ReaderCondition, ReaderView
from agent.threads import OneThread, Wanted
from pcsc.context import Context, ReaderState
from pcsc.errors import (
    CardMuteError,
    NoCardError,
    NoReaderError,
    PcscError,
    ReaderBusyError,
    ReaderUnavailableError,
    ServiceUnavailableError,
)
from pcsc.service import Service
from pcsc.watcher import ReaderWatcher

log = logging.getLogger(__name__)

Listener = Callable[[tuple[ReaderView, ...]], None]

_LOOK_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0

# No card anybody holds in a hand: Windows shows these as readers with a card that never leaves.
_BUILT_IN: Final = ("windows hello", "microsoft virtual smart card", "microsoft iris", "microsoft uicc")
_VIRTUAL: Final = (*_BUILT_IN, "virtual", "vpcd", "simulat")


def is_virtual(name: str) -> bool:
    """Whether a reader's name says that it is no device: Windows Hello, vpcd, a simulator."""
    return any(word in name.casefold() for word in _VIRTUAL)


def is_built_in(name: str) -> bool:
    """Whether a reader's name is one of Windows' own: no card anybody holds in a hand."""
    return any(word in name.casefold() for word in _BUILT_IN)


class Readers:
    """The readers of one PC/SC service.

    Args:
        service: PC/SC.
        on_change: called on the event loop with the raw states at each change, before any listener.
        on_service: called on the event loop when the service is found, and when it is found missing.
        modules: who is served by a PKCS#11 module; slots that are no readers of PC/SC are listed too. They
            are looked for when somebody asks for the readers, not at changes.
    """

    def __init__(
        self,
        service: Service,
        on_change: Callable[[Sequence[ReaderState]], None],
        on_service: Callable[[bool], None],
        modules: Modules | None = None,
    ) -> None:
        self._service = service
        self._on_change = on_change
        self._on_service = on_service
        self._modules = modules
        self._listeners: list[Listener] = []
        self._pin_pads: set[str] = set()
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
            # What modules had open is gone with the service; where there never was one, they need none.
            if was_running and not running and self._modules is not None:
                self._modules.end()
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

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` at each change; what is returned ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def note_pin_pad(self, reader: str) -> None:
        """A card was reached through this reader, and the reader has a key pad."""
        self._pin_pads.add(reader)

    async def look(self) -> tuple[ReaderView, ...]:
        """All readers now.

        Raises:
            ServiceUnavailableError: the smart card service is not running.
            AgentError: card.timeout: it does not answer.
        """
        return self._views(await self._thread.run(self._look, _LOOK_SECONDS))

    def _look(self, wanted: Wanted) -> list[ReaderState]:
        """In `_thread`: readers, and slots of modules."""
        if not wanted():
            return []
        if self._modules is None or not self._modules.any:
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

    def _module_of(self, state: ReaderState) -> str:
        if self._modules is None:
            return ""
        serving = self._modules.known_for(state.name, state)[1]
        return "" if serving is None else serving.module.path.name

    def _slots(self) -> list[ReaderState]:
        """The slots that are no readers of PC/SC, as last seen."""
        extra = () if self._modules is None else self._modules.extra
        return [ReaderState(serving.reader, present=True) for serving in extra]

    def _look_at_readers(self) -> list[ReaderState]:
        """With a context that stays open: opening one costs the service more than a look."""
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
        software = (
            {one.reader for one in self._modules.extra if not one.slot.hardware} if self._modules else ()
        )
        return tuple(
            ReaderView(
                name=state.name,
                condition=_condition(state),
                pin_pad=state.name in self._pin_pads,
                virtual=is_virtual(state.name) or state.name in software,
                atr=state.atr,
                event_counter=state.event_counter,
                module=self._module_of(state),
            )
            for state in states
        )


def _condition(state: ReaderState) -> ReaderCondition:
    if state.unavailable:
        return ReaderCondition.UNAVAILABLE
    if not state.present:
        return ReaderCondition.EMPTY
    if state.mute:
        return ReaderCondition.MUTE
    return ReaderCondition.BUSY if state.exclusive else ReaderCondition.CARD


def named(views: Sequence[ReaderView], name: str) -> ReaderView:
    """The reader of that name, with a card that can be asked.

    Raises:
        ReaderUnavailableError, NoCardError, CardMuteError, ReaderBusyError: it has none.
    """
    for view in views:
        if view.name == name:
            _require_card(view)
            return view
    raise ReaderUnavailableError(reader=name)


def candidates(views: Sequence[ReaderView]) -> tuple[ReaderView, ...]:
    """The readers whose card may be meant when nobody named one: real before virtual, Windows' own never.

    Raises:
        NoReaderError, NoCardError, CardMuteError, ReaderBusyError: there is none.
    """
    considered = [view for view in views if not is_built_in(view.name)]
    if not considered:
        raise NoReaderError
    with_card = [view for view in considered if view.condition is ReaderCondition.CARD]
    if not with_card:
        order = (
            ReaderCondition.BUSY,
            ReaderCondition.MUTE,
            ReaderCondition.EMPTY,
            ReaderCondition.UNAVAILABLE,
        )
        _require_card(min(considered, key=lambda view: order.index(view.condition)))
    return tuple([view for view in with_card if not view.virtual] or with_card)


def _require_card(view: ReaderView) -> None:
    match view.condition:
        case ReaderCondition.CARD:
            return
        case ReaderCondition.MUTE:
            raise CardMuteError(reader=view.name)
        case ReaderCondition.BUSY:
            raise ReaderBusyError(reader=view.name)
        case ReaderCondition.EMPTY:
            raise NoCardError(reader=view.name)
        case ReaderCondition.UNAVAILABLE:
            raise ReaderUnavailableError(reader=view.name)
