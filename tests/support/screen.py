"""A screen of one's own: a private X server, somebody who types there, and pictures of it."""

from __future__ import annotations

import os
import subprocess
import time
from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.waiting import until
from tray.dialogs import frame

_SECONDS = 30.0
_LOOK = 0.1
"""Between two looks at the screen: each is a program or two that must be started."""
_GUARDED = (frame._QUIET_TICKS - 1) * frame._TICK_MS / 1000
"""So long after something began its moment a window takes no answer for certain."""


class Hurry:
    """Tells whether what was done came so closely one after the other that no guarded moment passed between.

    On a machine on which it did not, an answer is one, and what these tests ask cannot be asked.
    """

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.kept = True

    async def __call__(self, act: Callable[..., object], *arguments: Any) -> None:
        began = time.monotonic()
        await to_thread(act, *arguments)
        self.kept = self.kept and time.monotonic() - self._last < _GUARDED
        self._last = began


@dataclass(frozen=True)
class Screen:
    """A running X server.

    Attributes:
        display: what DISPLAY must be, ":7".
    """

    display: str

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with this screen."""
        return {
            **{name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"},
            "DISPLAY": self.display,
        }

    def xdotool(self, *words: str) -> str:
        """What xdotool prints."""
        done = subprocess.run(
            ["xdotool", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return done.stdout.strip()

    def key(self, *keys: str) -> None:
        """Press keys one after the other, wherever the keyboard is."""
        self.xdotool("key", "--delay", "40", *keys)

    def type(self, text: str) -> None:
        """Type text, wherever the keyboard is."""
        self.xdotool("type", "--delay", "30", text)

    def titles(self) -> list[str]:
        """Titles of the windows that can be seen."""
        return [self.xdotool("getwindowname", number) for number in self._windows()]

    def await_window(self, part: str) -> str:
        """The title that holds `part`, once its window is seen and past its guarded moment."""
        complaint = f"no window with {part!r} in its title that takes answers"
        return until(lambda: self.taking_answers(part), lambda: f"{complaint}: {self.titles()}", pause=_LOOK)[
            0
        ]

    def taking_answers(self, part: str = "") -> list[str]:
        """The titles that hold `part`, of windows past their guarded moment."""
        found = {number: self.xdotool("getwindowname", number) for number in self._windows()}
        return [title for number, title in found.items() if part in title and self._takes_answers(number)]

    def _windows(self) -> list[str]:
        return self.xdotool("search", "--onlyvisible", "--name", "HCA Card Agent").split()

    def _takes_answers(self, number: str) -> bool:
        """Whether a window's guarded moment is over: then its icon has a name."""
        words = ["xprop", "-id", number, "WM_ICON_NAME"]
        told = subprocess.run(words, env=self.environment, capture_output=True, timeout=_SECONDS, check=False)
        return b"HCA Card Agent" in told.stdout

    def await_none(self) -> None:
        """Return when no window is seen any more."""
        until(lambda: not self.titles(), lambda: str(self.titles()), pause=_LOOK)

    def shoot(self, part: str, target: Path) -> None:
        """A picture of the window whose title holds `part`."""
        for number in self._windows():
            if part in self.xdotool("getwindowname", number):
                subprocess.run(
                    ["import", "-window", number, "-strip", str(target)],
                    env=self.environment,
                    check=True,
                    timeout=_SECONDS,
                )
                return
        raise AssertionError(f"no window with {part!r} in its title")


def window_processes() -> list[int]:
    """The window processes that this process has started and that are not gone."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and b"window" in words:
            found.append(int(folder.name))
    return found


@contextmanager
def private_screen(dpi: int = 96, size: str = "1600x1400", *options: str) -> Iterator[Screen]:
    """An X server that nobody else uses, with further options; it picks a free number by itself."""
    source, target = os.pipe()
    server = subprocess.Popen(
        [
            "Xvfb",
            "-displayfd",
            str(target),
            "-screen",
            "0",
            f"{size}x24",
            "-dpi",
            str(dpi),
            "-nolisten",
            "tcp",
            *options,
        ],
        pass_fds=(target,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(target)
    try:
        with os.fdopen(source) as told:
            number = told.readline().strip()
        assert number, "the X server did not start"
        yield Screen(f":{number}")
    finally:
        server.terminate()
        server.wait(_SECONDS)
