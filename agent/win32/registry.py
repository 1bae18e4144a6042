"""The machine's registry, of 64-bit programs, through the module `winreg` or what stands in for it."""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType
from typing import Any

Registry = ModuleType | Any


def opened(registry: Registry, path: str, *, write: bool = False) -> Any:
    """Open a key below HKEY_LOCAL_MACHINE; to write, make it where it is missing.

    Raises:
        FileNotFoundError: if there is none.
    """
    root, rights = registry.HKEY_LOCAL_MACHINE, registry.KEY_READ | registry.KEY_WOW64_64KEY
    if write:
        return registry.CreateKeyEx(root, path, 0, rights | registry.KEY_WRITE)
    return registry.OpenKey(root, path, 0, rights)


def values(registry: Registry, path: str) -> list[tuple[str, Any]]:
    """Return the values of a key by name; none where there is no such key."""
    with suppress(FileNotFoundError), opened(registry, path) as key:
        return [registry.EnumValue(key, number)[:2] for number in range(registry.QueryInfoKey(key)[1])]
    return []


def keys(registry: Registry, path: str) -> list[str]:
    """Return the names of the keys below a key; none where there is no such key."""
    with suppress(FileNotFoundError), opened(registry, path) as key:
        return [registry.EnumKey(key, number) for number in range(registry.QueryInfoKey(key)[0])]
    return []
