"""Putting the rooms together for one command: service, interaction, configuration, operations."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

import click

if TYPE_CHECKING:
    from agent.config import Config
    from agent.interaction import Interaction
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
    """

    operations: Operations
    caller: Caller
    reader: str | None


def folder() -> tuple[Paths, Config]:
    """The agent's folder, made if missing, and the configuration.

    Raises:
        AgentError: config.invalid.
        OSError: the folder cannot be made.
    """
    from agent.config import load
    from agent.paths import Paths

    paths = Paths.of().make()
    return paths, load(paths)


def open_service(
    simulate: tuple[str, ...], paths: Paths, *, only: str | None = None, observe: Observe | None = None
) -> Service:
    """The machine's smart card service, or one with a simulated card of each kind in a reader of its own.

    Args:
        simulate: kinds of simulated cards; none for the machine's service.
        paths: where the simulator keeps its authority.
        only: what a reader's name must hold to be seen at all; None for all readers.
        observe: told of every exchange with a card.

    Raises:
        ServiceUnavailableError: `only` is given and this system has no PC/SC.
    """
    from pcsc.errors import ServiceUnavailableError
    from pcsc.service import Service
    from pcsc.winscard import system

    winscard: Winscard
    if simulate:
        winscard = _simulated(simulate, paths)
    elif only is None:
        return Service(None, observe)
    else:
        try:
            winscard = system()
        except (ImportError, OSError) as error:
            raise ServiceUnavailableError(detail=f"PC/SC cannot be loaded: {error}") from error
    return Service(winscard if only is None else cast("Winscard", _Narrowed(winscard, only)), observe)


def _simulated(kinds: tuple[str, ...], paths: Paths) -> Winscard:
    from hca_card.simulator import SimulatorCa, create
    from pcsc.virtual import VirtualWinscard

    winscard = VirtualWinscard()
    authority = SimulatorCa(paths.simulator)
    for number, kind in enumerate(kinds):
        winscard.add_reader(f"HCA-AGENT Simulator {kind} {number:02}").insert(create(kind, ca=authority))
    return winscard


class _Narrowed:
    """A smart card service in which only some readers can be seen; all else is the inner service's."""

    def __init__(self, inner: Winscard, wanted: str) -> None:
        self._inner = inner
        self._wanted = wanted

    def SCardListReaders(self, context: object, groups: list[str]) -> tuple[int, list[str]]:  # noqa: N802
        code, names = self._inner.SCardListReaders(context, groups)
        return code, [name for name in names if holds(name, self._wanted)]

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def holds(name: str, wanted: str) -> bool:
    """Whether a reader's name is the one wanted, or holds it, in whichever case."""
    return wanted.casefold() in name.casefold()


@contextmanager
def nobody() -> Iterator[Interaction]:
    """Nobody is asked."""
    from agent.interaction.scripted import Headless

    yield Headless()


@contextmanager
def open_person() -> Iterator[Interaction]:
    """The person at the terminal, or nobody where there is none."""
    from agent.interaction.terminal import TerminalInteraction

    person = TerminalInteraction.open()
    if person is None:
        with nobody() as absent:
            yield absent
        return
    try:
        yield person
    finally:
        person.close()


@contextmanager
def at_screen(config: Config, simulated: bool) -> Iterator[Interaction]:
    """The person at the screen, by windows; where there is none, as `open_person`."""
    from agent.interaction.windows import Windows, can_open

    if can_open():
        yield Windows(config.consent, simulated=simulated)
        return
    with open_person() as person:
        yield person


@contextmanager
def given_pin() -> Iterator[Interaction]:
    """The PIN that another program writes to standard input, and nobody to ask more.

    Raises:
        click.UsageError: standard input holds none.
    """
    from agent.interaction.scripted import GivenPin

    try:
        given = GivenPin.read(sys.stdin.buffer)
    except ValueError:
        raise click.UsageError("標準輸入沒有 PIN 碼 · standard input holds no PIN") from None
    try:
        yield given
    finally:
        given.close()


@asynccontextmanager
async def work(
    simulate: tuple[str, ...],
    reader: str | None,
    *,
    pin_stdin: bool = False,
    observe: Observe | None = None,
) -> AsyncIterator[Work]:
    """Operations for one command, closed and forgotten when it ends."""
    from agent.cli.pins import AskedOnce
    from agent.operations import Caller, open_operations

    paths, config = folder()
    if pin_stdin:
        # The PIN is there already: nobody is to be called to the reader's keypad.
        config = replace(config, card=replace(config.card, keypad=False))
    caller = Caller(None, SESSION)
    with given_pin() if pin_stdin else open_person() as person, AskedOnce(person) as interaction:
        service = open_service(simulate, paths, observe=observe)
        async with open_operations(service, interaction, config, paths) as operations:
            yield Work(operations, caller, await full_name(operations, caller, reader))


def run(
    task: Callable[[Work], Awaitable[T]],
    simulate: tuple[str, ...],
    reader: str | None,
    *,
    pin_stdin: bool = False,
    observe: Observe | None = None,
) -> T:
    """What `task` gives, run on an event loop of its own; `observe` is told of every exchange with a card."""

    async def inside() -> T:
        async with work(simulate, reader, pin_stdin=pin_stdin, observe=observe) as ready:
            return await task(ready)

    return asyncio.run(inside())


async def full_name(operations: Operations, caller: Caller, wanted: str | None) -> str | None:
    """The one reader of that name, or the only one whose name holds it.

    Raises:
        AgentError: reader.unavailable: there is none, or several.
        PcscError: the readers cannot be listed.
    """
    from agent.errors import AgentError, ErrorId

    if wanted is None:
        return None
    names = [view.name for view in await operations.readers(caller)]
    if wanted in names:
        return wanted
    holding = [name for name in names if holds(name, wanted)]
    if len(holding) != 1:
        raise AgentError(ErrorId.READER_UNAVAILABLE, detail=f"{wanted}: {', '.join(holding or names) or '-'}")
    return holding[0]
