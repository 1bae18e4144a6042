"""The program `hca-agent`: its commands, and what every one of them does with an error.

Exit codes: 0 done; 1 failed or not valid; 2 wrongly called; 130 interrupted.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

import click

from agent import __version__
from agent.cli import (
    audit,
    autostart,
    batch,
    cards,
    child_processes,
    cipher,
    daemon,
    emr,
    open_page,
    origins,
    output,
    pin,
    preserving,
    queue,
    selftest,
    sessions,
    signing,
    simulate,
    trust,
    update,
    verifying,
    worker,
)
from agent.cli.help_pages import HelpPage
from agent.cli.options import SHARED_OPTIONS, Invocation
from agent.cli.windows.commands import windows_setup
from agent.terminal_text import never_fail

NAME: Final = "hca-agent"
click.Context.formatter_class = HelpPage
FAILED: Final = 1
WRONGLY_CALLED: Final = 2
INTERRUPTED: Final = 130


class CommandGroup(click.Group):
    """The top of the command line: the one place where exceptions become sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they were added: what people do most comes first."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with shared options that stand before the command moved to where they belong."""
        return super().parse_args(ctx, _shared_behind_command(self, args))

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run one command and exit."""
        never_fail()
        call = Invocation()
        extra = {**extra, "standalone_mode": False, "obj": call}
        try:
            code = super().main(args, prog_name or NAME, **extra)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(WRONGLY_CALLED)
        except click.UsageError as error:
            _wrongly_called(error)
            sys.exit(WRONGLY_CALLED)
        except BrokenPipeError:
            # Whoever read our output (`head`) has seen enough; Python must not complain when it closes it.
            sys.stdout = None
            sys.exit(FAILED)
        except Exception as error:
            try:
                _failed(error, call)
            except OSError as trouble:  # nowhere to print it: of the two streams the other may still be read
                with suppress(OSError):
                    output.file_trouble(trouble)
            sys.exit(FAILED)
        sys.exit(code if isinstance(code, int) else 0)


def _shared_behind_command(group: click.Group, args: Sequence[str]) -> list[str]:
    """Return the words with shared options moved behind the command's name: people write them before it."""
    words, shared = list(args), list[str]()
    while words and (name := words[0].partition("=")[0]) in SHARED_OPTIONS:
        count = 1 if "=" in words[0] else 1 + SHARED_OPTIONS[name]
        shared += words[:count]
        del words[:count]
    place, command = 0, group.commands.get(words[0]) if words else None
    while command is not None:
        place += 1
        inner = command.commands if isinstance(command, click.Group) else {}
        command = inner.get(words[place]) if place < len(words) else None
    return [*words[:place], *shared, *words[place:]]


def _wrongly_called(error: click.UsageError) -> None:
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
    # Messages of click's own may have several lines.
    output.trouble(f"✘ 用法有誤 · {error.format_message().expandtabs(4)}".split("\n"))
    if error.ctx is not None:
        click.echo(f"→ {error.ctx.command_path} --help", err=True)


def _failed(error: Exception, call: Invocation) -> None:
    if isinstance(error, OSError) and not call.as_json:
        output.file_trouble(error)
        return
    output.log_unforeseen(error)
    if call.as_json:
        detail = output.detail(error)
        output.as_json({"error": output.error_members(error) | ({"detail": detail} if detail else {})})
    else:
        output.error(error)


@click.group(
    cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__)
def program() -> None:
    """健康照護網站與您卡片之間的開放程式 · The open program between Taiwan's health portals and your card.

    沒有卡片也可以試：hca-agent card --simulate hpc（PIN 碼 123456）。 No card at hand? Commands that need one
    take --simulate hpc (PIN 123456); hca-agent simulate --help names the other kinds.
    """


for command in (
    daemon.run,
    daemon.demo,
    cards.readers,
    cards.card,
    cards.certs,
    signing.sign,
    batch.batch,
    worker.submit,
    worker.worker,
    worker.submit,
    worker.worker,
    preserving.preserve,
    queue.queue,
    sessions.sessions,
    verifying.verify,
    emr.emr,
    cipher.encrypt,
    cipher.decrypt,
    pin.pin,
    origins.origins,
    trust.trust,
    open_page.open_,
    selftest.selftest,
    selftest.report,
    audit.audit,
    simulate.simulate,
    autostart.autostart,
    update.update,
    child_processes.tray,
    child_processes.window,
    child_processes.preview,
    child_processes.read_signatures,
    windows_setup,
    child_processes.module,
):
    program.add_command(command)


def _tell_in_full(group: click.Group) -> None:
    """Have lists of commands show the whole first line of each, not as much as click takes for one line."""
    for command in group.commands.values():
        command.short_help = inspect.cleandoc(command.help or "").partition("\n\n")[0]
        if isinstance(command, click.Group):
            _tell_in_full(command)


_tell_in_full(program)


def main() -> None:
    """Run the program with this process's words."""
    program.main()
