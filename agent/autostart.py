"""Starting with the person's login, by what each system has for it; every call may be repeated.

Linux: the file `hca-agent.desktop` in the autostart folder (freedesktop.org, Desktop Application Autostart
Specification 0.5). Windows: a value under the user's `Run` key. macOS: a property list in the user's
LaunchAgents (launchd.plist(5)).
"""

from __future__ import annotations

import os
import plistlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from xml.parsers.expat import ExpatError

from agent.desktop import own_command
from agent.paths import demand_own_way
from agent.private_files import write_whole

if TYPE_CHECKING:
    from types import ModuleType

WINDOWS_RUN: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
WINDOWS_APPROVED: Final = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
WINDOWS_VALUE: Final = "HCA Card Agent"
MACOS_LABEL: Final = "tw.hca-agent"
_LINUX_FILE: Final = "hca-agent.desktop"

# The first byte that the Windows task manager writes for an entry that the person switched off there is odd.
_SWITCHED_OFF: Final = 0x01


class AutostartStatus(StrEnum):
    """Whether this program starts with the login."""

    ON = "on"
    OFF = "off"
    OTHER = "other"
    """Something of our name starts, but not this program: an earlier installation, perhaps."""


class Autostart(Protocol):
    """One system's way."""

    @property
    def place(self) -> str:
        """Where the entry is, for people."""
        ...

    def on(self) -> None:
        """Start with the login from now on.

        Raises:
            OSError: the entry cannot be written.
        """
        ...

    def off(self) -> None:
        """Do not start with the login from now on.

        Raises:
            OSError: the entry cannot be removed.
        """
        ...

    def status(self) -> AutostartStatus:
        """Return whether it is on.

        Raises:
            OSError: the entry cannot be read.
        """
        ...


