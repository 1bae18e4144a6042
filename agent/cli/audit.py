"""`audit`: what was done with cards, for whom, with what result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agent.cli import output
from agent.cli.options import Invocation, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.audit import AuditRow


@click.command()
@click.option(
    "--count",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="最近幾筆 · How many of the newest rows.",
)
@json_option
@click.pass_obj
def audit(call: Invocation, count: int) -> None:
    """稽核紀錄 · What was done with cards, when and for whom."""
    from agent.audit import AuditLog
    from agent.cli.composition import folder

    paths, config = folder()
    rows = AuditLog(paths.audit, config.audit).read(count)
    if call.as_json:
        output.as_json({"rows": rows})
    elif not rows:
        output.say("還沒有紀錄", "nothing has been recorded yet")
    else:
        for row in rows:
            output.say("  ".join(_words(row)), indent=_TIME_COLUMNS)


# What does not fit stands below the verb: times stand alone in their column.
_TIME_COLUMNS: Final = len("2026-01-01 00:00:00  ")


def _words(row: AuditRow) -> Iterator[str]:
    yield f"{row.time.astimezone():%Y-%m-%d %H:%M:%S}"
    yield row.verb.value
    yield row.result
    yield row.origin or "本機 this machine"
    yield row.card or "沒有卡片 no card"
    if row.simulated:
        yield "模擬卡 SIMULATED"
    if row.elsewhere:
        yield "別台電腦的卡片 a card elsewhere"
    if row.unattended:
        yield "無人值守 unattended"
    if row.session:
        yield f"連續簽章 session {row.session}"
    if row.certificate:
        yield f"憑證 certificate {row.certificate}"
