"""The drivers of readers, as the bundles of PC/SC Lite and macOS describe themselves."""

from __future__ import annotations

import plistlib
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_DRIVER_FOLDERS: Final = (
    "/usr/lib/pcsc/drivers",
    "/usr/lib64/pcsc/drivers",
    "/usr/libexec/SmartCardServices/drivers",
    "/usr/local/libexec/SmartCardServices/drivers",
)
_CLASS_DRIVER: Final = "CCIDCLASSDRIVER"
"""CFBundleName of a driver for whatever has a CCID interface (pcsc-lite, hotplug_libudev.c)."""

_PROCESSORS: Final = {0x01000007: "x86_64", 0x0100000C: "arm64", 7: "i386"}
"""`cputype` of a Mach-O file (mach/machine.h), as `platform.machine` names it."""
_MACH_O, _FAT = 0xFEEDFACF, 0xCAFEBABE
_PROCESSORS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Bundle:
    """One driver.

    Attributes:
        path: its folder.
        label: its name and version.
        names: of the readers it knows.
        identities: of those readers, `0CA6:0010`.
        class_driver: it serves whatever has a CCID interface.
        processors: that its code is for; empty where that cannot be told.
    """

    path: Path
    label: str
    names: tuple[str, ...] = ()
    identities: frozenset[str] = frozenset()
    class_driver: bool = False
    processors: frozenset[str] = frozenset()

    def serves(self, identity: str, *, ccid: bool) -> bool:
        """Return whether it is a driver for that reader."""
        return identity in self.identities or (ccid and self.class_driver)

    def runs_on(self, processor: str) -> bool:
        """Return whether it has code for the processor, as far as that can be told."""
        return not self.processors or processor in self.processors


def driver_of(reader: str) -> str:
    """Return the driver that serves a reader, by the names that PC/SC Lite and macOS bundles give."""
    matches = [(name, each.label) for each in bundles() for name in each.names if reader.startswith(name)]
    return max(matches, key=lambda match: len(match[0]))[1] if matches else ""


def installed_drivers() -> tuple[str, ...]:
    """Return every driver that is installed, with its version."""
    return tuple(dict.fromkeys(each.label for each in bundles()))


@cache
def bundles() -> tuple[Bundle, ...]:
    """Return the drivers that are installed."""
    return tuple(each for folder in _DRIVER_FOLDERS for each in bundles_in(Path(folder)))


def bundles_in(folder: Path) -> Iterator[Bundle]:
    """Return the drivers in a folder; one that cannot be read is left out."""
    for path in sorted(folder.glob("*.bundle")):
        with suppress(OSError, ValueError, plistlib.InvalidFileException):
            told = plistlib.loads((path / "Contents" / "Info.plist").read_bytes())
            pairs = zip(_listed(told, "ifdVendorID"), _listed(told, "ifdProductID"), strict=False)
            yield Bundle(
                path,
                f"{path.stem} {told.get('CFBundleShortVersionString', '')}".strip(),
                tuple(_listed(told, "ifdFriendlyName")),
                frozenset(f"{int(vendor, 16):04X}:{int(product, 16):04X}" for vendor, product in pairs),
                told.get("CFBundleName") == _CLASS_DRIVER,
                _processors(path / "Contents" / "MacOS" / str(told.get("CFBundleExecutable", ""))),
            )


def _listed(told: dict[str, Any], key: str) -> list[str]:
    value = told.get(key, ())
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def _processors(file: Path) -> frozenset[str]:
    """Return which processors a Mach-O file has code for; nothing where it is no such file."""
    try:
        with file.open("rb") as opened:
            head = opened.read(8 + 20 * _PROCESSORS_MAX)
    except OSError:
        return frozenset()
    if len(head) < 8:
        return frozenset()
    if struct.unpack_from("<I", head)[0] == _MACH_O:
        found = [struct.unpack_from("<I", head, 4)[0]]
    elif struct.unpack_from(">I", head)[0] == _FAT:
        count = min(struct.unpack_from(">I", head, 4)[0], _PROCESSORS_MAX, (len(head) - 8) // 20)
        found = [struct.unpack_from(">I", head, 8 + 20 * number)[0] for number in range(count)]
    else:
        return frozenset()
    return frozenset(_PROCESSORS.get(each, hex(each)) for each in found)
