"""The vendor's own program, HCAServiSign: whether it is installed, and what that means for our ports."""

from __future__ import annotations

from typing import Final

from agent.win32.installed_programs import programs
from agent.win32.registry import Registry

_NAME: Final = "hcaservisign"


def installed(registry: Registry) -> tuple[str, ...]:
    """Return the names under which Windows lists it: 64-bit and 32-bit, of the machine and of the user.

    Args:
        registry: the module `winreg`.
    """
    return tuple(name for name in programs(registry) if name.casefold().startswith(_NAME))


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
