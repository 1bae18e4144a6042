"""Starting with the login: real files for Linux and macOS, a registry in memory for Windows."""

from __future__ import annotations

import configparser
import json
import plistlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.autostart import (
    MACOS_LABEL,
    WINDOWS_APPROVED,
    WINDOWS_RUN,
    WINDOWS_VALUE,
    Autostart,
    AutostartStatus,
    LinuxAutostart,
    MacosAutostart,
    WindowsAutostart,
    autostart,
)
from agent.cli.program import program
from tests.support.platforms import not_on_windows

COMMAND = ("/opt/HCA Agent/hca-agent", "run")
OTHER = ("/old/hca-agent", "run")
MACHINE = "the machine's"


class Registry:
    """What `winreg` does with values of a user's keys."""

    HKEY_CURRENT_USER = object()
    HKEY_LOCAL_MACHINE = object()
    KEY_SET_VALUE = 2
    KEY_READ = 0x20019
    REG_SZ = 1

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, object]] = {WINDOWS_RUN: {"Other Program": "other.exe"}}
        self.machine: dict[str, object] = {}

    @contextmanager
    def OpenKey(self, root: object, path: str, _reserved: int = 0, _access: int = KEY_READ) -> Iterator[str]:
        if root is self.HKEY_LOCAL_MACHINE:
            yield MACHINE
            return
        assert root is self.HKEY_CURRENT_USER
        if path not in self.keys:
            raise FileNotFoundError(2, path)
        yield path

    @contextmanager
    def CreateKeyEx(self, root: object, path: str, _reserved: int, _access: int) -> Iterator[str]:
        assert root is self.HKEY_CURRENT_USER
        self.keys.setdefault(path, {})
        yield path

    def SetValueEx(self, key: str, name: str, _reserved: int, kind: int, value: object) -> None:
        assert kind == self.REG_SZ
        self.keys[key][name] = value

    def QueryValueEx(self, key: str, name: str) -> tuple[object, int]:
        values = self.machine if key == MACHINE else self.keys[key]
        if name not in values:
            raise FileNotFoundError(2, name)
        return values[name], self.REG_SZ

    def DeleteValue(self, key: str, name: str) -> None:
        if name not in self.keys[key]:
            raise FileNotFoundError(2, name)
        del self.keys[key][name]


@pytest.fixture(params=["linux", "darwin", "win32"])
def ways(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Autostart, Autostart]:
    """This program's way, and that of an earlier installation of it, on each system."""
    folder = tmp_path / "not yet" / "there"
    if request.param == "linux":
        return LinuxAutostart(COMMAND, folder), LinuxAutostart(OTHER, folder)
    if request.param == "darwin":
        return MacosAutostart(COMMAND, folder), MacosAutostart(OTHER, folder)
    registry = Registry()
    return WindowsAutostart(COMMAND, registry), WindowsAutostart(OTHER, registry)


def test_it_is_off_until_it_is_switched_on_and_off_again_after(ways: tuple[Autostart, Autostart]) -> None:
    way, _ = ways
    assert way.status() is AutostartStatus.OFF
    way.on()
    assert way.status() is AutostartStatus.ON
    way.off()
    assert way.status() is AutostartStatus.OFF


def test_switching_twice_is_switching_once(ways: tuple[Autostart, Autostart]) -> None:
    way, _ = ways
    way.off()
    way.on()
    way.on()
    assert way.status() is AutostartStatus.ON
    way.off()
    way.off()
    assert way.status() is AutostartStatus.OFF


def test_another_installation_is_told_apart_and_replaced(ways: tuple[Autostart, Autostart]) -> None:
    way, earlier = ways
    earlier.on()
    assert way.status() is AutostartStatus.OTHER
    way.on()
    assert (way.status(), earlier.status()) == (AutostartStatus.ON, AutostartStatus.OTHER)


