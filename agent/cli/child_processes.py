"""`window`, `module`, `preview`, `read-signatures`, `tray`: processes that the agent starts, and hidden."""

from __future__ import annotations

import logging
import os
import sys

import click


def have_standard_error() -> None:
    """Give this process a standard error that nobody reads where it has none, for what must not fail there.

    Windows gives none to a program without a console that is started from one with a console.
    """
    try:
        os.fstat(2)
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        if nothing != 2:
            os.dup2(nothing, 2, inheritable=False)
            os.close(nothing)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")


class Child(click.Command):
    """A command that is run by the agent alone; its standard output belongs to the answers."""

    def invoke(self, ctx: click.Context) -> int:
        """Run it, with a standard error for all else that is printed."""
        have_standard_error()
        return int(super().invoke(ctx))


@click.command(cls=Child, hidden=True)
@click.argument("kind")
def window(kind: str) -> int:
    """一個視窗，由本程式自己啟動 · One window; message on standard input, answer on standard output."""
    from agent.interaction.dialog_messages import KINDS
    from tray.dialogs.main import run

    if kind not in KINDS:
        raise click.BadParameter(f"{kind!r}: {', '.join(sorted(KINDS))}", param_hint="KIND")
    return run(kind)


@click.command(cls=Child, hidden=True)
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
def module(path: str) -> int:
    """一個 PKCS#11 模組，由本程式自己啟動 · One module; requests on standard input, answers on output."""
    from hca_card.pkcs11.child import run

    return run(path)


@click.command(cls=Child, hidden=True)
def preview() -> int:
    """一份文件的預覽，由本程式自己啟動 · One preview; document on standard input, its look on output."""
    from signing.preview.child import run

    return run()


@click.command("read-signatures", cls=Child, hidden=True)
def read_signatures() -> int:
    """一份文件的簽章，由本程式自己啟動 · The signatures of one document, read for the agent."""
    from signing.verification.child import run

    return run()


@click.command(cls=Child, hidden=True)
def tray() -> int:
    """圖示的行程，由 hca-agent run 啟動 · The icon's process; hca-agent run starts it."""
    from tray.daemon_link import DaemonLink
    from tray.program import run_tray

    if sys.stdin.isatty():
        raise click.UsageError("圖示由 hca-agent run 啟動 · the icon is started by hca-agent run")
    log_to_terminal()
    return run_tray(DaemonLink.standard())


def log_to_terminal() -> None:
    """Write the log on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
