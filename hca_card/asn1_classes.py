"""asn1crypto made ready for several threads.

Each class of asn1crypto works out its tables when the first object of it is made, with no lock: a thread that
makes another at that moment reads half of a table, and takes what is right for malformed. Here every class
gets its tables once, while all others wait.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import Any, Final

_CORE: Final = "asn1crypto.core"


class _Ready(dict[type[Any], bool]):
    """The classes that have their tables, in place of asn1crypto's list: to ask for one makes it so."""

    def __init__(self, already: dict[type[Any], bool]) -> None:
        super().__init__(already)
        self._lock = RLock()

    def __contains__(self, asked: Any) -> bool:
        if super().__contains__(asked):
            return True
        with self._lock:
            if not super().__contains__(asked):
                _make_ready(asked)
                self[asked] = True
        return True


def _make_ready(of: Any) -> None:
    """Do what `asn1crypto.core.Asn1Value.__init__` does for the first object of a class."""
    if of.explicit is not None and isinstance(of.explicit[0], int):
        of.explicit = (of.explicit,)
    if hasattr(of, "_setup"):
        of.__new__(of)._setup()


def _put_into(core: ModuleType) -> None:
    core._SETUP_CLASSES = _Ready(core._SETUP_CLASSES)  # type: ignore[attr-defined]


class _Loader(Loader):
    """Loads asn1crypto's core as its own loader does, and puts our list into it before anybody has it."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._own.exec_module(module)
        _put_into(module)


class _Finder(MetaPathFinder):
    """Has the core loaded by our loader, whenever that is: it is not loaded before it is needed."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name != _CORE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def make_ready_for_threads() -> None:
    """Have every class of asn1crypto made ready under a lock, from now on or from when it is loaded on."""
    core = sys.modules.get(_CORE)
    if core is None:
        sys.meta_path.insert(0, _Finder())
    elif not isinstance(core._SETUP_CLASSES, _Ready):
        _put_into(core)
