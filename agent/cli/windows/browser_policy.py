"""Policies of Chrome and Edge that let the known portals reach this computer without asking the person.

`LoopbackNetworkAllowedForUrls` is a list of numbered values; an administrator may have said more there. Ours
are remembered by number and text, and only what still is as we wrote it is ever taken away.
"""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType
from typing import Any, Final

from agent.origins.portals import KNOWN

LISTS: Final = (
    r"Software\Policies\Google\Chrome\LoopbackNetworkAllowedForUrls",
    r"Software\Policies\Microsoft\Edge\LoopbackNetworkAllowedForUrls",
)
OURS: Final = r"Software\HCA Card Agent\BrowserPolicies"
_WINDOWS_OWN: Final = ("Software", r"Software\Policies")


def add(registry: ModuleType | Any) -> None:
    """Have every known portal in both lists.

    Raises:
        OSError: this process has not the right.
    """
    for number, path in enumerate(LISTS):
        present = dict(_values(registry, path))
        with _open(registry, path, write=True) as key, _open(registry, OURS, write=True) as ours:
            for origin in KNOWN:
                if origin in present.values():
                    continue
                name = next(str(free) for free in range(1, 10_000) if str(free) not in present)
                present[name] = origin
                registry.SetValueEx(ours, f"{number} {name}", 0, registry.REG_SZ, origin)
                registry.SetValueEx(key, name, 0, registry.REG_SZ, origin)


def remove(registry: ModuleType | Any) -> None:
    """Take ours out again, and the keys that held nothing else.

    Raises:
        OSError: this process has not the right.
    """
    for label, origin in _values(registry, OURS):
        number, _, name = label.partition(" ")
        path = LISTS[int(number)] if number in ("0", "1") else ""
        if path and dict(_values(registry, path)).get(name) == origin:
            with _open(registry, path, write=True) as key:
                registry.DeleteValue(key, name)
        with _open(registry, OURS, write=True) as ours:
            registry.DeleteValue(ours, label)
    for path in (OURS, *LISTS):
        # The browser's own key, and its maker's, hold more policies, or were there for nothing.
        for each in (path, *(path.rsplit("\\", depth)[0] for depth in (1, 2))):
            if not _delete_empty(registry, each):
                break


def _values(registry: ModuleType | Any, path: str) -> list[tuple[str, Any]]:
    with suppress(FileNotFoundError), _open(registry, path) as key:
        count = registry.QueryInfoKey(key)[1]
        return [registry.EnumValue(key, number)[:2] for number in range(count)]
    return []


def _delete_empty(registry: ModuleType | Any, path: str) -> bool:
    if path in _WINDOWS_OWN:
        return False
    try:
        with _open(registry, path) as key:
            keys, values, _ = registry.QueryInfoKey(key)
    except FileNotFoundError:
        return True
    if keys or values:
        return False
    registry.DeleteKeyEx(registry.HKEY_LOCAL_MACHINE, path, registry.KEY_WOW64_64KEY)
    return True


def _open(registry: ModuleType | Any, path: str, *, write: bool = False) -> Any:
    root, wide = registry.HKEY_LOCAL_MACHINE, registry.KEY_WOW64_64KEY
    if write:
        return registry.CreateKeyEx(root, path, 0, registry.KEY_READ | registry.KEY_WRITE | wide)
    return registry.OpenKey(root, path, 0, registry.KEY_READ | wide)
