"""`module`: one PKCS#11 module, as the agent starts it; hidden, because people have no use for it."""

from __future__ import annotations

import click


@click.command(hidden=True)
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
@click.pass_context
def module(context: click.Context, path: str) -> None:
    """一個 PKCS#11 模組，由本程式自己啟動 · One module; requests on standard input, answers on output."""
    from hca_card.pkcs11.child import run

    context.exit(run(path))
