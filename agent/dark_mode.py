"""Whether the person has programs light on dark: what browsers tell pages as `prefers-color-scheme`.

Linux: the setting `color-scheme` of `org.freedesktop.appearance` (XDG desktop portal, Settings); where no
portal answers, what GTK is told in its settings.ini. Windows: `AppsUseLightTheme`. macOS:
`AppleInterfaceStyle`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_PORTAL_SECONDS: Final = 0.5
_PREFER_DARK: Final = 1  # 0 says nothing, 2 is light
_WINDOWS: Final = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"


async def prefers_dark(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Return whether windows are to be dark; no where that cannot be told.

    Args:
        environment: `os.environ` when None.
        platform: as `sys.platform`.
    """
    known = os.environ if environment is None else environment
    if platform == "win32":
        return _windows()
    if platform == "darwin":
        return _macos(Path.home())
    address = known.get("DBUS_SESSION_BUS_ADDRESS") or _usual_bus(known)
    said = await _ask_portal(address) if address else None
    return _gtk(known) if said is None else said


def _usual_bus(known: Mapping[str, str]) -> str | None:
    folder = known.get("XDG_RUNTIME_DIR")
    return f"unix:path={folder}/bus" if folder and Path(folder, "bus").exists() else None


async def _ask_portal(address: str) -> bool | None:
    """Return what the portal says; None where there is none, or it says nothing."""
    from dbus_fast import Message, MessageType
    from dbus_fast.aio import MessageBus

    bus = None
    try:
        async with asyncio.timeout(_PORTAL_SECONDS):
            bus = await MessageBus(address).connect()
            reply = await bus.call(
                Message(
                    "org.freedesktop.portal.Desktop",
                    "/org/freedesktop/portal/desktop",
                    "org.freedesktop.portal.Settings",
                    "Read",
                    signature="ss",
                    body=["org.freedesktop.appearance", "color-scheme"],
                )
            )
    except Exception as error:
        # Whatever stands at the end of that address: a question is not kept from the person by its colour.
        log.debug("nobody tells whether windows are to be dark: %s", error)
        return None
    finally:
        if bus is not None:
            bus.disconnect()
    if reply is None or reply.message_type is not MessageType.METHOD_RETURN or not reply.body:
        return None
    value = reply.body[0]
    while hasattr(value, "value"):  # a variant within a variant
        value = value.value
    return None if value == 0 else value == _PREFER_DARK


def _gtk(known: Mapping[str, str]) -> bool:
    from configparser import ConfigParser
    from configparser import Error as ConfigError

    folder = known.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    settings = ConfigParser(interpolation=None, strict=False)
    for version in ("gtk-4.0", "gtk-3.0"):
        with suppress(OSError, ConfigError, UnicodeDecodeError):
            settings.read(Path(folder, version, "settings.ini"), encoding="utf-8")
    told = settings["Settings"] if settings.has_section("Settings") else {}
    theme = told.get("gtk-theme-name", "").strip().lower()
    return told.get("gtk-application-prefer-dark-theme", "").strip() in ("1", "true") or theme.endswith(
        "-dark"
    )


def _windows() -> bool:
    if sys.platform == "win32":
        import winreg

        with (
            suppress(OSError),
            winreg.OpenKey(winreg.HKEY_CURRENT_USER, _WINDOWS) as key,
        ):
            return bool(winreg.QueryValueEx(key, "AppsUseLightTheme")[0] == 0)
    return False


def _macos(home: Path) -> bool:
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        told = plistlib.loads((home / "Library/Preferences/.GlobalPreferences.plist").read_bytes())
    except (OSError, ValueError, ExpatError):
        return False
    return isinstance(told, dict) and told.get("AppleInterfaceStyle") == "Dark"
