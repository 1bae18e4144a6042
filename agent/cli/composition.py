"""Putting the rooms together for one command: service, interaction, configuration, operations."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

import click

from agent.cli import output

if TYPE_CHECKING:
    from agent.cli.options import Invocation
    from agent.config import Config
    from agent.interaction import Interaction
    from agent.interaction.dialogs import Dialogs
    from agent.operations import Caller, Operations
    from agent.paths import Paths
    from pcsc.service import Service
    from pcsc.trace import Observe
    from pcsc.winscard import Winscard

T = TypeVar("T")

SESSION: Final = "command line"


@dataclass(frozen=True, slots=True)
class Work:
    """What a command works with.

    Attributes:
        operations: started.
        caller: this person's own command line.
        reader: the full name of the reader named on the command line, None where none was.
        screen: the person's windows, where there is no terminal to read on.
    """

    operations: Operations
    caller: Caller
    reader: str | None
    screen: Dialogs | None = None

    async def show(self, zh: str, en: str) -> None:
        """Show on the screen what stands on no terminal, until it was read."""
        if self.screen is not None:
            await self.screen.notify(zh, en)
            await self.screen.notices_read()


def folder() -> tuple[Paths, Config]:
    """Return the agent's folder, made if missing, and the configuration.

    Raises:
        AgentError: config.invalid.
        OSError: if the folder cannot be made.
    """
    from agent.config import load
    from agent.paths import Paths

    paths = Paths.of().make()
    return paths, load(paths)


def open_service(
    simulate: tuple[str, ...], paths: Paths, *, only: str | None = None, observe: Observe | None = None
) -> Service:
    """Return the machine's smart card service, or one with a simulated card of each kind in its own reader.

    Args:
        simulate: kinds of simulated cards; none for the machine's service.
        paths: where the simulator keeps its authority.
        only: what a reader's name must hold to be seen at all; None for all readers.
        observe: called with every exchange with a card.
    """
    from pcsc.service import Service

    return Service(_simulated(simulate, paths) if simulate else None, observe, only)


def _simulated(kinds: tuple[str, ...], paths: Paths) -> Winscard:
    from hca_card.simulator import SimulatorCa, create
    from pcsc.virtual import VirtualWinscard

    winscard = VirtualWinscard()
    authority = SimulatorCa(paths.simulator)
    for number, kind in enumerate(kinds):
        winscard.add_reader(f"HCA-AGENT Simulator {kind} {number:02}").insert(create(kind, ca=authority))
    return winscard


def nobody() -> AbstractContextManager[Interaction]:
    """Return an interaction that asks nobody."""
    from agent.interaction.scripted import Headless

    return nullcontext(Headless())


def open_person(config: Config, simulated: bool = False) -> AbstractContextManager[Interaction]:
    """Return the person at the terminal; else the one at the screen; else nobody."""
    from agent.interaction.dialogs import Dialogs, can_open
    from agent.interaction.terminal import TerminalInteraction

    person = TerminalInteraction.open()
    if person is not None:
        return closing(person)
    return nullcontext(Dialogs(config.consent, simulated=simulated)) if can_open() else nobody()


def at_screen(config: Config, simulated: bool) -> AbstractContextManager[Interaction]:
    """Return the person at the screen, asked in windows; where there is no screen, as `open_person`."""
    from agent.interaction.dialogs import Dialogs, can_open

    if can_open():
        return nullcontext(Dialogs(config.consent, simulated=simulated))
    return open_person(config)


def given_pin(count: int = 1) -> AbstractContextManager[Interaction]:
    """Return the PINs, one a line, that another program writes to standard input, and nobody to ask more.

    Raises:
        click.UsageError: if standard input holds none.
    """
    from agent.interaction.scripted import GivenPin

    try:
        with pin_input() as stream:
            return closing(GivenPin.read(stream, count))
    except ValueError:
        raise click.UsageError("標準輸入沒有 PIN 碼 · standard input holds no PIN") from None


def pin_of_simulated_cards() -> AbstractContextManager[Interaction]:
    """Return the PIN on standard input, for simulated cards alone, and nobody to ask more.

    Raises:
        click.UsageError: if standard input holds none.
    """
    from agent.interaction.scripted import SimulatedCardsPin, read_pin

    try:
        with pin_input() as stream:
            return closing(SimulatedCardsPin(read_pin(stream)))
    except ValueError:
        raise click.UsageError("標準輸入沒有 PIN 碼 · standard input holds no PIN") from None


@contextmanager
def pin_input() -> Iterator[BinaryIO]:
    """Run the body with standard input, which shows nothing of what is typed where a person sits there."""
    from agent.interaction.console import unseen

    if sys.stdin is None or not sys.stdin.isatty():
        yield (io.BytesIO() if sys.stdin is None else sys.stdin.buffer)
        return
    with unseen(sys.stdin.fileno()):
        output.warn("請輸入 PIN 碼，一行一個；不會顯示出來", "type the PIN, one a line; it is not shown")
        yield sys.stdin.buffer


def without_keypad(config: Config) -> Config:
    """Return the configuration for a PIN that was given: nobody is to be called to the reader's keypad."""
    return replace(config, card=replace(config.card, keypad=False))


