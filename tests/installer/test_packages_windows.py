"""The Windows packages, installed in Wine's Windows by a real Windows Python's frozen program."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.trust import portal_policies
from tests.support.debian import Debian
from tests.support.platforms import not_on_windows
from tests.support.windows import PORTS, TOLD, Windows, fresh_windows, log_in, within
from tests.support.wine import MARK

RUN_KEY = r"[Software\\Microsoft\\Windows\\CurrentVersion\\Run]"

pytestmark = [
    pytest.mark.packages,
    pytest.mark.slow,
    pytest.mark.xdist_group("windows packages"),  # one machine
    pytest.mark.timeout(1800),
    not_on_windows("the Windows job of CI installs the packages itself"),
]


@pytest.fixture
def windows(
    trixie: Debian, windows_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Windows]:
    """A fresh Windows without Python, with a screen."""
    with fresh_windows(trixie, windows_python, tmp_path_factory.mktemp("windows")) as made:
        yield made


def menu_of(windows: Windows) -> set[str]:
    return {path.stem for path in windows.wine.drive.rglob("*.lnk") if "HCA" in path.name}


MENU = {"HCA Card Agent 啟動", "HCA Card Agent 自我檢測"}


@pytest.mark.parametrize("kind", ["machine.msi", "setup.exe"])
def test_a_package_for_every_user_serves_a_login_and_leaves_nothing_behind(
    windows: Windows, windows_packages: list[Path], kind: str, tmp_path: Path
) -> None:
    package = next(file for file in windows_packages if file.name.endswith(kind))
    assert MARK in package.name
    windows.install(package, *TOLD)
    folder = windows.wine.drive / "Program Files" / "HCA Card Agent"
    assert (folder / "PolicyDefinitions" / "zh-TW" / "hca-agent.adml").is_file()
    assert menu_of(windows) == MENU
    registry = "\n".join(windows.registry())
    assert '"HCA Card Agent"="\\"C:\\\\Program Files\\\\HCA Card Agent\\\\hca-agentw.exe\\" run"' in registry
    policies = 2 * len(portal_policies.KEYS)  # of Chrome and Edge, and again in what we remember
    assert registry.count("https://euservice.mohw.gov.tw") == 2 * policies
    with windows.running(folder / "hca-agentw.exe", "--simulate", "hpc"):
        # The machine's own certificate, and the port and site that the administrator named.
        assert "測試人員卡" in log_in(PORTS[0], windows.machine / "tls" / "ca.pem")
        assert within(
            lambda: windows.icon_pixels(tmp_path / "desktop.png") >= 8, complaint="no icon: see desktop.png"
        )
    assert windows.data.is_dir()
    if package.suffix == ".msi":
        windows.wine.run("msiexec", "/x", str(package), "/qn", "REMOVE_DATA=1")
    else:
        # Without the last word it starts a copy of itself and does not wait for it.
        place = "_?=C:\\Program Files\\HCA Card Agent"
        windows.wine.run(
            "C:\\Program Files\\HCA Card Agent\\uninstall.exe", "/AllUsers", "/S", "/REMOVE_DATA", place
        )
    assert windows.left() == []


@pytest.mark.parametrize("kind", ["user.msi", "setup.exe"])
def test_a_package_for_one_user_needs_nothing_of_the_machine_and_keeps_data_unless_told(
    windows: Windows, windows_packages: list[Path], kind: str
) -> None:
    package = next(file for file in windows_packages if file.name.endswith(kind))
    words = (*TOLD[:2], "AUTOSTART=0")
    windows.install(package, *(words if kind == "user.msi" else ("CurrentUser", *words)))
    programs = [path.parent for path in windows.home.rglob("hca-agentw.exe")]
    assert len(programs) == 1 and not windows.machine.exists()
    assert menu_of(windows) == MENU
    assert not [line for line in windows.registry() if line.startswith(RUN_KEY)]
    with windows.running(programs[0] / "hca-agentw.exe", "--simulate", "hpc"):
        assert "測試人員卡" in log_in(PORTS[0], windows.data / "tls" / "ca.pem")
    if package.suffix == ".msi":
        windows.wine.run("msiexec", "/x", str(package), "/qn")
    else:
        place = "C:\\" + str(programs[0].relative_to(windows.wine.drive)).replace("/", "\\")
        windows.wine.run(f"{place}\\uninstall.exe", "/CurrentUser", "/S", f"_?={place}")
    assert (windows.data / "config.toml").is_file() and (windows.data / "audit.jsonl").is_file()
    shutil.rmtree(windows.data)
    assert windows.left() == []


@pytest.mark.parametrize(
    "wrong",
    ["ALLOWED_ORIGINS=https://portal.example.tw/path", "PORTS=56445 & calc", "POLICY_FILE=C:\\none.toml"],
)
def test_an_installation_with_something_wrong_in_it_fails_and_leaves_nothing(
    windows: Windows, windows_packages: list[Path], wrong: str
) -> None:
    package = next(file for file in windows_packages if file.name.endswith("machine.msi"))
    with pytest.raises(RuntimeError):
        windows.install(package, wrong)
    log = next(windows.wine.drive.rglob("hca-agent-setup.log"))
    assert "config.invalid" in log.read_text("utf-8")
    log.unlink()
    assert windows.left() == []
