"""What the help desk's file says of the computer."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import Config
from agent.paths import Paths
from agent.processes import RunningProgram
from agent.selftest import computer_facts
from agent.selftest.context import Computer
from agent.win32.installed_programs import UNINSTALL, programs
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from tests.support.registry import MemoryRegistry


def computer(tmp_path: Path) -> Computer:
    return Computer(
        Service(VirtualWinscard()),
        Config(),
        Paths(tmp_path, tmp_path),
        environment={"XDG_SESSION_TYPE": "wayland", "HOME": str(tmp_path)},
        programs=lambda: (RunningProgram(12, "HCAServiSignAdapter"), RunningProgram(13, "bash")),
    )


def test_the_vendors_programs_have_their_versions_and_nobody_elses_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = {"HCAServiSignAdapterSetup": "1.0.23.1227", "HiCOS PKI Smart Card": "3.2.1", "Solitaire": "1"}
    monkeypatch.setattr(computer_facts, "_programs", lambda: installed)
    told = computer_facts.facts(computer(tmp_path))
    assert told["vendor"] == {
        "installed": {"HCAServiSignAdapterSetup": "1.0.23.1227", "HiCOS PKI Smart Card": "3.2.1"},
        "running": ["HCAServiSignAdapter (12)"],
    }
    assert told["system"]["build"] and told["screen"]["XDG_SESSION_TYPE"] == "wayland"


def test_windows_lists_names_with_versions() -> None:
    registry = MemoryRegistry()
    for number, (name, version) in enumerate({"A": "1.2", "B": ""}.items()):
        registry.put("HKLM", rf"{UNINSTALL}\{number}", "DisplayName", name)
        if version:
            registry.put("HKLM", rf"{UNINSTALL}\{number}", "DisplayVersion", version)
    assert programs(registry) == {"A": "1.2", "B": ""}


def test_windows_drivers_of_readers_have_version_and_maker() -> None:
    registry, place = MemoryRegistry(), computer_facts._READER_CLASS
    for number in ("0000", "0001"):
        registry.put("HKLM", rf"{place}\{number}", "DriverDesc", "Microsoft Usbccid Smartcard Reader (WUDF)")
        registry.put("HKLM", rf"{place}\{number}", "DriverVersion", "10.0.22621.1")
        registry.put("HKLM", rf"{place}\{number}", "ProviderName", "Microsoft")
    registry.put("HKLM", rf"{place}\Properties", "Security", 1)
    assert computer_facts.windows_reader_drivers(registry) == (
        "Microsoft Usbccid Smartcard Reader (WUDF) 10.0.22621.1 Microsoft",
    )


def test_each_connected_screen_is_told_with_its_size(tmp_path: Path) -> None:
    for name, status, modes in (
        ("card0-eDP-1", "connected", "1366x768\n1024x768\n"),
        ("card0-HDMI-A-1", "disconnected", ""),
        ("card1-DP-2", "connected", "2560x1440\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status").write_text(status + "\n")
        (tmp_path / name / "modes").write_text(modes)
    (tmp_path / "card0-broken").mkdir()
    assert sorted(computer_facts._connected_screens(tmp_path)) == ["DP-2 2560x1440", "eDP-1 1366x768"]
