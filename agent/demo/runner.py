"""`hca-agent demo`: the main job on simulated cards, step by step, or with `--serve` for people to click."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config import Config
from agent.demo.environment import PortalAddress, demo_environment
from agent.demo.scripted_person import PIN
from agent.errors import AgentError, ErrorId
from agent.interaction import Interaction
from agent.interaction.terminal import TerminalInteraction

if TYPE_CHECKING:
    from rich.console import Console

SERVE_PORT: Final = 8480
_PREFIX: Final = "hca-agent-demo-"


async def run_demo(console: Console) -> bool:
    """Take all steps, printing each; return whether every one passed.

    Nothing of this user's agent is touched: folder, ports and cards are the demo's own.
    """
    from agent.demo.step_report import StepReport
    from agent.demo.steps import run_steps

    report = StepReport(console)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        try:
            await run_steps(Path(folder), report)
        except Exception as error:
            if report.printed is not error:
                console.print_exception()
            console.print(f"\n[bold red]示範失敗。[/bold red] The demo failed after {report.passed} steps.")
            return False
    console.print(f"\n[bold green]全部通過。[/bold green] All {report.passed} steps passed.")
    return True


async def serve_demo(
    console: Console,
    *,
    port: int = SERVE_PORT,
    config: Config | None = None,
    interaction: Interaction | None = None,
    open_browser: Callable[[str], object] | None = None,
    identity: Path | None = None,
) -> None:
    """Keep portal and agent running for a browser until cancelled; folder and cards are the demo's own.

    Args:
        console: where the portal's address is printed.
        port: the portal's port.
        config: whose ports the agent takes; the usual ones when left out.
        interaction: how the person is asked; the terminal when left out.
        open_browser: opens the portal's address; the system's browser when left out.
        identity: folder of this user's TLS identity, which the browser may trust already; a copy of it is
            served, so that the pages of the older components, which use nothing but TLS, reach this agent.

    Raises:
        AgentError: `port.taken` if another program holds one of the agent's ports;
            `interaction.unavailable` if there is neither a screen nor a terminal.
        OSError: if another program holds the portal's port.
    """
    import webbrowser

    asked = interaction or TerminalInteraction.open()
    if asked is None or not asked.available:
        raise AgentError(ErrorId.INTERACTION_UNAVAILABLE)
    where, where_en = ("會有視窗詢問您", "asked in a window of its own")
    if isinstance(asked, TerminalInteraction):
        where, where_en = ("請在這裡輸入", "asked here")
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        home = Path(folder)
        if identity is not None:
            await asyncio.to_thread(_copy, identity, home / "tls")
        settings = _with_portal(config or Config(), f"http://localhost:{port}")
        async with demo_environment(asked, settings, home, PortalAddress(port=port)) as environment:
            origin = environment.origin
            console.print(
                f"[bold]示範網站 Demo portal[/bold]  {origin}\n"
                f"模擬卡的 PIN 碼是 [bold]{PIN}[/bold]，{where}；在這裡按 Ctrl+C 結束。\n"
                f"[dim]The PIN of the simulated cards is {PIN}, {where_en}. Ctrl+C here ends it.[/dim]",
                highlight=False,
            )
            await asyncio.to_thread(open_browser or webbrowser.open, origin)
            await asyncio.Event().wait()


def _with_portal(config: Config, origin: str) -> Config:
    """Return this user's configuration with the portal allowed and the component for NHI cards on."""
    # A plain http page is let in only when it is listed; here that saves the person a certificate warning.
    allowed = replace(config.origins, allow=config.origins.allow | {origin})
    return replace(config, origins=allowed, nhi_component=replace(config.nhi_component, enabled=True))


def _copy(identity: Path, folder: Path) -> None:
    """Copy a TLS identity, if there is one."""
    if identity.is_dir():
        shutil.copytree(identity, folder)
