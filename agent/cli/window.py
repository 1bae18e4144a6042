"""`window`: one window, as the agent starts it; hidden, because people have no use for it."""

from __future__ import annotations

import click


@click.command(hidden=True)
@click.argument("kind")
@click.pass_context
def window(context: click.Context, kind: str) -> None:
    """一個視窗，由本程式自己啟動 · One window; message on standard input, answer on standard output."""
    from agent.interaction.window_messages import KINDS
    from tray.windows.main import run

    if kind not in KINDS:
        raise click.BadParameter(f"{kind!r}: {', '.join(sorted(KINDS))}", param_hint="KIND")
    context.exit(run(kind))
