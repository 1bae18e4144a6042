"""`open`: the self-test page in the browser, and the agent behind it; what menu entries start."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import click

from agent.cli import output

if TYPE_CHECKING:
    from subprocess import Popen

    from agent.selftest.listeners import FoundListener

_START_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.2


def _await(agent: Popen[bytes], port: int) -> FoundListener:
    """Return who answers at `port` once the agent does, has ended, or took too long."""
    from agent.selftest.listeners import ListenerKind, look

    deadline = time.monotonic() + _START_SECONDS
    while True:
        found = look(port, tls=False)
        if found.answer is ListenerKind.OURS or agent.poll() is not None or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_SECONDS)


@click.command("open")
def open_() -> int:
    """在瀏覽器開啟自我檢測，沒有執行就先啟動 · The self-test page; starts the agent where it does not run."""
    from agent import desktop
    from agent.cli.composition import folder
    from agent.errors import AgentError, ErrorId
    from agent.selftest.listeners import ListenerKind, look

    port = folder()[1].ports.native
    found = look(port, tls=False)
    if found.answer is ListenerKind.CLOSED:
        agent = desktop.start(desktop.own_command("run"))
        found = _await(agent, port)
    if found.answer is not ListenerKind.OURS:
        trouble = ErrorId.PORT_OTHER_AGENT if found.answer is ListenerKind.ANOTHER else ErrorId.PORT_TAKEN
        raise AgentError(trouble, detail=f"{port} {found.holder}".strip())
    url = f"http://localhost:{port}/"
    if not asyncio.run(desktop.open_page(url)):
        output.warn(f"瀏覽器無法開啟。請自行開啟 {url}", f"no browser could be opened; open {url} yourself")
        return 1
    return 0
