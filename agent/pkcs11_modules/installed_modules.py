"""The PKCS#11 modules of this machine: asked when somebody asks for readers or cards, never else."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from agent.config import Pkcs11Settings
from agent.desktop import converse, own_command
from agent.environment import Child
from agent.pkcs11_modules.files import ModuleFile, known
from agent.pkcs11_modules.served_readers import ServedReader, arranged
from agent.pkcs11_modules.source import Cards, ModuleSource, Start
from agent.profiles import Profiles
from pcsc.context import ReaderState


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
class _Snapshot:
    """What was found out for the cards as they were at one moment."""

    cards: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    servings: Mapping[str, ServedReader] = field(default_factory=dict)


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
        settings: Pkcs11Settings,
        profiles: Profiles | None = None,
        *,
        real: bool = True,
        start: Start = lambda path: converse(own_command("module", path), Child.MODULE),
    ) -> None:
        files = [ModuleFile(Path(path), None) for path in settings.modules] if real else []
        if real and settings.known:
            files += known(profiles)
        self._sources = tuple(ModuleSource(file, start) for file in files)
        self._lock = threading.Lock()
        self._seen = _Snapshot()
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

    def look(self, states: Sequence[ReaderState]) -> Mapping[str, ServedReader]:
        """Return who is served by a module, by reader, with the cards as `states` has them.

        Modules are asked only when a card came or went, or their process ended, since the last time.
        """
        if not self._sources:
            return {}
        cards: Cards = tuple((one.name, one.atr, one.event_counter) for one in states if one.atr)
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
            servings = arranged(wanted, cards, [state.name for state in states])
            card_of = {name: (atr, counter) for name, atr, counter in cards}
            self._seen = _Snapshot(MappingProxyType(card_of), MappingProxyType(servings))
            return self._seen.servings

    def known_for(self, reader: str, state: ReaderState | None) -> tuple[bool, ServedReader | None]:
        """Whether it is known who serves `reader` with the card that `state` has, and the module if any."""
        seen = self._seen
        card = (state.atr, state.event_counter) if state is not None and state.atr else None
        serving = seen.servings.get(reader)
        if seen.cards.get(reader) != card or (serving is not None and not serving.holds):
            return False, None
        return serving is not None or card is not None, serving

    @property
    def extra(self) -> tuple[ServedReader, ...]:
        """The slots that are no readers of PC/SC, as last seen."""
        return tuple(one for one in self._seen.servings.values() if one.card is None)

    def retire(self) -> None:
        """End all processes, each as soon as nobody visits a card through it."""
        for source in self._sources:
            source.retire()

    def end(self) -> None:
        """End all processes; they are started again when somebody asks."""
        for source in self._sources:
            source.end()

    def close(self) -> None:
        """End all processes for good."""
        self._closed.set()
        self.end()
