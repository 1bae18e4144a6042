"""Interrupted at random moments, again and again: every document is signed once, none is torn, one PIN a run.

The form with 2,000 documents and 20 moments: `python -m tests.support.batch_soak`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.batch.listing import JOURNAL
from tests.support.batch_soak import Course, killed, pulled
from tests.support.batches import documents
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.operations import PIN

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]
PROJECT = Path(__file__).parents[3]


@pytest.fixture
def dice() -> random.Random:
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201  (shown where the test fails)
    return random.Random(seed)


def test_killed_at_random_moments(tmp_path: Path, dice: random.Random) -> None:
    course = killed(tmp_path, 40, 2, dice)
    assert course.pins <= course.runs


async def test_the_card_pulled_at_random_moments(tmp_path: Path, dice: random.Random) -> None:
    course = await pulled(tmp_path, 60, 4, dice)
    assert course.pins == course.runs


def begin(home: Path, *words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "agent", "batch", *map(str, words), "--simulate", "hpc", "--pin-stdin"]
    environment = os.environ | {"HCA_AGENT_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    pipe = subprocess.PIPE
    running = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert running.stdin is not None
    running.stdin.write(f"{PIN}\n")
    running.stdin.close()
    return running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    simulator_ca()
    (folder / "simulator").symlink_to(simulator_folder())
    return folder


def test_ctrl_c_ends_it_in_words_once_the_card_has_ended_what_it_began(home: Path, tmp_path: Path) -> None:
    paths = documents(tmp_path / "ward", 60)
    course = Course(tmp_path / "ward" / "signed")
    with begin(home, tmp_path / "ward") as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline().startswith("✔")
        running.send_signal(signal.SIGINT)
        said, troubles = running.stdout.read(), running.stderr.read()
    assert running.returncode == 130
    assert "batch.cancelled" in troubles and "Traceback" not in troubles and PIN not in said + troubles
    course.look()
    assert len(course.seen) == said.count("✔") + 1 < 60
    with begin(home, tmp_path / "ward", "--resume", "--json") as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["done"] == 60
    course.check(paths)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=240k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(home: Path, tmp_path: Path, small_disk: Path) -> None:
    paths = documents(tmp_path / "ward", 60)
    course = Course(small_disk)
    with begin(home, tmp_path / "ward", "--output", small_disk) as running:
        assert running.stdout is not None and running.stderr is not None
        troubles = running.stderr.read()
    assert running.returncode == 1
    assert "file.unusable" in troubles or "journal.full" in troubles
    assert "Traceback" not in troubles
    course.look()
    assert 0 < len(course.seen) < 60 and not list(small_disk.glob("*.part"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    with begin(home, tmp_path / "ward", "--output", small_disk, "--resume", "--json") as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["done"] == 60
    course.check(paths)
    assert (small_disk / JOURNAL).exists()
