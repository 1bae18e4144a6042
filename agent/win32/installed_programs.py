"""The programs that Windows lists as installed: 64-bit and 32-bit, of the machine and of the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from agent.win32.registry import Registry

UNINSTALL: Final = r"Software\Microsoft\Windows\CurrentVersion\Uninstall"


def programs(registry: Registry) -> dict[str, str]:
    """Return the version of each program, by the name under which Windows lists it.

    Args:
        registry: the module `winreg`.
    """
    found: dict[str, str] = {}
    for root in (registry.HKEY_LOCAL_MACHINE, registry.HKEY_CURRENT_USER):
        for view in (registry.KEY_WOW64_64KEY, registry.KEY_WOW64_32KEY):
            for name, version in _listed(registry, root, registry.KEY_READ | view):
                found.setdefault(name, version)
    return found


def _listed(registry: Registry, root: object, rights: int) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError), registry.OpenKey(root, UNINSTALL, 0, rights) as listed:
        for number in range(registry.QueryInfoKey(listed)[0]):
            with (
                suppress(OSError),  # many entries have no name
                registry.OpenKey(listed, registry.EnumKey(listed, number), 0, rights) as entry,
            ):
                name, version = str(registry.QueryValueEx(entry, "DisplayName")[0]), ""
                with suppress(OSError):
                    version = str(registry.QueryValueEx(entry, "DisplayVersion")[0])
                yield name, version
