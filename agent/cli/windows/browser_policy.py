"""Policies of Chrome and Edge that answer for the person what these would ask about the known portals.

`LoopbackNetworkAllowedForUrls` lets them reach this computer, `PopupsAllowedForUrls` lets their pages open
HiPKI's window. Each is a list of numbered values; an administrator may have said more there. Ours are
remembered by number and text, and only what still is as we wrote it is ever taken away.
"""

from __future__ import annotations

from typing import Final

from agent.origins.portals import KNOWN
from agent.win32.registry import Registry, opened, values

LISTS: Final = (
    r"Software\Policies\Google\Chrome\LoopbackNetworkAllowedForUrls",
    r"Software\Policies\Microsoft\Edge\LoopbackNetworkAllowedForUrls",
    r"Software\Policies\Google\Chrome\PopupsAllowedForUrls",
    r"Software\Policies\Microsoft\Edge\PopupsAllowedForUrls",
)
"""In a fixed order: what is remembered names them by number."""

OURS: Final = r"Software\HCA Card Agent\BrowserPolicies"
_WINDOWS_OWN: Final = ("Software", r"Software\Policies")


def add(registry: Registry) -> None:
    """Have every known portal in both lists.

    Raises:
        OSError: this process has not the right.
    """
    for number, path in enumerate(LISTS):
        present = dict(values(registry, path))
        with opened(registry, path, write=True) as key, opened(registry, OURS, write=True) as ours:
            for origin in KNOWN:
                if origin in present.values():
                    continue
                name = next(str(free) for free in range(1, 10_000) if str(free) not in present)
                present[name] = origin
                registry.SetValueEx(ours, f"{number} {name}", 0, registry.REG_SZ, origin)
                registry.SetValueEx(key, name, 0, registry.REG_SZ, origin)


def remove(registry: Registry) -> None:
    """Remove our entries again, and the keys that contained nothing else.

    Raises:
        OSError: this process has not the right.
    """
    for label, origin in values(registry, OURS):
        number, _, name = label.partition(" ")
        path = dict(zip("0123", LISTS, strict=True)).get(number, "")
        if path and dict(values(registry, path)).get(name) == origin:
            with opened(registry, path, write=True) as key:
                registry.DeleteValue(key, name)
        with opened(registry, OURS, write=True) as ours:
            registry.DeleteValue(ours, label)
    for path in (OURS, *LISTS):
        # The browser's own key, and its maker's, hold more policies, or were there for nothing.
        for each in (path, *(path.rsplit("\\", depth)[0] for depth in (1, 2))):
            if not _delete_empty(registry, each):
                break


def _delete_empty(registry: Registry, path: str) -> bool:
    if path in _WINDOWS_OWN:
        return False
    try:
        with opened(registry, path) as key:
            keys, values, _ = registry.QueryInfoKey(key)
    except FileNotFoundError:
        return True
    if keys or values:
        return False
    registry.DeleteKeyEx(registry.HKEY_LOCAL_MACHINE, path, registry.KEY_WOW64_64KEY)
    return True
