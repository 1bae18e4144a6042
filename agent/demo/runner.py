"""`hca-agent demo`: the main job on simulated cards, step by step; `serve` is for people to click through."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import Config
from agent.demo.person import PIN
from agent.demo.stage import Place, raised
from agent.interaction import Interaction

if TYPE_CHECKING:
    from rich.console import Console

SERVE_PORT = 8480


async def run_demo(
    console: Console,
    *,
    serve: bool = False,
    port: int = SERVE_PORT,
    config: Config | None = None,
    interaction: Interaction | None = None,
    open_browser: Callable[[str], object] | None = None,
    identity: Path | None = None,
) -> bool:
    """Show the main job; True only if every step passed.

    Nothing of this user's agent is touched: folder, ports and cards are the demo's own.

    Args:
        console: where the steps are told.
        serve: keep portal and agent up for a browser until cancelled, in place of the steps.
        port: the portal's port when serving.
        config: whose ports the agent takes when serving; the usual ones when left out.
        interaction: who is asked when serving; the terminal when left out.
        open_browser: opens the portal's address when serving; the system's browser when left out.
        identity: folder of this user's TLS identity, which the browser may trust already; served from a copy,
            so that the pages of the older components, which know nothing but TLS, reach this agent too.

    Raises:
        AgentError: `port.taken`: when serving, another program holds one of the agent's ports;
            `interaction.unavailable`: there is neither a screen nor a terminal.
        OSError: when serving, another program holds the portal's port.
    """
    if not serve:
        return await _play(console)
    from agent.errors import AgentError, ErrorId
    from agent.interaction.terminal import TerminalInteraction

    asked = interaction or TerminalInteraction.open()
    if asked is None or not asked.available:
        raise AgentError(ErrorId.INTERACTION_UNAVAILABLE)
    asks_here = isinstance(asked, TerminalInteraction)
    with tempfile.TemporaryDirectory(prefix="hca-agent-demo-") as folder:
        home, place = Path(folder), Place(port=port)
        if identity is not None:
            await asyncio.to_thread(_borrow, identity, home / "tls")
        settled = _settled(config or Config(), f"http://localhost:{port}")
        async with raised(asked, settled, home, place) as stage:
            await _serve(console, stage.origin, open_browser, asks_here=asks_here)
    return True


async def _play(console: Console) -> bool:
    from agent.demo.report import Report
    from agent.demo.scenes import play
    from agent.demo.theatre import opened

    report = Report(console)
    with tempfile.TemporaryDirectory(prefix="hca-agent-demo-") as folder:
        try:
            async with opened(Path(folder), report) as theatre:
                await play(theatre, report)
        except Exception as error:
            if report.told is not error:
                console.print_exception()
            console.print(f"\n[bold red]示範失敗。[/bold red] The demo failed after {report.passed} steps.")
            return False
    console.print(f"\n[bold green]全部通過。[/bold green] All {report.passed} steps passed.")
    return True


async def _serve(
    console: Console, origin: str, open_browser: Callable[[str], object] | None, *, asks_here: bool
) -> None:
    import webbrowser

    where, where_en = (
        ("請在這裡輸入", "asked here") if asks_here else ("會有視窗詢問您", "asked in a window of its own")
    )
    console.print(
        f"[bold]示範網站 Demo portal[/bold]  {origin}\n"
        f"模擬卡的 PIN 碼是 [bold]{PIN}[/bold]，{where}；在這裡按 Ctrl+C 結束。\n"
        f"[dim]The PIN of the simulated cards is {PIN}, {where_en}. Ctrl+C here ends it.[/dim]",
        highlight=False,
    )
    await asyncio.to_thread(open_browser or webbrowser.open, origin)
    await asyncio.Event().wait()


def _settled(config: Config, origin: str) -> Config:
    """This user's configuration as the demo needs it."""
    # A plain http page is let in only when it is listed; here that saves the person a certificate warning.
    allowed = replace(config.origins, allow=config.origins.allow | {origin})
    return replace(config, origins=allowed, nhi_component=replace(config.nhi_component, enabled=True))


def _borrow(identity: Path, folder: Path) -> None:
    """Copy a TLS identity, if there is one."""
    if identity.is_dir():
        shutil.copytree(identity, folder)
