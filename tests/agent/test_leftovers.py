"""What stays in a person's home after the lines that docs/it-guide.md gives for leaving nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.platforms import LINUX_STORES, not_on_windows
from tests.support.trust import can_have_mounts, real_machine, with_own_system_store

pytestmark = [pytest.mark.slow, not_on_windows(LINUX_STORES)]

GUIDE = Path(__file__).parents[2] / "docs" / "it-guide.md"
USED = """
hca-agent autostart on
hca-agent trust install
hca-agent trust status
hca-agent origins allow https://portal.example.tw
hca-agent certs --simulate hpc
"""
NAMES = re.compile(rb"hca.?agent|hca card agent", re.IGNORECASE)


def steps() -> str:
    """Return the lines of the guide for one person."""
    found = re.search(r"```sh\n(hca-agent trust remove.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def run(home: Path, script: str) -> str:
    told = f'set -e\nhca-agent() {{ "{sys.executable}" -m agent "$@"; }}\n{script}'
    command = ["bash", "-c", told]
    if can_have_mounts():
        command = with_own_system_store(home.parent / "system", *command)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def certificates(database: Path) -> str:
    words = ["certutil", "-d", f"sql:{database}", "-L"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_lines_of_the_guide_leave_nothing_of_ours_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    real_machine(tmp_path)  # skips where there is no certutil
    firefox = home / ".mozilla" / "firefox" / "abc.default"
    for folder in (home / ".config" / "chromium", firefox):
        folder.mkdir(parents=True)
    subprocess.run(["certutil", "-d", f"sql:{firefox}", "-N", "--empty-password"], check=True, timeout=120)
    run(home, USED)
    databases = (home / ".local/share/pki/nssdb", firefox)
    assert all("HCA Card Agent" in certificates(each) for each in databases)
    assert (home / ".config" / "autostart" / "hca-agent.desktop").exists()

    run(home, steps())
    assert "HCA Card Agent" not in certificates(firefox)
    assert not databases[0].parent.exists() and not (home / ".pki").exists()
    left = [file for file in home.rglob("*") if NAMES.search(os.fsencode(file.relative_to(home)))]
    assert left == []
    for file in home.rglob("*"):
        # What a database deleted may stay in its free pages, as in any.
        assert file.is_dir() or file.suffix == ".db" or not NAMES.search(file.read_bytes()), file
