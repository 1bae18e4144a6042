"""Packages of which only the parts that are used are loaded.

`aiohttp` loads its client, with all authorities that this system trusts, before its server; `smartcard`
loads readers and card types of its own before the functions of PC/SC. An agent that waits needs neither.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, Final

SERVER_ONLY: Final = ("aiohttp", "smartcard")
"""Of these the server needs single modules alone."""


def load_parts_alone(*names: str) -> None:
    """Have `import NAME.PART` load that part without the rest of NAME, until something of the rest is used.

    Packages that are loaded already, or not there, stay as they are.
    """
    for name in names:
        spec = None if name in sys.modules else find_spec(name)
        if spec is not None and spec.loader is not None:
            package = module_from_spec(spec)
            vars(package).update(__getattr__=_Rest(package, spec), __version__="")
            sys.modules[name] = package


class _Rest:
    """Finds what a package has that is not loaded yet (PEP 562).

    A name that is no module loads all of it: such a name is imported from the module that has it.
    """

    def __init__(self, package: ModuleType, spec: ModuleSpec) -> None:
        self._package = package
        self._spec = spec

    def __call__(self, name: str) -> Any:
        whole = f"{self._spec.name}.{name}"
        if find_spec(whole) is not None:
            return import_module(whole)
        if self._spec.loader is None or vars(self._package).pop("__getattr__", None) is None:
            raise AttributeError(f"module {self._spec.name!r} has no attribute {name!r}")
        self._spec.loader.exec_module(self._package)
        return getattr(self._package, name)
