"""`run` and `demo`: the daemon in the foreground, and the main job on simulated cards."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from agent.cli import output
from agent.cli.child_processes import log_to_terminal
from agent.cli.options import Invocation, card_options
from agent.lazy_packages import SERVER_ONLY, load_parts_alone

if TYPE_CHECKING:
    from agent.cli.tray import Tray
    from agent.daemon import Daemon
    from agent.errors import AgentError
    from agent.interaction import Interaction


def _origins(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    from agent.origins.spelling import is_origin

    for value in values:
        if not is_origin(value):
            raise click.BadParameter(
                f"{value!r} 不是網站的來源，例如 https://portal.example.tw · is no origin"
            )
    return frozenset(values)


@click.command()
@click.option(
    "--headless",
    is_flag=True,
    help="沒有人可以詢問：沒允許過的網站一律拒絕 · Nobody to ask: what was not allowed before is refused.",
)
@click.option(
    "--pin-stdin",
    "for_tests",
    is_flag=True,
    help="自動測試用：從標準輸入讀模擬卡的 PIN 碼，不問任何人；只能和 --simulate 一起用"
    " · For automated tests, with --simulate only: the simulated cards' PIN, one line on standard input.",
)
@click.option(
    "--allow",
    metavar="ORIGIN",
    multiple=True,
    callback=_origins,
    help="自動測試用：這次執行允許的網站；只能和 --pin-stdin 一起用"
    " · For automated tests, with --pin-stdin only: a site that this run allows.",
)
@card_options
@click.pass_obj
def run(call: Invocation, headless: bool, for_tests: bool, allow: frozenset[str]) -> None:
    """在前景執行，直到 Ctrl-C · The daemon in the foreground, until Ctrl-C."""
    load_parts_alone(*SERVER_ONLY)
    from agent.cli.composition import at_screen, folder, nobody, open_service, pin_of_simulated_cards
    from agent.cli.replaced_program import ReplacedProgram, own_file
    from agent.daemon import serve
    from agent.desktop import begin_anew, has_screen
    from agent.errors import AgentError
    from agent.logs import logged, write_seldom

    if for_tests and not call.simulate:
        raise click.UsageError("--pin-stdin 只能和 --simulate 一起用 · --pin-stdin goes with --simulate only")
    if allow and not for_tests:
        raise click.UsageError("--allow 只能和 --pin-stdin 一起用 · --allow goes with --pin-stdin only")
    headless = headless or for_tests
    try:
        paths, config = folder()
    except AgentError as error:
        _show_without_configuration(error, headless=headless)
        raise
    # Nothing of it is kept: what a test allows is not allowed to the person's real cards afterwards.
    config = replace(config, origins=replace(config.origins, allow=config.origins.allow | allow))
    log_to_terminal()
    write_seldom(logging.getLogger().handlers)
    tray: Tray | None = None
    simulated = bool(call.simulate)
    with (
        logged(config.log, paths),
        pin_of_simulated_cards()
        if for_tests
        else nobody()
        if headless
        else at_screen(config, simulated) as interaction,
    ):
        service = open_service(call.simulate, paths, only=call.reader)
        if has_screen() and not headless:
            from agent.cli.tray import Tray

            tray = Tray(paths, config, interaction, simulated)
        replaced = ReplacedProgram(own_file())
        beside = replaced.beside(tray.beside if tray is not None else None)
        try:
            asyncio.run(
                serve(
                    config, service, interaction, paths, simulated=simulated, ready=_announce, beside=beside
                )
            )
        except AgentError as error:
            if tray is not None:
                asyncio.run(_notify(interaction, error))
            raise
    output.say("已停止", "stopped")
    if replaced.again or (tray is not None and tray.again):
        begin_anew()


@click.command()
@click.option(
    "--serve",
    is_flag=True,
    help="保持示範網站並開啟瀏覽器 · Keep portal and agent up, and open the browser.",
)
def demo(serve: bool) -> int:
    """用模擬卡示範 · Log in, sign and verify on simulated cards."""
    from rich.console import Console

    from agent import tls
    from agent.cli.composition import at_screen, folder
    from agent.demo.runner import SERVE_PORT, run_demo, serve_demo
    from agent.errors import AgentError, ErrorId

    if not serve:
        return 0 if asyncio.run(run_demo(Console())) else 1
    paths, config = folder()
    identity = tls.in_use(paths.tls, paths.machine_tls)
    try:
        with at_screen(config, simulated=True) as person:
            asyncio.run(serve_demo(Console(), config=config, interaction=person, identity=identity))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise AgentError(ErrorId.PORT_TAKEN, detail=str(SERVE_PORT)) from error
    return 0


def _show_without_configuration(error: AgentError, *, headless: bool) -> None:
    """Show on the screen why the daemon does not even begin, unless somebody sits at its terminal."""
    from agent.cli.composition import at_screen
    from agent.config import Config
    from agent.desktop import has_screen

    if headless or not has_screen() or (sys.stderr is not None and sys.stderr.isatty()):
        return
    with at_screen(Config(), simulated=False) as interaction:
        asyncio.run(_notify(interaction, error))


async def _notify(interaction: Interaction, error: AgentError) -> None:
    """Show the error on the screen too: what starts with the login has no terminal that anybody sees."""
    from agent.errors import describe

    text, known = describe(error), output.detail(error)
    where = f"（{known}）" if known else ""
    await interaction.notify(f"{text.zh}{where}{text.next_zh}", f"{text.en} {text.next_en}")


def _announce(daemon: Daemon) -> None:
    more = [] if daemon.hipki_port is None else [f"HiPKI {daemon.hipki_port}"]
    more += [f"健保元件 NHI {port}" for port in daemon.nhi_ports]
    listeners = (f"http://127.0.0.1:{daemon.native_port}", f"https://localhost:{daemon.tls_port}", *more)
    output.say(f"✔ {'  '.join(listeners)}", "Ctrl-C 結束 ends it")
