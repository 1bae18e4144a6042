"""This program and the person's desktop: its own words, other programs that show a page or a folder."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from agent.environment import Child, environment_of

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_EARLY_SECONDS: Final = 3.0


def own_command(*words: str) -> tuple[str, ...]:
    """Return the command that starts this very program in the background, frozen or not, with `words`."""
    program = _without_console(sys.executable) if sys.platform == "win32" else sys.executable
    if getattr(sys, "frozen", False):
        return (program, *words)
    # Isolated (-I): never from the current folder, which may be one where others write, nor from where the
    # variables of Python say.
    return (program, "-I", "-m", "agent", *words)


def _without_console(program: str) -> str:
    """Return the twin of a Windows program that opens no black window: pythonw.exe, hca-agentw.exe."""
    file = Path(program)
    twin = file.with_name(f"{file.stem}w{file.suffix}")
    return program if file.stem.endswith("w") or not twin.exists() else str(twin)


def begin_anew() -> NoReturn:
    """Start this very program again with the words it was started with, and end.

    Raises:
        OSError: it cannot be started.
    """
    frozen = getattr(sys, "frozen", False)
    words = (sys.executable, *(sys.argv[1:] if frozen else sys.orig_argv[1:]))
    if sys.platform == "win32":
        # There, a replaced process would look ended to whoever started it.
        subprocess.Popen(words)  # noqa: S603
        sys.exit(0)
    os.execv(words[0], words)  # noqa: S606


def has_screen(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Return whether somebody could see an icon or a window.

    Args:
        environment: `os.environ` when None.
        platform: as `sys.platform`.
    """
    if platform in ("win32", "darwin"):
        return True
    known = os.environ if environment is None else environment
    return bool(known.get("DISPLAY") or known.get("WAYLAND_DISPLAY"))


def start(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program of the person's on its own: it outlives a Ctrl-C here and hears and says nothing.

    Its environment is the person's, as if they had started it.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(  # noqa: S603  (words of ours and paths of ours, never a page's)
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def converse(words: Sequence[str], kind: Child) -> subprocess.Popen[bytes]:
    """Start a process of this program's own that is spoken to over pipes, its standard input and output.

    The pipes have no buffer of Python's own, which could not be wiped.

    Args:
        words: the command.
        kind: what it is, which decides its environment.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(  # noqa: S603  (words of ours, never a page's)
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=environment_of(kind),
        # A Ctrl-C at the agent's terminal is the agent's: it ends its processes by itself.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


async def failed_early(process: subprocess.Popen[bytes], seconds: float = _EARLY_SECONDS) -> bool:
    """Return whether a program ends with an error within its first seconds."""
    for _ in range(int(seconds / _LOOK_SECONDS)):
        if process.poll() is not None:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return process.poll() not in (None, 0)


async def open_folder(folder: Path) -> bool:
    """Show a folder in the desktop's file manager; False when that cannot be done."""
    if sys.platform == "win32":
        os.startfile(folder)  # noqa: S606
        return True
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        return not await failed_early(start((opener, str(folder))))
    except OSError as error:
        log.info("%s cannot be started: %s", opener, error)
        return False


async def open_page(url: str) -> bool:
    """Show a page of ours in the person's browser; False when that cannot be done."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def show() -> None:
        import webbrowser

        shown = webbrowser.open(url)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, shown)

    def settle(shown: bool) -> None:
        if not done.done():
            done.set_result(shown)

    # Some browsers are waited for until they are closed: then the thread stays, and nobody waits for it.
    threading.Thread(target=show, name="browser", daemon=True).start()
    try:
        async with asyncio.timeout(_EARLY_SECONDS):
            return await done
    except TimeoutError:
        return True