def autostart(
    platform: str = sys.platform,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Autostart:
    """Return this system's way, for `hca-agent run`.

    Args:
        platform: as `sys.platform`.
        environment: `os.environ` when None.
        home: the person's home folder when not the usual one.
    """
    command, home = own_command("run"), home or Path.home()
    if platform == "win32":
        import winreg

        return WindowsAutostart(command, winreg)
    if platform == "darwin":
        return MacosAutostart(command, home / "Library" / "LaunchAgents", Path("/Library/LaunchAgents"))
    known = os.environ if environment is None else environment
    configuration = known.get("XDG_CONFIG_HOME", "")
    # The specification has relative paths ignored.
    base = Path(configuration) if Path(configuration).is_absolute() else home / ".config"
    shared = [Path(each) for each in (known.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    machines = [each / "autostart" for each in shared if each.is_absolute()]
    return LinuxAutostart(command, base / "autostart", machines)


class LinuxAutostart:
    """A desktop entry of the user's, which takes the place of the machine's of the same name.

    Args:
        command: what is started.
        folder: the user's autostart folder.
        machines: the folders of the whole machine, where a package may have put an entry; the first wins.
    """

    def __init__(self, command: Sequence[str], folder: Path, machines: Sequence[Path] = ()) -> None:
        self._file = folder / _LINUX_FILE
        self._machines = tuple(each / _LINUX_FILE for each in machines)
        self._text = desktop_entry(command)

    @property
    def place(self) -> str:
        """The file that counts."""
        return str(next((file for file in (self._file, *self._machines) if file.exists()), self._file))

    def on(self) -> None:
        """Let the machine's entry count where it starts this program; else write one."""
        if self._judge(*self._machines) is AutostartStatus.ON:
            _remove(self._file)
        else:
            _write(self._file, self._text.encode())

    def off(self) -> None:
        """Remove the entry; where the machine has one too, say that it does not count here."""
        if self._judge(*self._machines) is AutostartStatus.OFF:
            _remove(self._file)
        else:
            _write(self._file, f"{self._text}Hidden=true\n".encode())

    def status(self) -> AutostartStatus:
        """Judge by the first entry; desktops switch one off by `Hidden` or a key of their own."""
        return self._judge(self._file, *self._machines)

    def _judge(self, *files: Path) -> AutostartStatus:
        text = None
        for file in files:
            with suppress(FileNotFoundError):
                text = file.read_text(encoding="utf-8", errors="replace")
                break
        if text is None:
            return AutostartStatus.OFF
        lines = [line.strip() for line in text.splitlines()]
        if "Hidden=true" in lines or "X-GNOME-Autostart-enabled=false" in lines:
            return AutostartStatus.OFF
        wanted = next(line for line in self._text.splitlines() if line.startswith("Exec="))
        return AutostartStatus.ON if wanted in lines else AutostartStatus.OTHER


class MacosAutostart:
    """A launch agent.

    Args:
        command: what is started.
        folder: the user's LaunchAgents.
        machines: those of every user, where the package puts an entry of its own.
    """

    def __init__(self, command: Sequence[str], folder: Path, machines: Path | None = None) -> None:
        self._file = folder / f"{MACOS_LABEL}.plist"
        self._machines_file = machines / f"{MACOS_LABEL}.plist" if machines else None
        self._entry: dict[str, Any] = {
            "Label": MACOS_LABEL,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            # Only where there is a screen; a login by ssh starts nothing.
            "LimitLoadToSessionType": "Aqua",
            "ProcessType": "Interactive",
        }

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def on(self) -> None:
        """Write the property list; launchd reads it at the next login."""
        _write(self._file, plistlib.dumps(self._entry))

    def off(self) -> None:
        """Remove the property list."""
        _remove(self._file)

    def status(self) -> AutostartStatus:
        """Judge by the user's property list, else by every user's."""
        own = self._judge(self._file)
        return self._judge(self._machines_file) if own is AutostartStatus.OFF and self._machines_file else own

    def _judge(self, file: Path) -> AutostartStatus:
        try:
            entry = plistlib.loads(file.read_bytes())
        except FileNotFoundError:
            return AutostartStatus.OFF
        except (plistlib.InvalidFileException, ExpatError, ValueError):
            return AutostartStatus.OTHER
        if not isinstance(entry, dict):
            return AutostartStatus.OTHER
        if entry.get("Disabled") is True or entry.get("RunAtLoad") is not True:
            return AutostartStatus.OFF
        same = entry.get("ProgramArguments") == self._entry["ProgramArguments"]
        return AutostartStatus.ON if same else AutostartStatus.OTHER


class WindowsAutostart:
    """A value of the user's `Run` key, or of the machine's, which a package for every user writes.

    Args:
        command: what is started.
        registry: the module `winreg`.
    """

    def __init__(self, command: Sequence[str], registry: ModuleType | Any) -> None:
        self._command = subprocess.list2cmdline(command)
        self._registry: Any = registry

    @property
    def place(self) -> str:
        """The key and its value; the user's, unless the machine's alone is there."""
        shared = self._read(WINDOWS_RUN) is None and self._machines() is not None
        root = "HKEY_LOCAL_MACHINE" if shared else "HKEY_CURRENT_USER"
        return rf"{root}\{WINDOWS_RUN}\{WINDOWS_VALUE}"

    def on(self) -> None:
        """Write the value, and take back what the task manager says against it; never to start twice."""
        registry = self._registry
        if self._machines() == self._command:
            self.off()
            return
        with registry.CreateKeyEx(registry.HKEY_CURRENT_USER, WINDOWS_RUN, 0, registry.KEY_SET_VALUE) as key:
            registry.SetValueEx(key, WINDOWS_VALUE, 0, registry.REG_SZ, self._command)
        self._delete(WINDOWS_APPROVED)

    def off(self) -> None:
        """Remove the user's value; the machine's is the administrator's."""
        self._delete(WINDOWS_RUN)
        self._delete(WINDOWS_APPROVED)

    def status(self) -> AutostartStatus:
        """Judge by the value, and by what the task manager says of it."""
        command, approved = self._read(WINDOWS_RUN), self._read(WINDOWS_APPROVED)
        machines = self._machines()
        if machines is not None:
            return AutostartStatus.ON if machines == self._command else AutostartStatus.OTHER
        if command is None or (isinstance(approved, bytes) and approved[:1] and approved[0] & _SWITCHED_OFF):
            return AutostartStatus.OFF
        return AutostartStatus.ON if command == self._command else AutostartStatus.OTHER

    def _machines(self) -> object:
        return self._read(WINDOWS_RUN, self._registry.HKEY_LOCAL_MACHINE)

    def _read(self, path: str, root: Any = None) -> object:
        registry = self._registry
        try:
            with registry.OpenKey(registry.HKEY_CURRENT_USER if root is None else root, path) as key:
                value: object = registry.QueryValueEx(key, WINDOWS_VALUE)[0]
                return value
        except FileNotFoundError:
            return None

    def _delete(self, path: str) -> None:
        registry = self._registry
        with (
            suppress(FileNotFoundError),
            registry.OpenKey(registry.HKEY_CURRENT_USER, path, 0, registry.KEY_SET_VALUE) as key,
        ):
            registry.DeleteValue(key, WINDOWS_VALUE)


def desktop_entry(command: Sequence[str]) -> str:
    """Return the entry that starts `command`; the Linux packages put the same into the machine's folder."""
    return "\n".join(
        (
            "[Desktop Entry]",
            "Type=Application",
            "Version=1.5",
            "Name=HCA Card Agent",
            "Name[zh_TW]=HCA Card Agent 醫事憑證卡代理程式",
            "Comment=Lets the health portals use your card",
            "Comment[zh_TW]=讓健康照護網站使用您的卡片",
            f"Exec={' '.join(_quoted(word) for word in command)}",
            "Terminal=false",
            "NoDisplay=true",
            "X-GNOME-Autostart-enabled=true",
            "",
        )
    )


def _quoted(word: str) -> str:
    """Quote one word of `Exec`, escaping twice (Desktop Entry Specification 1.5, "The Exec key")."""
    inner = "".join(f"\\{character}" if character in '"`$\\' else character for character in word)
    return f'"{inner}"'.replace("\\", "\\\\").replace("%", "%%")


def _remove(file: Path) -> None:
    demand_own_way(file)
    file.unlink(missing_ok=True)


def _write(file: Path, content: bytes) -> None:
    """Replace a file in one step, so that a login at this moment reads one or the other."""
    demand_own_way(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content, mode=0o644)
