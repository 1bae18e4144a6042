"""What a help desk asks first: the system's build, drivers of readers, the vendor's programs, the screen.

Nothing here names the person, and what a system does not tell is left out.
"""

from __future__ import annotations

import platform
import plistlib
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from agent.processes import output_of
from agent.selftest.context import Computer
from agent.selftest.reader_drivers import installed_drivers
from agent.win32.registry import Registry, keys, values

VENDOR: Final = ("servisign", "hipki", "hicos", "nhicard", "mldc")
"""Parts of the names of programs that look after the same cards or the same ports."""

_SYSTEM_VERSION: Final = Path("/System/Library/CoreServices/SystemVersion.plist")
_WINDOWS: Final = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_READER_CLASS: Final = (
    r"SYSTEM\CurrentControlSet\Control\Class\{50DD5230-BA8A-11D1-BF5D-0000F805F530}"  # SmartCardReader
)
_DRIVER_VALUES: Final = ("DriverDesc", "DriverVersion", "ProviderName")
_SESSION: Final = ("XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP", "GDK_SCALE", "QT_SCALE_FACTOR", "SESSIONNAME")


def facts(computer: Computer) -> dict[str, Any]:
    """Return everything, as JSON has it; blocking, a few seconds at most."""
    return {
        "system": _system(),
        "readerDrivers": list(_reader_drivers()),
        "vendor": {
            "installed": {name: version for name, version in _programs().items() if _is_vendors(name)},
            "running": [str(each) for each in computer.programs() if _is_vendors(each.name)],
        },
        "screen": screen(computer.environment),
    }


def _is_vendors(name: str) -> bool:
    return any(part in name.casefold().replace(" ", "") for part in VENDOR)


def _system() -> dict[str, str]:
    found = {"platform": platform.platform(), "machine": platform.machine(), "build": platform.version()}
    if sys.platform == "linux":
        with suppress(OSError):
            release = platform.freedesktop_os_release()
            told = {name: release.get(name, "") for name in ("PRETTY_NAME", "VERSION_ID", "BUILD_ID")}
            found |= {name: value for name, value in told.items() if value}
    elif sys.platform == "darwin":
        with suppress(OSError, ValueError):
            found["build"] = str(plistlib.loads(_SYSTEM_VERSION.read_bytes())["ProductBuildVersion"])
    elif sys.platform == "win32":
        import winreg

        with suppress(OSError):
            told = {name: str(value) for name, value in values(winreg, _WINDOWS)}
            found |= {name: told[name] for name in ("ProductName", "DisplayVersion") if name in told}
            found["build"] = f"{told.get('CurrentBuild', '')}.{told.get('UBR', '')}"
    return found


def _reader_drivers() -> tuple[str, ...]:
    if sys.platform == "win32":
        import winreg

        return windows_reader_drivers(winreg)
    return installed_drivers()


def windows_reader_drivers(registry: Registry) -> tuple[str, ...]:
    """Return name, version and maker of each reader's driver.

    Args:
        registry: the module `winreg`.
    """
    found = []
    with suppress(OSError):
        for number in keys(registry, _READER_CLASS):
            with suppress(OSError):  # "Properties" is the system's alone
                told = dict(values(registry, rf"{_READER_CLASS}\{number}"))
                if "DriverDesc" in told:
                    found.append(" ".join(str(told.get(each, "")) for each in _DRIVER_VALUES).strip())
    return tuple(dict.fromkeys(found))


def _programs() -> Mapping[str, str]:
    """Return the version of each installed program that could matter, by its name."""
    if sys.platform == "win32":
        import winreg

        from agent.win32.installed_programs import programs

        return programs(winreg)
    if sys.platform == "darwin":
        found = {}
        for bundle in Path("/Applications").glob("*.app"):
            with suppress(OSError, ValueError):
                told = plistlib.loads((bundle / "Contents" / "Info.plist").read_bytes())
                found[bundle.stem] = str(told.get("CFBundleShortVersionString", ""))
        return found
    lines = output_of("dpkg-query", "--show", "--showformat", "${Package}\\t${Version}\\n") or output_of(
        "rpm", "--query", "--all", "--queryformat", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"
    )
    return dict(line.split("\t", 1) for line in lines.splitlines() if "\t" in line)


def screen(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the kind of session and the size of its screen, in dots and dots per inch.

    Args:
        environment: the session's.
    """
    found: dict[str, Any] = {name: environment[name] for name in _SESSION if name in environment}
    if sys.platform == "win32":
        import ctypes

        with suppress(AttributeError, OSError):
            found["size"] = "x".join(str(ctypes.windll.user32.GetSystemMetrics(each)) for each in (0, 1))
            found["dpi"] = ctypes.windll.user32.GetDpiForSystem()
    elif sys.platform == "darwin":
        told = output_of("system_profiler", "SPDisplaysDataType", "-detailLevel", "mini")
        found["size"] = re.findall(r"Resolution: (.+)", told)
    elif "DISPLAY" in environment:
        told = output_of("xdpyinfo", environment=environment)
        found["size"] = re.findall(r"dimensions:\s+([0-9]+x[0-9]+)", told)
        found["dpi"] = re.findall(r"resolution:\s+([0-9]+x[0-9]+)", told)
    if sys.platform == "linux":
        found["connected"] = sorted(_connected_screens())
    return found


def _connected_screens(below: Path = Path("/sys/class/drm")) -> list[str]:
    """Return the best mode of each connected screen, as the kernel tells it."""
    found = []
    for connector in below.glob("card*-*"):
        with suppress(OSError):
            if (connector / "status").read_text("ascii").strip() == "connected":
                modes = (connector / "modes").read_text("ascii").split()
                found.append(f"{connector.name.partition('-')[2]} {next(iter(modes), '')}".strip())
    return found
