"""This program on the person's desktop: whether there is one, and opening things on it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent import desktop
from tests.support.platforms import not_on_windows
from tests.support.waiting import LIMIT

posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in")


@pytest.mark.parametrize(
    ("platform", "environment", "screen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("win32", {}, True),
        ("darwin", {}, True),
    ],
)
def test_a_screen_is_known_by_its_display(platform: str, environment: dict[str, str], screen: bool) -> None:
    assert desktop.has_screen(environment, platform) is screen


def test_this_program_starts_itself_frozen_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "python-of-this-test")
    assert desktop.own_command("tray") == (sys.executable, "-I", "-m", "agent", "tray")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert desktop.own_command("tray") == (sys.executable, "tray")


@pytest.mark.slow
def test_nothing_that_lies_in_the_current_folder_is_taken_for_this_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agent").mkdir()
    for planted in ("agent/__init__.py", "agent/__main__.py", "click.py"):
        (tmp_path / planted).write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(desktop.own_command("--version"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "hca-agent" in done.stdout


@posix
@pytest.mark.parametrize(("code", "opened"), [(0, True), (4, False)])
async def test_a_folder_is_opened_by_the_desktops_own_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, opened: bool
) -> None:
    for name in ("xdg-open", "open"):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s" "$*" > {tmp_path}/told\nexit {code}\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert await desktop.open_folder(Path("/some/folder with spaces")) is opened
    assert (tmp_path / "told").read_text() == "/some/folder with spaces"


@posix
async def test_without_a_program_for_folders_none_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await desktop.open_folder(tmp_path) is False


@pytest.mark.parametrize("shown", [True, False])
async def test_a_page_is_opened_by_the_persons_browser(monkeypatch: pytest.MonkeyPatch, shown: bool) -> None:
    pages: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: pages.append(url) or shown)
    assert await desktop.open_page("http://localhost:56440/") is shown
    assert pages == ["http://localhost:56440/"]


async def test_a_browser_that_is_waited_for_does_not_keep_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()
    monkeypatch.setattr(desktop, "_EARLY_SECONDS", 0.05)
    monkeypatch.setattr("webbrowser.open", lambda _url: closed.wait(LIMIT))
    assert await desktop.open_page("http://localhost:56440/") is True
    closed.set()


@pytest.mark.slow
@not_on_windows("a terminal in the sense of POSIX")
def test_the_tray_is_no_command_for_a_terminal() -> None:
    import os
    import pty

    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            desktop.own_command("tray"),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2 and "hca-agent run" in done.stderr
    listed = subprocess.run(
        desktop.own_command("--help"), capture_output=True, text=True, timeout=120, check=True
    )
    assert "autostart" in listed.stdout
    assert not [line for line in listed.stdout.splitlines() if line.split()[:1] == ["tray"]]
