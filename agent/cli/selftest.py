"""`selftest` and `report`: is everything ready, and if not, what to do; and the same for the help desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli import output
from agent.cli.files import OUTPUT, check_free, write
from agent.cli.options import Preferences, card_options, force_option, json_option, pin_option

if TYPE_CHECKING:
    from agent.interaction import Interaction
    from agent.selftest.context import Computer, ProbeContext
    from agent.selftest.model import Probe, ResultRow
    from agent.selftest.terminal_report import TerminalReport

_FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the words on the command line ask for."""

    simulate: tuple[str, ...]
    reader: str | None
    variant: str = "ordinary"
    pin_stdin: bool = False
    no_pin: bool = False


@dataclass(slots=True)
class _Done:
    """A self-test that has been run."""

    computer: Computer
    time: datetime
    simulated: bool
    rows: list[ResultRow] = field(default_factory=list)


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
@click.pass_context
def selftest(
    context: click.Context,
    *,
    simulate: tuple[str, ...],
    reader: str | None,
    variant: str,
    pin_stdin: bool,
    no_pin: bool,
    page: Path | None,
    unmasked: bool,
    force: bool,
) -> None:
    """環境檢測 · Is everything ready, and if not, what to do.

    檢測結果全部通過時結束代碼是 0。 Exit code 0 only if every row of the results passed.
    """
    import msgspec

    from agent.selftest import html_report, schema

    if no_pin and pin_stdin:
        raise click.UsageError("--no-pin 與 --pin-stdin 不能同時使用 · not both --no-pin and --pin-stdin")
    if page is not None:
        check_free([page], force=force)
    wanted = _Wanted(simulate, reader, variant, pin_stdin, no_pin)
    as_json = context.ensure_object(Preferences).as_json
    done = asyncio.run(_run(wanted, shown=not as_json, unmasked=unmasked))
    if as_json:
        told = schema.report(done.rows, simulated=done.simulated, time=done.time, unmasked=unmasked)
        click.echo(msgspec.json.encode(told).decode())
    if page is not None:
        text = html_report.page(done.rows, simulated=done.simulated, time=done.time, unmasked=unmasked)
        write(page, text.encode(), force=force, private=True)
        if not as_json:
            _hand_over(page)
    context.exit(0 if schema.ok(done.rows) else _FAILED)


@click.command()
@click.option(
    "--output",
    "-o",
    "file",
    metavar="FILE",
    type=OUTPUT,
    help="存到哪裡 · Where to write it; hca-agent-report-DATE.zip here when left out.",
)
@pin_option
@card_options
@force_option
def report(
    *, file: Path | None, simulate: tuple[str, ...], reader: str | None, pin_stdin: bool, force: bool
) -> None:
    """給服務人員的一個檔案 · One file for the help desk.

    內含環境檢測、版本、設定與最近的紀錄；個人資料已遮蔽，沒有 PIN 碼。 The self-test, versions, configuration
    and recent log; personal data is masked and there is no PIN.
    """
    from agent.selftest import support_bundle

    target = file or Path(f"hca-agent-report-{datetime.now().astimezone():%Y%m%d-%H%M%S}.zip")
    check_free([target], force=force)
    # Nobody writes to a help desk in order to type a PIN: it is used only where it was given.
    wanted = _Wanted(simulate, reader, pin_stdin=pin_stdin, no_pin=not pin_stdin)
    done = asyncio.run(_run(wanted, shown=True, unmasked=False))
    packed = support_bundle.pack(done.rows, done.computer, simulated=done.simulated, time=done.time)
    write(target, packed, force=force, private=True)
    _hand_over(target)


def _hand_over(file: Path) -> None:
    output.say(f"✔ {file}：請把這個檔案交給服務人員", "give this file to your help desk")


async def _run(wanted: _Wanted, *, shown: bool, unmasked: bool) -> _Done:
    from agent.selftest.probe_list import Variant, plan
    from agent.selftest.runner import run

    rows: list[ResultRow] = []
    async with _probe_context(wanted) as probe_context:
        probes = plan(Variant(wanted.variant), probe_context.computer.config)
        with ExitStack() as stack:
            screen = stack.enter_context(_screen(probes, unmasked=unmasked)) if shown else None
            async with aclosing(run(probes, probe_context)) as finished:
                async for row in finished:
                    rows.append(row)
                    if screen is not None:
                        screen.show(row)
            if screen is not None:
                screen.end(rows, simulated=probe_context.simulated)
        return _Done(probe_context.computer, probe_context.computer.clock(), probe_context.simulated, rows)


def _screen(probes: Sequence[Probe], *, unmasked: bool) -> TerminalReport:
    from rich.console import Console

    from agent.selftest.terminal_report import TerminalReport

    console = Console(highlight=False)
    # What is no terminal is a file or another program: there it leaves this person's screen.
    return TerminalReport(console, probes, masked=not (unmasked or console.is_terminal))


@asynccontextmanager
async def _probe_context(wanted: _Wanted) -> AsyncIterator[ProbeContext]:
    """What the probes work with; whatever is wrong with readers is for their rows to say."""
    from agent.cli.setup import SESSION, full_name, given_pin, nobody, open_person, open_service
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
        # The very thing that a help desk is to be told.
        config, fault = Config(), error
    if wanted.pin_stdin:
        # The PIN is there already: nobody is to be called to the reader's keypad.
        config = replace(config, card=replace(config.card, keypad=False))
    person: Callable[[], AbstractContextManager[Interaction]] = open_person
    if wanted.pin_stdin or wanted.no_pin:
        person = given_pin if wanted.pin_stdin else nobody
    caller, reader = Caller(None, SESSION), wanted.reader
    with person() as interaction:
        service = open_service(wanted.simulate, paths)
        computer = Computer(service, config, paths, simulated=bool(wanted.simulate), config_error=fault)
        async with open_operations(service, interaction, config, paths) as operations:
            with suppress(AgentError, PcscError):
                reader = await full_name(operations, caller, reader)
            yield ProbeContext(operations, caller, computer, reader=reader, with_pin=not wanted.no_pin)