@asynccontextmanager
async def work(call: Invocation, observe: Observe | None = None) -> AsyncIterator[Work]:
    """Run the body with operations for one command, closed and forgotten when it ends."""
    from agent.cli.pin_for_many_files import AskedOnce
    from agent.evidence import evidence_of
    from agent.interaction.dialogs import Dialogs
    from agent.operations import Caller, open_operations

    paths, config = folder()
    if call.pin_stdin:
        config = without_keypad(config)
    caller = Caller(None, SESSION)
    with (
        given_pin(max(1, len(call.readers)))
        if call.pin_stdin
        else open_person(config, bool(call.simulate)) as person,
        AskedOnce(person) as interaction,
    ):
        service = open_service(call.simulate, paths, observe=observe)
        evidence = evidence_of(config, paths)
        async with open_operations(service, interaction, config, paths, evidence=evidence) as operations:
            screen = person if isinstance(person, Dialogs) else None
            yield Work(operations, caller, await full_name(operations, caller, call.reader), screen)


def run(
    call: Invocation,
    task: Callable[[Work], Awaitable[T]],
    observe: Observe | None = None,
    *,
    done: tuple[str, str] | None = None,
) -> T:
    """Return what `task` does, run on an event loop of its own.

    Args:
        call: the command.
        task: its work.
        observe: called with every exchange.
        done: what to say when it is done.
    """
    from agent.errors import describe

    async def inside() -> T:
        async with work(call, observe) as ready:
            try:
                result = await task(ready)
            except Exception as error:
                text = describe(error)
                await ready.show(f"✘ {text.zh}{text.next_zh}", f"{text.en} {text.next_en}")
                raise
            if done is not None:
                output.say(*done)
                await ready.show(*done)
            return result

    return asyncio.run(inside())


async def full_name(operations: Operations, caller: Caller, wanted: str | None) -> str | None:
    """Return the name of the reader wanted, as `reader_named` does; None where none is.

    Raises:
        AgentError: reader.unavailable, if there is none of that name, or several.
        PcscError: if the readers cannot be listed.
    """
    if wanted is None:
        return None
    return reader_named(wanted, [view.name for view in await operations.readers(caller)])


def reader_named(wanted: str, names: Sequence[str]) -> str:
    """Return the reader of that name, or the only one whose name holds it, in whichever case.

    Raises:
        AgentError: reader.unavailable, if there is none, or several.
    """
    from agent.errors import AgentError, ErrorId
    from pcsc.context import holds

    fit = [name for name in names if name == wanted] or [name for name in names if holds(name, wanted)]
    if len(fit) != 1:
        raise AgentError(ErrorId.READER_UNAVAILABLE, detail=f"{wanted}: {', '.join(fit or names) or '-'}")
    return fit[0]
