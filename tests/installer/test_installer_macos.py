"""What of the macOS package can be looked at elsewhere: its property lists, its scripts, the workflow."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from agent import autostart

ROOT = Path(__file__).parents[2]
MACOS = ROOT / "installer" / "macos"
SCRIPTS = sorted((*MACOS.glob("*.sh"), *(MACOS / "scripts").iterdir()))
PROGRAM = "/usr/local/lib/hca-agent/hca-agent"


def test_the_launch_agent_says_what_the_program_itself_would_write(tmp_path: Path) -> None:
    shipped = plistlib.loads((MACOS / "tw.hca-agent.plist").read_bytes())
    way = autostart.MacosAutostart((PROGRAM, "run"), tmp_path)
    way.on()
    assert shipped == plistlib.loads(Path(way.place).read_bytes())


def test_the_entitlements_are_the_two_that_are_needed() -> None:
    granted = plistlib.loads((MACOS / "entitlements.plist").read_bytes())
    assert granted == {
        "com.apple.security.cs.allow-unsigned-executable-memory": True,
        "com.apple.security.cs.disable-library-validation": True,
    }


def test_the_distribution_names_the_package_that_is_built() -> None:
    tree = ElementTree.parse(MACOS / "distribution.xml")
    assert {each.get("id") for each in tree.iter("pkg-ref")} == {"tw.hca-agent"}
    assert [each.text for each in tree.iter("pkg-ref") if each.text] == ["hca-agent.pkg"]
    assert "@VERSION@" in (MACOS / "distribution.xml").read_text("utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_and_stops_at_its_first_failure(script: Path) -> None:
    assert script.stat().st_mode & 0o111 == 0o111
    text = script.read_text("utf-8")
    assert text.startswith(("#!/bin/sh\n", "#!/bin/bash\n"))
    assert re.search(r"^set -eu", text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    tool = shutil.which("shellcheck")
    assert tool, "tools/setup installs it"
    done = subprocess.run([tool, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_uninstaller_takes_away_what_the_package_puts_there() -> None:
    built, removed = ((MACOS / name).read_text("utf-8") for name in ("build.sh", "uninstall.sh"))
    for place in (
        "/usr/local/lib/hca-agent",
        "/usr/local/bin/hca-agent",
        "/Library/LaunchAgents/tw.hca-agent.plist",
    ):
        assert f"$payload{place}" in built
        assert place in removed


def test_the_workflow_is_a_document_and_names_scripts_that_are_there() -> None:
    yaml = pytest.importorskip("yaml")
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    systems = {job.get("runs-on") for job in workflow["jobs"].values()}
    matrices = [job["strategy"]["matrix"] for job in workflow["jobs"].values() if "strategy" in job]
    systems |= {os for matrix in matrices for os in matrix.get("os", ())}
    systems |= {row["os"] for matrix in matrices for row in matrix.get("include", ())}
    assert {"ubuntu-latest", "windows-latest", "macos-latest"} <= systems
    named = set(re.findall(r"installer/[\w./-]+\.(?:py|sh)", text))
    assert {"installer/build.py", "installer/macos/build.sh"} <= named
    assert [name for name in named if not (ROOT / name).is_file()] == []
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert re.fullmatch(r"[\w./-]+@v\d+", step.get("uses", "a/b@v1"))
            for secret in re.findall(r"secrets\.\w+", str(step.get("run", ""))):
                raise AssertionError(f"{secret} is part of a command line")


def test_the_packages_launch_agent_counts_as_started_with_the_login(tmp_path: Path) -> None:
    machines = tmp_path / "machine"
    machines.mkdir()
    shutil.copy(MACOS / "tw.hca-agent.plist", machines)
    way = autostart.MacosAutostart((PROGRAM, "run"), tmp_path / "user", machines)
    assert way.status() is autostart.AutostartStatus.ON
    other = autostart.MacosAutostart(("/opt/other/hca-agent", "run"), tmp_path / "user", machines)
    assert other.status() is autostart.AutostartStatus.OTHER
