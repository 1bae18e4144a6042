"""Which reader is served by which PKCS#11 module: asked when somebody asks for readers or cards, never else.

A module that the administrator listed serves every slot in which it sees a token. A known one, found in its
standard place, serves only a reader whose card it is meant for and in whose slot it sees a token; it is
loaded when there is such a card, and ended when there is none any more. A reader that a module serves is
not opened by our own drivers.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from agent.config import Pkcs11
from agent.desktop import converse, own_command
from agent.module_files import ModuleFile, known, require_safe
from agent.places.pcsc import Profiles
from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess
from hca_card.pkcs11.errors import ModuleCrashedError, ModuleError, ModuleTimeoutError
from pcsc.context import ReaderState

log = logging.getLogger(__name__)

REQUEST_SECONDS = 30.0
"""How long one request to a module may take."""

_LIST_SECONDS: Final = 8.0
_FAILURES_MAX: Final = 3
_DESCRIPTION_OCTETS: Final = 64

_Cards = tuple[tuple[str, bytes, int], ...]


@dataclass(frozen=True, slots=True)
class Serving:
    """A reader that a module serves.

    Attributes:
        reader: its name: PC/SC's, where PC/SC has it.
        module: the module.
        slot: what the module said of the slot.
        generation: the process that said so.
        card: answer to reset and event counter; None for a slot that is no reader of PC/SC.
    """

    reader: str
    module: ModuleProcess
    slot: messages.Slot
    generation: int
    card: tuple[bytes, int] | None

    @property
    def holds(self) -> bool:
        """Whether the process that said so is still there."""
        return self.module.running and self.module.generation == self.generation


@dataclass(frozen=True, slots=True)
class ModuleView:
    """One PKCS#11 module.

    Attributes:
        path: its file.
        readers: the readers it serves, as last seen.
        error: what keeps it from being used.
    """

    path: Path
    readers: tuple[str, ...]
    error: Exception | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found out for the cards as they were at one moment."""

    cards: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    servings: Mapping[str, Serving] = field(default_factory=dict)


class Modules:
    """The modules of this machine. Thread-safe; only `look` may block, for as long as modules take.

    Args:
        settings: which are listed, and whether known ones are used.
        profiles: the HCA card types known; None is the one that ships alone.
        real: whether the readers are real ones: simulated readers are all there is where there are any.
        start: starts the process of a module.
    """

    def __init__(
        self,
        settings: Pkcs11,
        profiles: Profiles | None = None,
        *,
        real: bool = True,
        start: Callable[[str], subprocess.Popen[bytes]] = lambda path: converse(own_command("module", path)),
    ) -> None:
        files = [ModuleFile(Path(path), None) for path in settings.modules] if real else []
        if real and settings.known:
            files += known(profiles)
        self._sources = tuple(_Source(file, start, REQUEST_SECONDS) for file in files)
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._closed = threading.Event()

    @property
    def any(self) -> bool:
        """Whether there are modules at all."""
        return bool(self._sources)

    @property
    def loaded(self) -> tuple[Path, ...]:
        """The files of the modules that are loaded now."""
        return tuple(source.path for source in self._sources if source.process.running)

    @property
    def views(self) -> tuple[ModuleView, ...]:
        """All modules, with the readers they serve and what is wrong with them."""
        servings = self._seen.servings.values()
        return tuple(
            ModuleView(
                source.path,
                tuple(one.reader for one in servings if one.module is source.process),
                source.trouble,
            )
            for source in self._sources
        )

    def look(self, states: Sequence[ReaderState]) -> Mapping[str, Serving]:
        """Who is served by a module, by reader, with the cards as `states` has them.

        Modules are asked only when a card came or went, or their process ended, since the last time.
        """
        if not self._sources:
            return {}
        cards: _Cards = tuple((one.name, one.atr, one.event_counter) for one in states if one.atr)
        with self._lock:
            if self._closed.is_set():
                return {}
            wanted = [source for source in self._sources if source.wanted(cards)]
            stale = [source for source in wanted if not source.fresh(cards)]
            if len(stale) == 1:
                stale[0].ask(cards)
            elif stale:
                with ThreadPoolExecutor(len(stale), "modules") as pool:
                    list(pool.map(lambda source: source.ask(cards), stale))
            for source in self._sources:
                if source not in wanted:
                    source.end()
            if self._closed.is_set():  # meanwhile
                self.end()
                return {}
            servings = _arranged(wanted, cards, [state.name for state in states])
            held = {name: (atr, counter) for name, atr, counter in cards}
            self._seen = _Seen(MappingProxyType(held), MappingProxyType(servings))
            return self._seen.servings

    def known_for(self, reader: str, state: ReaderState | None) -> tuple[bool, Serving | None]:
        """Whether it is known who serves `reader` with the card that `state` has, and the module if any."""
        seen = self._seen
        card = (state.atr, state.event_counter) if state is not None and state.atr else None
        serving = seen.servings.get(reader)
        if seen.cards.get(reader) != card or (serving is not None and not serving.holds):
            return False, None
        return serving is not None or card is not None, serving

    @property
    def extra(self) -> tuple[Serving, ...]:
        """The slots that are no readers of PC/SC, as last seen."""
        return tuple(one for one in self._seen.servings.values() if one.card is None)

    def end(self) -> None:
        """End all processes; they are started again when somebody asks."""
        for source in self._sources:
            source.end()

    def close(self) -> None:
        """End all processes for good."""
        self._closed.set()
        self.end()


