"""No test opens a window on the screen of whoever runs it, or changes what that computer trusts.

Compiled code is kept: most tests that take long start processes of ours, and each would compile it all again.

Tests that want a screen or a system's store make their own (`tests.support.trust.with_own_system_store`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agent.environment import ALLOWED, Child
from agent.trust.linux import AnchorStore
from agent.trust.machine import Machine
from tests.support.log import Log, caught

# The same examples each time, however slow the machine is: a run that fails can be repeated. Who looks for
# others gives `--hypothesis-profile=default`.
settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


def pytest_configure() -> None:
    sys.dont_write_bytecode = False  # pytest keeps what it made of the tests' assertions likewise
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(name, None)
    ALLOWED[Child.MODULE] += ("TEST_MODULE_*",)  # by which tests tell the modules of their own how to behave


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how large the tables were that tests went through."""
    counted = Counter[str]()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            counted[name] += value
    for name, count in counted.items():
        terminalreporter.write_line(f"{name}: {count:,}")


@pytest.fixture
def caplog() -> Iterator[Log]:
    """What is logged during the test."""
    with caught() as log:
        yield log


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk() -> Iterator[None]:
    """Leave it to the system when it writes: no test pulls the plug, and thousands of files take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_store_of_this_computer() -> Iterator[None]:
    """Keep tests out of the stores of this system and of whoever runs them.

    A test whose stores are not the ones it meant would have real browsers in its hands, as root all of them.
    """
    this, persons = Machine.this, Path.home()

    def safe() -> Machine:
        machine = this()
        home = nowhere if machine.home == persons else machine.home
        return replace(machine, home=home, root=nowhere, find=partial(_found, machine))

    with (
        tempfile.TemporaryDirectory(prefix="hca-agent-no-store-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        nowhere = Path(folder)
        patch.setattr(Machine, "this", safe)
        yield


def _found(machine: Machine, program: str) -> str | None:
    """Find a program; not p11-kit's, which knows where the system's store is."""
    return None if program == AnchorStore.tool else machine.find(program)
