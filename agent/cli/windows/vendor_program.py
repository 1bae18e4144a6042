"""The vendor's own program, HCAServiSign: whether it is installed, and what that means for our ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from agent.win32.registry import Registry

UNINSTALL: Final = r"Software\Microsoft\Windows\CurrentVersion\Uninstall"
_NAME: Final = "hcaservisign"


def installed(registry: Registry) -> tuple[str, ...]:
    """Return the names under which Windows lists it: 64-bit and 32-bit, of the machine and of the user.

    Args:
        registry: the module `winreg`.
    """
    found: list[str] = []
    for root in (registry.HKEY_LOCAL_MACHINE, registry.HKEY_CURRENT_USER):
        for view in (registry.KEY_WOW64_64KEY, registry.KEY_WOW64_32KEY):
            for name in _names(registry, root, registry.KEY_READ | view):
                if name.casefold().startswith(_NAME) and name not in found:
                    found.append(name)
    return tuple(found)


def sentences(names: tuple[str, ...], ports: tuple[int, ...]) -> tuple[str, str]:
    """Return what it means, in Chinese and English."""
    first, *others = ports
    listed, rest = "、".join(names), "、".join(map(str, others))
    return (
        f"這台電腦裝有 {listed}。它執行時占用連接埠 {first}，入口網站會連到它，而不是 HCA Card Agent；"
        f"HCA Card Agent 改用 {rest or '其他連接埠'}。要讓入口網站使用 HCA Card Agent，請移除或關閉它。",
        f"{listed} is installed on this computer. While it runs it holds port {first}, and portals reach it"
        f" instead of HCA Card Agent, which takes {rest.replace('、', ', ') or 'another port'}. Remove or"
        " close it to have portals use HCA Card Agent.",
    )


def _names(registry: Registry, root: Any, rights: int) -> Iterator[str]:
    with suppress(FileNotFoundError), registry.OpenKey(root, UNINSTALL, 0, rights) as programs:
        for number in range(registry.QueryInfoKey(programs)[0]):
            with (
                suppress(OSError),  # many entries have no name
                registry.OpenKey(programs, registry.EnumKey(programs, number), 0, rights) as entry,
            ):
                yield str(registry.QueryValueEx(entry, "DisplayName")[0])
