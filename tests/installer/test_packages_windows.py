"""The Windows packages, installed in Wine's Windows by a real Windows Python's frozen program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.platforms import not_on_windows
from tests.support.screen import private_screen
from tests.support.servisign_page import Text
from tests.support.servisign_wire import Adapter, Wire
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
RUN_KEY = r"[Software\\Microsoft\\Windows\\CurrentVersion\\Run]"
PORTAL = "https://portal.example.tw"
PORTS = (57445, 57545)
NATIVE = 56440
TOOLS = ("wine", "wineserver", "wixl", "msibuild", "makensis", "x86_64-w64-mingw32-gcc", "Xvfb", "import")
SECONDS = 120.0
TOLD = (f"PORTS={PORTS[0]} {PORTS[1]}", f"ALLOWED_ORIGINS={PORTAL}", "BROWSER_POLICIES=1")

pytestmark = [
    pytest.mark.packages,
    pytest.mark.slow,
    pytest.mark.xdist_group("windows packages"),  # fixed ports
    pytest.mark.timeout(1800),
    not_on_windows("the Windows job of CI installs the packages itself"),
]


@pytest.fixture(scope="module")
def tools() -> ModuleType:
    """installer/windows/under_wine.py."""
    missing = [name for name in TOOLS if shutil.which(name) is None]
    assert not missing, f"not installed: {', '.join(missing)}"
    sys.path.insert(0, str(ROOT / "installer" / "windows"))
    import under_wine  # type: ignore[import-not-found]

    return under_wine


@pytest.fixture(scope="module")
def python(tools: ModuleType) -> Path:
    return tools.make_python(ROOT / "build" / "wine" / "python", tests=True)


@pytest.fixture(scope="module")
def packages(tools: ModuleType, python: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Those of this source, frozen now."""
    import packages as pack  # type: ignore[import-not-found]

    work = tmp_path_factory.mktemp("windows-packages")
    wine = tools.make_prefix(work / "prefix", python)
    try:
        return pack.build(tools.freeze(wine, work / "frozen"), work / "out", tools.MARK)
    finally:
        wine.end()


@pytest.fixture
def windows(tools: ModuleType, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windows]:
    """A fresh Windows without Python, with a screen."""
    with private_screen() as screen:
        wine = tools.make_prefix(
            tmp_path_factory.mktemp("windows") / "prefix", python, screen.environment["DISPLAY"]
        )
        try:
            yield Windows(wine)
        finally:
            wine.end()


class Windows:
    """What a test does with that Windows."""

    def __init__(self, wine: object) -> None:
        self.wine = wine
        self.home = next(each for each in (wine.drive / "users").iterdir() if each.name != "Public")
        self.data = self.home / "AppData" / "Local" / "hca-agent"
        self.machine = wine.drive / "ProgramData" / "hca-agent"
        wine.end()
        self._registry = self.registry()

    def registry(self) -> set[str]:
        """Every line of the registry that has to do with us."""
        self.wine.end()
        lines: set[str] = set()
        for name in ("system.reg", "user.reg"):
            key = ""
            for line in (self.wine.prefix / name).read_text("utf-8", "replace").splitlines():
                if line.startswith("["):
                    key = line.partition("]")[0]
                if any(word in f"{key} {line}".casefold() for word in ("hca", "mohw.gov.tw", "loopbacknet")):
                    lines.add(f"{key}] {line}")
        return lines

    def left(self) -> list[str]:
        """What of us is on the disk and in the registry and was not before."""
        registry = sorted(self.registry() - self._registry)
        files = [str(path) for path in self.wine.drive.rglob("*") if "hca" in path.name.casefold()]
        return registry + files

    def install(self, package: Path, *words: str) -> None:
        if package.suffix == ".msi":
            self.wine.run("msiexec", "/i", str(package), "/qn", *words)
        else:
            self._typed(package, words)

    def _typed(self, package: Path, words: tuple[str, ...]) -> None:
        """Run the line that an administrator types, quotes and all, which no list of words could say."""
        typed = " ".join("/" + word.replace("=", '="', 1) + '"' * ("=" in word) for word in words)
        place = "Z:" + str(package).replace("/", "\\")
        call = f"import subprocess, sys; sys.exit(subprocess.call({f'{place} /S {typed}'!r}))"
        self.wine.run_python("-c", call)

    @contextmanager
    def running(self, program: Path) -> Iterator[None]:
        """The installed agent with a simulated card, in a desktop with a bar for icons."""
        place = "C:\\" + str(program.relative_to(self.wine.drive)).replace("/", "\\")
        desktop = ("explorer", "/desktop=shell,1024x768")
        process = self.wine.start(*desktop, place, "run", "--simulate", "hpc")
        try:
            assert within(lambda: status(NATIVE)) == {"agent": "hca-agent", "api": 1}
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self.wine.end()
            process.communicate()

    def icon_pixels(self, out: Path) -> int:
        """How many pixels at the lower right, where the icons are, have the green of our card."""
        picture = out / "desktop.png"
        environment = {**os.environ, "DISPLAY": self.wine.display}
        subprocess.run(["import", "-window", "root", picture], env=environment, check=True, timeout=30)
        recolour = (
            "-fuzz",
            "12%",
            "-fill",
            "white",
            "-opaque",
            "#009678",
            "-fill",
            "black",
            "+opaque",
            "white",
        )
        command = (
            "convert",
            picture,
            "-crop",
            "200x20+824+748",
            *recolour,
            "-format",
            "%[fx:mean*4000]",
            "info:",
        )
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        return round(float(told.stdout))


