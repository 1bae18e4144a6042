"""The drivers of readers, as this operating system names them."""

from __future__ import annotations

import plistlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_DRIVER_FOLDERS: Final = (
    "/usr/lib/pcsc/drivers",
    "/usr/lib64/pcsc/drivers",
    "/usr/libexec/SmartCardServices/drivers",
    "/usr/local/libexec/SmartCardServices/drivers",
)


def driver_of(reader: str) -> str:
    """Return the driver that serves a reader, by the names that PC/SC Lite and macOS bundles give."""
    matches = [(name, driver) for name, driver in _drivers() if reader.startswith(name)]
    return max(matches, key=lambda match: len(match[0]))[1] if matches else ""


def installed_drivers() -> tuple[str, ...]:
    """Return every driver that is installed, with its version."""
    return tuple(dict.fromkeys(driver for _, driver in _drivers()))


@cache
def _drivers() -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for folder in _DRIVER_FOLDERS:
        for bundle in sorted(Path(folder).glob("*.bundle")):
            with suppress(OSError, ValueError, plistlib.InvalidFileException):
                described = plistlib.loads((bundle / "Contents" / "Info.plist").read_bytes())
                names = described.get("ifdFriendlyName", ())
                version = described.get("CFBundleShortVersionString", "")
                for name in names if isinstance(names, list) else [names]:
                    found.append((str(name), f"{bundle.stem} {version}".strip()))
    return tuple(found)
