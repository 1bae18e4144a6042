"""A desktop of one's own: a private screen, session bus, home folder and a real panel with a tray."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.screen import Screen, private_screen

SECONDS = 30.0

_PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="32"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
  </property>
</channel>
"""

_OPENER = """#!/bin/sh
printf '%s %s\\n' "$(basename "$0")" "$*" >> "$OPENED"
"""


def missing() -> list[str]:
    """The programs for a desktop that this machine does not have."""
    names = ("Xvfb", "xdotool", "xfce4-panel", "dbus-run-session", "import")
    return [name for name in names if shutil.which(name) is None]


@contextmanager
def session_bus(environment: dict[str, str]) -> Iterator[str]:
    """The address of a session bus that nobody else uses."""
    words = ["dbus-run-session", "--", "sh", "-c", 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat']
    with subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as bus:
        assert bus.stdin is not None and bus.stdout is not None
        try:
            address = bus.stdout.readline().strip()
            assert address, "the session bus did not start"
            yield address
        finally:
            bus.stdin.close()
            bus.wait(SECONDS)


@dataclass
class Desktop:
    """A running desktop.

    Attributes:
        screen: its screen.
        home: its person's home folder.
        environment: what a program on it is started with.
        bus: the address of its session bus.
    """

    screen: Screen
    home: Path
    environment: dict[str, str]
    bus: str
    _panel: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def opened(self) -> list[str]:
        """The pages and folders that were opened, each with the program it was opened by."""
        file = Path(self.environment["OPENED"])
        return file.read_text().splitlines() if file.exists() else []

    def start_panel(self) -> None:
        """Start the panel."""
        self._panel = subprocess.Popen(
            ["xfce4-panel", "--disable-wm-check"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop_panel(self) -> None:
        """End the panel, if it runs; its watcher goes from the bus with it."""
        if self._panel is not None:
            self._panel.terminate()
            self._panel.wait(SECONDS)
            self._panel = None

    def shoot(self, target: Path, geometry: str) -> bytes:
        """A picture of a part of the screen, `width` x `height` + x + y; its bytes."""
        subprocess.run(
            ["import", "-window", "root", "-crop", geometry, "+repage", "-strip", str(target)],
            env=self.environment,
            check=True,
            timeout=SECONDS,
        )
        return target.read_bytes()


@contextmanager
def private_desktop(folder: Path) -> Iterator[Desktop]:
    """A desktop whose every file lies in `folder`; the panel is not running yet."""
    home, programs, running = folder / "home", folder / "bin", folder / "run"
    settings = home / ".config" / "xfce4" / "xfconf" / "xfce-perchannel-xml"
    for new in (home, programs, running, settings):
        new.mkdir(mode=0o700, parents=True)
    (settings / "xfce4-panel.xml").write_text(_PANEL)
    for name in ("browser", "xdg-open"):
        (programs / name).write_text(_OPENER)
        (programs / name).chmod(0o755)
    with private_screen(size="1600x1200") as screen:
        kept = {
            name: value
            for name, value in screen.environment.items()
            if not name.startswith(("DBUS_", "XDG_", "GTK_"))
        }
        environment = {
            **kept,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(running),
            "HCA_AGENT_HOME": str(home / "agent"),
            "PATH": f"{programs}:{kept['PATH']}",
            "BROWSER": str(programs / "browser"),
            "OPENED": str(folder / "opened"),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "GTK_THEME": "Adwaita",
            "NO_AT_BRIDGE": "1",
        }
        with session_bus(environment) as address:
            environment["DBUS_SESSION_BUS_ADDRESS"] = address
            desktop = Desktop(screen, home, environment, address)
            try:
                yield desktop
            finally:
                desktop.stop_panel()