class _Source:
    """One module's file, its process, and what it said last."""

    def __init__(
        self, file: ModuleFile, start: Callable[[str], subprocess.Popen[bytes]], seconds: float
    ) -> None:
        self.path: Final = file.path
        self.serves: Final = file.serves
        self.trouble: ModuleError | None = None
        self.slots: tuple[messages.Slot, ...] = ()
        self.generation = 0
        self._cards: _Cards | None = None
        self._failures = 0
        self.process = ModuleProcess(
            file.path, lambda path: start(str(require_safe(Path(path)))), seconds=seconds
        )
        self._seconds = min(seconds, _LIST_SECONDS)

    def wanted(self, cards: _Cards) -> bool:
        """Whether the module is to be asked at all."""
        return self.serves is None or any(self.serves(atr) for _, atr, _ in cards)

    def fresh(self, cards: _Cards) -> bool:
        """Whether what it said last was about these very cards, or it need not be asked again."""
        if self._cards != cards:
            return False
        if self.trouble is not None:
            # A crash may have been bad luck; a module that hangs, or cannot be loaded, stays so.
            return self._failures >= _FAILURES_MAX or not isinstance(self.trouble, ModuleCrashedError)
        return self.process.running and self.process.generation == self.generation

    def ask(self, cards: _Cards) -> None:
        """Ask for the slots; where that fails, what was known of these very cards stays."""
        if self._cards != cards:
            self._failures, self.slots = 0, ()
        self._cards = cards
        try:
            self.slots = self.process.ask(messages.Slots(), messages.SlotList, seconds=self._seconds).slots
        except ModuleError as error:
            self.trouble = error
            self._failures += 1
            log.warning("the PKCS#11 module %s cannot be used: %s", self.path, error)
            if not isinstance(error, ModuleCrashedError | ModuleTimeoutError):
                self.process.end()
        else:
            self.trouble, self._failures = None, 0
            self.generation = self.process.generation

    def end(self) -> None:
        self._cards, self.slots = None, ()
        self.process.end()


def _arranged(sources: Sequence[_Source], cards: _Cards, readers: Sequence[str]) -> dict[str, Serving]:
    """Each reader's module: the first in the order of the list, and there the first slot with a token."""
    found: dict[str, Serving] = {}
    there = {name: (atr, counter) for name, atr, counter in cards}
    for source in sources:
        for slot in source.slots:
            reader = _reader_of(slot, readers)
            if reader is None:
                if source.serves is None:
                    name = _own_name(slot, found)
                    found[name] = Serving(name, source.process, slot, source.generation, None)
                continue
            card = there.get(reader)
            meant = card is not None and (source.serves is None or source.serves(card[0]))
            if meant and reader not in found:
                found[reader] = Serving(reader, source.process, slot, source.generation, card)
    return found


def _reader_of(slot: messages.Slot, readers: Sequence[str]) -> str | None:
    """The PC/SC reader that a slot is: its description is the reader's name, or as much of it as fits."""
    if slot.description in readers:
        return slot.description
    shortened = [
        name
        for name in readers
        if _shortened(name) == slot.description and len(name.encode()) > _DESCRIPTION_OCTETS
    ]
    return shortened[0] if len(shortened) == 1 else None


def _shortened(name: str) -> str:
    return name.encode()[:_DESCRIPTION_OCTETS].decode("utf-8", "ignore").strip()


def _own_name(slot: messages.Slot, taken: Mapping[str, Serving]) -> str:
    name = slot.description or slot.label or f"PKCS#11 slot {slot.id}"
    return name if name not in taken else f"{name} ({slot.label or slot.id})"
