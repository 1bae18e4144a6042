"""Card readers on USB as the system sees them, whether or not a driver serves them; asks no reader anything.

| system | from | a driver is missing, switched off, in the way |
|---|---|---|
| Linux | sysfs | no bundle of pcscd's for it; `authorized` is 0; a kernel driver has the interface |
| macOS | ioreg | a bundle without code for this processor lists it, and is chosen before the system's own |
| Windows | registry, Configuration Manager | problem 28 or 1; problem 22; Microsoft is the driver's maker |
"""

from __future__ import annotations

import platform
import plistlib
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from agent.processes import output_of
from agent.selftest.reader_drivers import Bundle, bundles
from agent.win32.registry import Registry, keys, values

CCID_CLASS: Final = 0x0B
"""bInterfaceClass of a reader in the sense of USB's "Smart Card CCID" 1.1, §4.3."""

_SYSFS: Final = Path("/sys/bus/usb/devices")
_ENUM: Final = r"SYSTEM\CurrentControlSet\Enum\USB"
_CLASS: Final = r"SYSTEM\CurrentControlSet\Control\Class"
_READER_GUID: Final = "{50DD5230-BA8A-11D1-BF5D-0000F805F530}"  # SmartCardReader
_NO_DRIVER: Final = (1, 18, 28)  # CM_PROB_NOT_CONFIGURED, _REINSTALL, _FAILED_INSTALL
_DISABLED: Final = 22  # CM_PROB_DISABLED
_MICROSOFT: Final = "Microsoft"


class UsbTrouble(StrEnum):
    """Why a reader that is plugged in is of no use, as far as the system says it."""

    NO_DRIVER = "no_driver"
    DISABLED = "disabled"
    CLAIMED = "claimed"
    """A driver of the kernel's has taken it, and pcscd cannot."""
    SHADOWED = "shadowed"
    """A driver that this processor cannot run is chosen for it."""
    FAILED = "failed"
    """The system says that the device does not work, for another reason."""


@dataclass(frozen=True, slots=True)
class UsbReader:
    """A reader that is plugged in.

    Attributes:
        identity: idVendor and idProduct, `0CA6:0010`.
        name: what it, or else its driver, calls it.
        ccid: it has a CCID interface.
        maker: of its driver, where the system says it.
        culprit: what is in the way: the kernel's driver, the bundle's path, the number of the problem.
    """

    identity: str
    name: str
    ccid: bool
    trouble: UsbTrouble | None = None
    maker: str = ""
    culprit: str = ""

    @property
    def generic(self) -> bool:
        """Whether Windows' own driver for readers serves it."""
        return self.maker == _MICROSOFT


def usb_readers(known: frozenset[str]) -> tuple[UsbReader, ...]:
    """Return the readers that are plugged in; blocking, a moment.

    Args:
        known: identities of readers that say nothing of being readers.
    """
    with suppress(OSError):
        if sys.platform == "win32":
            import winreg

            return tuple(on_windows(winreg, problem_of, known))
        if sys.platform == "darwin":
            listed = output_of("ioreg", "-a", "-l", "-r", "-c", "IOUSBHostDevice")
            return tuple(on_macos(listed.encode(), known, bundles(), platform.machine()))
        return tuple(on_linux(_SYSFS, known, bundles()))
    return ()


def on_linux(sysfs: Path, known: frozenset[str], drivers: tuple[Bundle, ...]) -> Iterator[UsbReader]:
    """Return what `/sys/bus/usb/devices` holds."""
    for device in sorted(sysfs.glob("*")):
        if not (device / "idVendor").exists():
            continue
        identity = f"{_line(device / 'idVendor')}:{_line(device / 'idProduct')}".upper()
        interfaces = [
            each
            for each in device.glob(f"{device.name}:*")
            if _line(each / "bInterfaceClass") == f"{CCID_CLASS:02x}"
        ]
        if not interfaces and identity not in known:
            continue
        reader = UsbReader(identity, _line(device / "product"), bool(interfaces))
        claimed = next((name for each in interfaces if (name := _kernel_driver(each))), "")
        if _line(device / "authorized") == "0":
            reader = replace(reader, trouble=UsbTrouble.DISABLED)
        elif claimed:
            reader = replace(reader, trouble=UsbTrouble.CLAIMED, culprit=claimed)
        elif not any(each.serves(identity, ccid=reader.ccid) for each in drivers):
            reader = replace(reader, trouble=UsbTrouble.NO_DRIVER)
        yield reader


