"""No test opens a window on the screen of whoever runs it: tests that want a screen start their own."""

from __future__ import annotations

import os

from agent.environment import ALLOWED, Child


def pytest_configure() -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(name, None)
    ALLOWED[Child.MODULE] += ("TEST_MODULE_*",)  # by which tests tell the modules of their own how to behave
