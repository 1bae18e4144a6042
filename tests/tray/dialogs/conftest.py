"""A screen and windows on it, for the tests in which windows ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.config import ConsentSettings
from agent.interaction.dialogs import Dialogs
from tests.support.screen import Screen, private_screen, window_processes
from tests.support.waiting import until


@pytest.fixture(scope="module")
def display() -> Iterator[Screen]:
    with private_screen() as screen:
        yield screen


@pytest.fixture
def screen(display: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Screen]:
    monkeypatch.setenv("DISPLAY", display.display)
    # Where windows keep the lock of whose turn it is: not at the home of whoever runs the tests.
    monkeypatch.setenv("HCA_AGENT_HOME", str(tmp_path))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    yield display
    display.await_none()
    until(lambda: not window_processes(), "a window's process has not ended")


@pytest.fixture
async def person(screen: Screen) -> AsyncIterator[Dialogs]:
    windows = Dialogs(ConsentSettings(seconds=110))
    yield windows
    await windows.close()
