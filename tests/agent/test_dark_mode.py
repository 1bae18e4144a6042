"""Windows are dark where pages are: what the desktop's portal says, and GTK's own settings without one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a session bus of Linux", allow_module_level=True)

from dbus_fast import Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusStr, DBusVariant
from dbus_fast.service import ServiceInterface, dbus_method

from agent.dark_mode import prefers_dark
from tests.support.desktop import session_bus

needs_bus = pytest.mark.skipif(shutil.which("dbus-run-session") is None, reason="no session bus here")


class Portal(ServiceInterface):
    """The settings of a desktop portal."""

    def __init__(self, scheme: int) -> None:
        super().__init__("org.freedesktop.portal.Settings")
        self._scheme = scheme

    @dbus_method(name="Read")
    def read(self, namespace: DBusStr, key: DBusStr) -> DBusVariant:
        assert (namespace, key) == ("org.freedesktop.appearance", "color-scheme")
        return Variant("v", Variant("u", self._scheme))


@pytest.fixture
def bus() -> Iterator[str]:
    with session_bus(dict(os.environ)) as address:
        yield address


@needs_bus
@pytest.mark.parametrize(("scheme", "dark"), [(1, True), (2, False), (0, False)])
async def test_windows_are_dark_where_the_portal_says_so(
    bus: str, tmp_path: Path, scheme: int, dark: bool
) -> None:
    desktop = await MessageBus(bus).connect()
    desktop.export("/org/freedesktop/portal/desktop", Portal(scheme))
    await desktop.request_name("org.freedesktop.portal.Desktop")
    known = {"DBUS_SESSION_BUS_ADDRESS": bus, "XDG_CONFIG_HOME": str(tmp_path)}
    assert await prefers_dark(known, "linux") is dark
    desktop.disconnect()


@pytest.mark.parametrize(
    ("text", "dark"),
    [
        ("[Settings]\ngtk-application-prefer-dark-theme=1\n", True),
        ("[Settings]\ngtk-application-prefer-dark-theme = true\n", True),
        ("[Settings]\ngtk-theme-name=Adwaita-dark\n", True),
        ("[Settings]\ngtk-theme-name=Adwaita\n", False),
        ("[Settings]\ngtk-application-prefer-dark-theme=0\n", False),
        ("no settings at all", False),
        ("\ufffd[", False),
    ],
)
async def test_without_a_portal_the_settings_of_gtk_decide(tmp_path: Path, text: str, dark: bool) -> None:
    folder = tmp_path / "gtk-3.0"
    folder.mkdir()
    (folder / "settings.ini").write_text(text, "utf-8")
    known = {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus",
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    assert await prefers_dark(known, "linux") is dark


async def test_without_any_word_windows_are_light(tmp_path: Path) -> None:
    assert await prefers_dark({"XDG_CONFIG_HOME": str(tmp_path)}, "linux") is False