def test_another_installation_can_be_switched_off(ways: tuple[Autostart, Autostart]) -> None:
    way, earlier = ways
    earlier.on()
    way.off()
    assert earlier.status() is AutostartStatus.OFF


def test_the_desktop_entry_is_a_valid_one(tmp_path: Path) -> None:
    LinuxAutostart(COMMAND, tmp_path).on()
    (file,) = tmp_path.iterdir()
    entry = configparser.RawConfigParser(delimiters=("=",), strict=True)
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(file, encoding="utf-8")
    assert entry.sections() == ["Desktop Entry"]
    assert entry["Desktop Entry"]["Type"] == "Application"
    assert entry["Desktop Entry"]["Exec"] == '"/opt/HCA Agent/hca-agent" "run"'


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/a b", '"/a b"'),
        ("100%", '"100%%"'),
        ('say "x"', r'"say \\"x\\""'),
        ("$HOME", r'"\\$HOME"'),
        ("a`b", r'"a\\`b"'),
        ("back\\slash", '"back' + "\\" * 4 + 'slash"'),
    ],
)
def test_words_of_the_desktop_entry_are_quoted_as_the_specification_says(
    tmp_path: Path, word: str, written: str
) -> None:
    LinuxAutostart((word,), tmp_path).on()
    (line,) = [
        line
        for line in (tmp_path / "hca-agent.desktop").read_text("utf-8").splitlines()
        if line.startswith("Exec=")
    ]
    assert line == f"Exec={written}"


@pytest.mark.parametrize("change", [("Terminal=false", "Hidden=true"), ("enabled=true", "enabled=false")])
def test_an_entry_that_the_desktop_switched_off_is_off(tmp_path: Path, change: tuple[str, str]) -> None:
    way = LinuxAutostart(COMMAND, tmp_path)
    way.on()
    file = tmp_path / "hca-agent.desktop"
    file.write_text(file.read_text("utf-8").replace(*change), "utf-8")
    assert way.status() is AutostartStatus.OFF
    way.on()
    assert way.status() is AutostartStatus.ON


def test_the_launch_agent_starts_the_program_at_login(tmp_path: Path) -> None:
    MacosAutostart(COMMAND, tmp_path).on()
    entry = plistlib.loads((tmp_path / f"{MACOS_LABEL}.plist").read_bytes())
    assert entry["Label"] == MACOS_LABEL
    assert entry["ProgramArguments"] == list(COMMAND)
    assert entry["RunAtLoad"] is True


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", AutostartStatus.OTHER),
        (b"<plist>", AutostartStatus.OTHER),
        (plistlib.dumps(["x"]), AutostartStatus.OTHER),
        (plistlib.dumps({"ProgramArguments": list(COMMAND)}), AutostartStatus.OFF),
        (
            plistlib.dumps({"ProgramArguments": list(COMMAND), "RunAtLoad": True, "Disabled": True}),
            AutostartStatus.OFF,
        ),
    ],
)
def test_a_damaged_or_disabled_launch_agent_is_not_on(
    tmp_path: Path, content: bytes, status: AutostartStatus
) -> None:
    (tmp_path / f"{MACOS_LABEL}.plist").write_bytes(content)
    assert MacosAutostart(COMMAND, tmp_path).status() is status


def test_the_windows_value_is_quoted_and_others_stay() -> None:
    registry = Registry()
    way = WindowsAutostart(COMMAND, registry)
    way.on()
    assert registry.keys[WINDOWS_RUN][WINDOWS_VALUE] == '"/opt/HCA Agent/hca-agent" run'
    way.off()
    assert registry.keys == {WINDOWS_RUN: {"Other Program": "other.exe"}}


