"""What both Linux packages hold, looked at without installing them. `make test-packages`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent import __version__
from agent.origins.portals import KNOWN

pytestmark = [pytest.mark.packages, pytest.mark.timeout(300)]

DIST = Path(__file__).parents[2] / "dist"
MOST_BYTES = 110 * 1024 * 1024


def told(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def newest(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern), key=lambda file: file.stat().st_mtime)
    if not found:
        pytest.skip("there is no package yet: make package")
    return found[-1]


@pytest.fixture(params=["deb", "rpm"])
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The files of a package, unpacked."""
    if request.param == "deb":
        told("dpkg-deb", "--extract", str(newest("hca-agent_*.deb")), str(tmp_path))
        return tmp_path
    archive = tmp_path / "archive.cpio"
    if shutil.which("rpm2cpio") is None or shutil.which("cpio") is None:
        pytest.skip("needs rpm2cpio and cpio")
    with archive.open("wb") as out:
        subprocess.run(["rpm2cpio", str(newest("hca-agent-*.rpm"))], stdout=out, check=True, timeout=100)
    with archive.open("rb") as file:
        command = ["cpio", "--extract", "--make-directories", "--quiet"]
        subprocess.run(command, stdin=file, cwd=tmp_path, check=True, timeout=100)
    archive.unlink()
    return tmp_path


def test_lintian_has_nothing_to_say_but_what_is_explained() -> None:
    assert told("lintian", "--fail-on", "error,warning", str(newest("hca-agent_*.deb"))) == ""


def test_the_unpacked_program_works_and_is_small_enough(unpacked: Path, tmp_path: Path) -> None:
    program = unpacked / "usr/bin/hca-agent"
    assert program.is_symlink()
    assert told(str(program), "--version").split()[-1] == __version__
    files = [path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_no_file_looks_for_libraries_outside_of_its_own_folder(unpacked: Path) -> None:
    for file in (unpacked / "usr/lib/hca-agent").rglob("*"):
        if not file.is_symlink() and file.is_file() and file.read_bytes()[:4] == b"\x7fELF":
            shown = told("readelf", "--dynamic", str(file))
            for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", shown):
                assert all(each.startswith("$ORIGIN") for each in path.split(":")), file


def test_menu_entries_are_found_by_typing_hca(unpacked: Path) -> None:
    entries = {file.name: file.read_text() for file in (unpacked / "usr/share/applications").iterdir()}
    assert set(entries) == {"hca-agent.desktop", "hca-agent-selftest.desktop"}
    for text in entries.values():
        names = re.findall(r"^Name(?:\[zh_TW\])?=(.*)$", text, re.MULTILINE)
        assert all("HCA" in name for name in names[:2]), names
        assert (unpacked / "usr/share/icons/hicolor/scalable/apps/hca-agent.svg").exists()


def test_units_and_the_autostart_entry_start_what_is_there(unpacked: Path) -> None:
    units = [*unpacked.rglob("*.service"), *unpacked.rglob("*.timer")]
    assert {unit.name for unit in units} == {
        "hca-agent.service",
        "hca-agent-tls.service",
        "hca-agent-tls.timer",
    }
    started = [re.findall(r"^ExecStart=(\S+)", unit.read_text(), re.MULTILINE) for unit in units]
    assert {program for each in started for program in each} == {"/usr/bin/hca-agent"}
    entry = (unpacked / "etc/xdg/autostart/hca-agent.desktop").read_text()
    assert 'Exec="/usr/lib/hca-agent/hca-agent" "run"\n' in entry


def test_the_examples_for_administrators_are_examples_only(unpacked: Path) -> None:
    examples = unpacked / "usr/share/doc/hca-agent/examples"
    policy = json.loads((examples / "loopback-network.json").read_text())
    assert policy == {"LoopbackNetworkAllowedForUrls": sorted(KNOWN)}
    assert not (unpacked / "etc/chromium").exists()
    assert not (unpacked / "etc/hca-agent").exists()


def test_the_bill_of_materials_names_what_is_inside(unpacked: Path) -> None:
    bill = json.loads((unpacked / "usr/share/doc/hca-agent/sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    names = {component["name"] for component in bill["components"]}
    assert {"aiohttp", "cryptography", "pyscard", "Python", "Tcl/Tk"} <= names
    assert not {"pytest", "mypy", "playwright"} & names
    assert bill["metadata"]["component"]["version"] == __version__


def test_the_rpm_needs_what_fedora_calls_by_other_names() -> None:
    needed = told("rpm", "-qp", "--requires", str(newest("hca-agent-*.rpm"))).splitlines()
    assert {"pcsc-lite", "nss-tools", "ca-certificates"} <= set(needed)
    assert not [
        name for name in needed if name.startswith(("libpython", "libtk", "libtcl", "/root", "/home"))
    ]
    scripts = told("rpm", "-qp", "--scripts", str(newest("hca-agent-*.rpm")))
    assert "trust install --machine" in scripts and "trust remove --machine" in scripts


def test_the_sums_are_those_of_the_files() -> None:
    for line in newest("SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == digest, name