def status(port: int) -> dict[str, object] | None:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=2) as answer:
        return json.load(answer)
    return None


def within(look, seconds: float = SECONDS, complaint: str = "it did not come"):
    """What `look` finds, once it finds something."""
    return until(look, complaint, seconds, pause=0.2)


def log_in(port: int, authority: Path) -> str:
    """As a portal's page does; the holder's basic data."""
    wire = Wire(port, str(authority))
    try:
        page = Adapter(wire, origin=PORTAL).echo()
        module = {
            "ulModuleHandle": page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        }
        page.good("ATL_InitSession", **module, iFlags=6, userPin=Text("123456"))
        return page.good("ATL_GetHCABasicData", **module)
    finally:
        wire.close()


def menu_of(windows: Windows) -> set[str]:
    return {path.stem for path in windows.wine.drive.rglob("*.lnk") if "HCA" in path.name}


MENU = {"HCA Card Agent 啟動", "HCA Card Agent 自我檢測"}


@pytest.mark.parametrize("kind", ["machine.msi", "setup.exe"])
def test_a_package_for_every_user_serves_a_login_and_leaves_nothing_behind(
    windows: Windows, packages: list[Path], kind: str, tmp_path: Path
) -> None:
    package = next(file for file in packages if file.name.endswith(kind))
    assert "wine-test" in package.name
    windows.install(package, *TOLD)
    folder = windows.wine.drive / "Program Files" / "HCA Card Agent"
    assert (folder / "PolicyDefinitions" / "zh-TW" / "hca-agent.adml").is_file()
    assert menu_of(windows) == MENU
    registry = "\n".join(windows.registry())
    assert '"HCA Card Agent"="\\"C:\\\\Program Files\\\\HCA Card Agent\\\\hca-agentw.exe\\" run"' in registry
    assert registry.count("https://euservice.mohw.gov.tw") == 4  # Chrome, Edge, and twice in what we remember
    with windows.running(folder / "hca-agentw.exe"):
        # The machine's own certificate, and the port and site that the administrator named.
        assert "測試人員卡" in log_in(PORTS[0], windows.machine / "tls" / "ca.pem")
        assert within(lambda: windows.icon_pixels(tmp_path) >= 8, complaint="no icon: see desktop.png")
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
    windows: Windows, packages: list[Path], kind: str
) -> None:
    package = next(file for file in packages if file.name.endswith(kind))
    words = (*TOLD[:2], "AUTOSTART=0")
    windows.install(package, *(words if kind == "user.msi" else ("CurrentUser", *words)))
    programs = [path.parent for path in windows.home.rglob("hca-agentw.exe")]
    assert len(programs) == 1 and not windows.machine.exists()
    assert menu_of(windows) == MENU
    assert not [line for line in windows.registry() if line.startswith(RUN_KEY)]
    with windows.running(programs[0] / "hca-agentw.exe"):
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
    windows: Windows, packages: list[Path], wrong: str
) -> None:
    package = next(file for file in packages if file.name.endswith("machine.msi"))
    with pytest.raises(RuntimeError):
        windows.install(package, wrong)
    log = next(windows.wine.drive.rglob("hca-agent-setup.log"))
    assert "config.invalid" in log.read_text("utf-8")
    log.unlink()
    assert windows.left() == []


def test_the_unit_tests_that_need_no_card_service_pass_on_windows(
    tools: ModuleType, python: Path, tmp_path: Path
) -> None:
    wine = tools.make_prefix(tmp_path / "prefix", python)
    marks = "not pcscd and not browser and not slow and not packages"
    folders = ("tests/pcsc", "tests/hca_card", "tests/signing", "tests/agent", "tests/tray")
    try:
        told = wine.run_python(
            "-m",
            "pytest",
            *folders,
            "-q",
            "-m",
            marks,
            "-p",
            "no:cacheprovider",
            "--tb",
            "short",
            seconds=1500.0,
        )
    finally:
        wine.end()
    assert " passed" in told.splitlines()[-1] and "failed" not in told.splitlines()[-1], told