def _line(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _kernel_driver(interface: Path) -> str:
    """Return the kernel's driver that has the interface; pcscd's own way of taking it is `usbfs`."""
    link = interface / "driver"
    name = link.resolve().name if link.is_symlink() else ""
    return "" if name == "usbfs" else name


def on_macos(
    listed: bytes, known: frozenset[str], drivers: tuple[Bundle, ...], processor: str
) -> Iterator[UsbReader]:
    """Return what ioreg lists of IOUSBHostDevice; a device below a hub is listed for itself too."""
    try:
        trees = plistlib.loads(listed) if listed.strip() else []
    except (ValueError, plistlib.InvalidFileException):
        return
    seen: set[object] = set()
    for device in (each for tree in trees for each in _below(tree) if _is_device(each)):
        identity = f"{device['idVendor']:04X}:{device['idProduct']:04X}"
        ccid = any(each.get("bInterfaceClass") == CCID_CLASS for each in _interfaces(device))
        place = device.get("IORegistryEntryID", id(device))
        if place in seen or not (ccid or identity in known):
            continue
        seen.add(place)
        reader = UsbReader(identity, str(device.get("USB Product Name", "")), ccid)
        useless = [each for each in drivers if identity in each.identities and not each.runs_on(processor)]
        if useless:
            reader = replace(reader, trouble=UsbTrouble.SHADOWED, culprit=str(useless[0].path))
        elif not any(each.serves(identity, ccid=ccid) for each in drivers):
            reader = replace(reader, trouble=UsbTrouble.NO_DRIVER)
        yield reader


def _below(tree: Any) -> Iterator[dict[str, Any]]:
    """Return a node of the registry and all below it."""
    if isinstance(tree, dict):
        yield tree
        for child in tree.get("IORegistryEntryChildren", ()):
            yield from _below(child)


def _interfaces(device: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return what is below a device, and not below another one that hangs on it."""
    for child in device.get("IORegistryEntryChildren", ()):
        if isinstance(child, dict) and not _is_device(child):
            yield child
            yield from _interfaces(child)


def _is_device(node: dict[str, Any]) -> bool:
    return "bDeviceClass" in node and all(isinstance(node.get(key), int) for key in ("idVendor", "idProduct"))


def on_windows(
    registry: Registry, problem: Callable[[str], int | None], known: frozenset[str]
) -> Iterator[UsbReader]:
    """Return what the registry lists and Configuration Manager says is there.

    Args:
        registry: the module `winreg`.
        problem: of the device of that instance; 0 for none, None for one that is not plugged in.
        known: as `usb_readers`.
    """
    for device in keys(registry, _ENUM):
        vendor, _, rest = device.upper().partition("&PID_")
        if not vendor.startswith("VID_") or len(rest) < 4:
            continue
        identity = f"{vendor[4:8]}:{rest[:4]}"
        for instance in keys(registry, rf"{_ENUM}\{device}"):
            told = dict(values(registry, rf"{_ENUM}\{device}\{instance}"))
            compatible = [str(each).upper() for each in told.get("CompatibleIDs") or ()]
            ccid = any(each.startswith(rf"USB\CLASS_{CCID_CLASS:02X}") for each in compatible)
            of_class = str(told.get("ClassGUID", "")).upper() == _READER_GUID
            if not (ccid or of_class or identity in known):
                continue
            number = problem(rf"USB\{device}\{instance}")
            if number is None:
                continue
            name = str(told.get("FriendlyName") or told.get("DeviceDesc") or "").rpartition(";")[2]
            driver = dict(values(registry, rf"{_CLASS}\{told['Driver']}")) if told.get("Driver") else {}
            reader = UsbReader(identity, name, ccid, maker=str(driver.get("ProviderName", "")))
            if number == _DISABLED:
                reader = replace(reader, trouble=UsbTrouble.DISABLED)
            elif number in _NO_DRIVER or (not number and not driver):
                reader = replace(reader, trouble=UsbTrouble.NO_DRIVER)
            elif number:
                reader = replace(reader, trouble=UsbTrouble.FAILED, culprit=str(number))
            yield reader


def problem_of(instance: str) -> int | None:
    """Return the problem of a device (CM_Get_DevNode_Status), 0 for none; None where it is not plugged in."""
    import ctypes

    manager = ctypes.windll.cfgmgr32  # type: ignore[attr-defined,unused-ignore]
    node, status, number = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_ulong()
    if manager.CM_Locate_DevNodeW(ctypes.byref(node), ctypes.c_wchar_p(instance), 0):
        return None
    if manager.CM_Get_DevNode_Status(ctypes.byref(status), ctypes.byref(number), node, 0):
        return None
    return int(number.value)
