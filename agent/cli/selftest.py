"""`selftest` and `report`: is everything ready, and if not, what to do; and the same for the help desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import output
from agent.cli.files import OUTPUT, check_free, write
from agent.cli.options import Invocation, card_options, force_option, json_option, pin_option

if TYPE_CHECKING:
    from agent.selftest.context import ProbeContext
    from agent.selftest.model import Probe, ResultRow
    from agent.selftest.terminal_report import TerminalReport


@click.command()
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=OUTPUT,
    help="另外存成一個 HTML 檔 · Also write one HTML file, for the help desk.",
)
@click.option(
    "--variant",
    type=click.Choice(("ordinary", "nhi-reader")),
    default="ordinary",
    show_default=True,
    help="一般讀卡機 14 列或健保專用讀卡機 13 列 · The rows for an ordinary reader, or for an NHI reader.",
)
@click.option(
    "--no-pin",
    is_flag=True,
    help="不要詢問 PIN 碼，只做不需要它的列 · Ask for no PIN; run only the rows that need none.",
)
@click.option(
    "--unmasked",
    is_flag=True,
    help="JSON 與 HTML 不遮蔽個人資料 · Leave personal data in JSON and HTML.",
)
@pin_option
@card_options
@force_option
@json_option
@click.pass_obj
def selftest(
    call: Invocation, *, variant: str, no_pin: bool, page: Path | None, unmasked: bool, force: bool
) -> int:
    """環境檢測 · Is everything ready, and if not, what to do.

    檢測結果全部通過時結束代碼是 0。 Exit code 0 only if every row of the results passed.
    """
    from agent.selftest import html_report, schema

    if no_pin and call.pin_stdin:
        raise click.UsageError("--no-pin 與 --pin-stdin 不能同時使用 · not both --no-pin and --pin-stdin")
    if page is not None:
        check_free([page], force=force)
    context, rows = asyncio.run(
        _run(call, variant, with_pin=not no_pin, shown=not call.as_json, unmasked=unmasked)
    )
    simulated, time = context.simulated, context.computer.clock()
    if call.as_json:
        output.as_json(schema.report(rows, simulated=simulated, time=time, unmasked=unmasked))
    if page is not None:
        text = html_report.page(rows, simulated=simulated, time=time, unmasked=unmasked)
        write(page, text.encode(), force=force, private=True)
        if not call.as_json:
            _hand_over(page)
    return 0 if schema.ok(rows) else 1


@click.command()
@click.option(
    "--output",
    "-o",
    "target",
    metavar="FILE",
    type=OUTPUT,
    help="存到哪裡 · Where to write it; hca-agent-report-DATE.zip here when left out.",
)
@pin_option
@card_options
@force_option
@click.pass_obj
def report(call: Invocation, *, target: Path | None, force: bool) -> None:
    """給服務人員的一個檔案 · One file for the help desk.

    內含環境檢測、版本、設定與最近的紀錄；個人資料已遮蔽，沒有 PIN 碼。 The self-test, versions, configuration
    and recent log; personal data is masked and there is no PIN.
    """
    from agent.selftest import support_bundle

    target = target or Path(f"hca-agent-report-{datetime.now().astimezone():%Y%m%d-%H%M%S}.zip")
    check_free([target], force=force)
    # Nobody makes a report in order to type a PIN: a PIN is used only where it was given.
    context, rows = asyncio.run(_run(call, "ordinary", with_pin=call.pin_stdin, shown=True, unmasked=False))
    computer = context.computer
    packed = support_bundle.pack(rows, computer, simulated=context.simulated, time=computer.clock())
    write(target, packed, force=force, private=True)
    _hand_over(target)


def _hand_over(file: Path) -> None:
    output.say(f"✔ {file}：請把這個檔案交給服務人員", "give this file to your help desk")


async def _run(
    call: Invocation, variant: str, *, with_pin: bool, shown: bool, unmasked: bool
) -> tuple[ProbeContext, list[ResultRow]]:
    from agent.selftest.model import Variant
    from agent.selftest.probe_list import plan
    from agent.selftest.runner import run

    rows: list[ResultRow] = []
    async with _probe_context(call, with_pin=with_pin) as context:
        probes = plan(Variant(variant), context.computer.config)
        with _screen(probes, unmasked=unmasked) if shown else nullcontext() as screen:
            async with aclosing(run(probes, context)) as finished:
                async for row in finished:
                    rows.append(row)
                    if screen is not None:
                        screen.show(row)
            if screen is not None:
                screen.end(rows, simulated=context.simulated)
        return context, rows


def _screen(probes: Sequence[Probe], *, unmasked: bool) -> TerminalReport:
    from rich.console import Console

    from agent.selftest.terminal_report import TerminalReport

    console = Console(highlight=False)
    # What is no terminal is a file or another program: there it leaves this person's screen.
    return TerminalReport(console, probes, masked=not (unmasked or console.is_terminal))


@asynccontextmanager
async def _probe_context(call: Invocation, *, with_pin: bool) -> AsyncIterator[ProbeContext]:
    """Run the body with what the probes need; whatever is wrong with readers is for their rows to say."""
    from agent.cli.composition import (
        SESSION,
        full_name,
        given_pin,
        nobody,
        open_person,
        open_service,
        without_keypad,
    )
    from agent.config import Config, load
    from agent.errors import AgentError
    from agent.operations import Caller, open_operations
    from agent.paths import Paths
    from agent.selftest.context import Computer, ProbeContext
    from pcsc.errors import PcscError

    paths, fault = Paths.of().make(), None
    try:
        config = load(paths)
    except AgentError as error:
        # This failure is the very thing that the help desk needs to know.
        config, fault = Config(), error
    if call.pin_stdin:
        config = without_keypad(config)
    at_hand = partial(open_person, config, bool(call.simulate)) if with_pin else nobody
    person = given_pin if call.pin_stdin else at_hand
    caller, reader = Caller(None, SESSION), call.reader
    with person() as interaction:
        service = open_service(call.simulate, paths)
        computer = Computer(service, config, paths, simulated=bool(call.simulate), config_error=fault)
        async with open_operations(service, interaction, config, paths) as operations:
            with suppress(AgentError, PcscError):
                reader = await full_name(operations, caller, reader)
            yield ProbeContext(operations, caller, computer, reader=reader, with_pin=with_pin)