def test_what_the_task_manager_switched_off_is_off_until_it_is_switched_on_here() -> None:
    registry = Registry()
    way = WindowsAutostart(COMMAND, registry)
    way.on()
    registry.keys[WINDOWS_APPROVED] = {WINDOWS_VALUE: b"\x03" + bytes(11)}
    assert way.status() is AutostartStatus.OFF
    registry.keys[WINDOWS_APPROVED] = {WINDOWS_VALUE: b"\x02" + bytes(11)}
    assert way.status() is AutostartStatus.ON
    registry.keys[WINDOWS_APPROVED] = {WINDOWS_VALUE: b"\x03" + bytes(11)}
    way.on()
    assert way.status() is AutostartStatus.ON


def test_each_system_has_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "winreg", Registry())  # type: ignore[arg-type]
    places = {platform: autostart(platform, {}, tmp_path).place for platform in ("linux", "darwin", "win32")}
    assert places["linux"] == str(tmp_path / ".config" / "autostart" / "hca-agent.desktop")
    assert places["darwin"] == str(tmp_path / "Library" / "LaunchAgents" / f"{MACOS_LABEL}.plist")
    assert places["win32"].startswith("HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Run")


@not_on_windows("whole paths of POSIX")
@pytest.mark.parametrize(
    ("variable", "base"), [("/etc/somebody", "/etc/somebody"), ("relative", ""), ("", "")]
)
def test_the_configuration_folder_may_be_moved(tmp_path: Path, variable: str, base: str) -> None:
    folder = Path(base) if base else tmp_path / ".config"
    place = autostart("linux", {"XDG_CONFIG_HOME": variable}, tmp_path).place
    assert place == str(folder / "autostart" / "hca-agent.desktop")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="writes where Linux has it")
def test_the_command_line_switches_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(program, ["autostart", *words])
        return result.exit_code, result.output

    assert run("status")[0] == 0  # off is a state, no failure
    code, words = run("on")
    assert code == 0 and "登入時會自動啟動" in words
    code, words = run("status", "--json")
    assert code == 0
    assert json.loads(words) == {
        "autostart": "on",
        "place": str(tmp_path / "autostart" / "hca-agent.desktop"),
    }
    code, words = run("off")
    assert code == 0 and "不會自動啟動" in words
    assert run("status")[0] == 0


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    """A machine on which a package starts this program for everybody."""
    folder = tmp_path / "xdg"
    LinuxAutostart(COMMAND, folder).on()
    return folder


def test_where_the_machine_starts_it_a_user_can_say_no_and_yes_again(tmp_path: Path, machines: Path) -> None:
    way = LinuxAutostart(COMMAND, tmp_path / "user", [tmp_path / "none", machines])
    assert way.status() is AutostartStatus.ON
    assert way.place == str(machines / "hca-agent.desktop")
    way.off()
    way.off()
    assert way.status() is AutostartStatus.OFF
    assert way.place == str(tmp_path / "user" / "hca-agent.desktop")
    way.on()
    assert way.status() is AutostartStatus.ON
    assert list((tmp_path / "user").iterdir()) == []


def test_a_users_own_program_goes_before_the_machines(tmp_path: Path, machines: Path) -> None:
    way = LinuxAutostart(OTHER, tmp_path / "user", [machines])
    assert way.status() is AutostartStatus.OTHER
    way.on()
    assert way.status() is AutostartStatus.ON
    assert LinuxAutostart(COMMAND, tmp_path / "user", [machines]).status() is AutostartStatus.OTHER


def test_a_package_for_every_user_starts_it_once_and_is_the_administrators_to_stop() -> None:
    registry = Registry()
    way = WindowsAutostart(COMMAND, registry)
    way.on()
    registry.machine[WINDOWS_VALUE] = registry.keys[WINDOWS_RUN][WINDOWS_VALUE]
    way.on()
    assert WINDOWS_VALUE not in registry.keys[WINDOWS_RUN]
    way.off()
    assert way.status() is AutostartStatus.ON and way.place.startswith("HKEY_LOCAL_MACHINE")
    assert WindowsAutostart(OTHER, registry).status() is AutostartStatus.OTHER
