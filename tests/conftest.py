"""No test opens a window on the screen of whoever runs it: tests that want a screen start their own."""

from __future__ import annotations

import os


def pytest_configure() -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(name, None)
