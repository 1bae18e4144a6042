"""What the probes of one self-test work with, and what earlier rows leave for later ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.processes import RunningProgram, find, running

if TYPE_CHECKING:
    from agent.config import Config
    from agent.errors import AgentError
    from agent.operations import Caller, Operations, SignResult
    from agent.operations.transaction_jobs import Examined
    from agent.paths import Paths
    from agent.pins.kept import KeptPin
    from agent.selftest.usb_readers import UsbReader
    from pcsc.service import Service


def _now() -> datetime:
    return datetime.now(UTC)


def _driver_of(reader: str) -> str:
    from agent.selftest.reader_drivers import driver_of

    return driver_of(reader)


def _usb_readers(unnamed: frozenset[str]) -> Sequence[UsbReader]:
    from agent.selftest.usb_readers import usb_readers

    return usb_readers(unnamed)


@dataclass(frozen=True, slots=True)
class Computer:
    """This computer, as far as the host rows look at it; tests put faults in here.

    Attributes:
        service: PC/SC, looked at without a command to any card.
        config: the configuration in force; what holds without any file where the files are wrong.
        paths: the agent's folders.
        environment: environment variables.
        platform: `sys.platform`.
        home: the person's home folder; shown as `~`.
        clock: aware UTC.
        simulated: whether the readers are simulated ones.
        find: the full path of a program, None when it is not installed.
        programs: the programs running now.
        driver: the driver of a reader, empty where it cannot be found out.
        usb: the readers on USB; given the identities of those that do not say what they are.
        config_error: what is wrong with the configuration's files.
    """

    service: Service
    config: Config
    paths: Paths
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    platform: str = sys.platform
    home: Path = field(default_factory=Path.home)
    clock: Callable[[], datetime] = _now
    simulated: bool = False
    find: Callable[[str], str | None] = find
    programs: Callable[[], Sequence[RunningProgram]] = running
    driver: Callable[[str], str] = _driver_of
    usb: Callable[[frozenset[str]], Sequence[UsbReader]] = _usb_readers
    config_error: AgentError | None = None


@dataclass(slots=True)
class ProbeContext:
    """What probes are given. One context is for one run.

    Attributes:
        operations: all card work goes through these.
        caller: who asks; the rows show what this caller may see.
        computer: this computer.
        reader: the reader named; None takes the one card there is, asking where there are several.
        card: the card found.
        kept: the PIN of the session; None also where it is typed on the reader's keypad each time.
        document: what was signed.
        signature: the signature over it.
        plain: what was encrypted.
        cipher: what became of it.
        simulated: the card is a simulated one.
        with_pin: whether the rows that need a PIN are wanted.
    """

    operations: Operations
    caller: Caller
    computer: Computer
    reader: str | None = None
    card: Examined[None] | None = None
    kept: KeptPin | None = None
    document: bytes = b""
    signature: SignResult | None = None
    plain: bytes = b""
    cipher: bytes = b""
    simulated: bool = False
    with_pin: bool = True

    def close(self) -> None:
        """Forget the PIN; safe to call twice."""
        if self.kept is not None:
            self.kept.wipe()
