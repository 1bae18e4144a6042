"""What a running agent says of itself in a file, for inventories and for the next self-test.

It has nothing about a person, a card or a site (docs/it-guide.md, "Inventory").
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from agent.private_files import write_private
from hca_card.decoding import UNREADABLE

NAME: Final = "inventory.json"
FORMAT: Final = 1
_BYTES_MAX: Final = 64 * 1024


def _now() -> datetime:
    return datetime.now(UTC)


class Inventory(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One agent.

    Attributes:
        version: of the program.
        ports: what it listens on, by what is served there.
        conflicts: ports it wanted and another program holds.
        certificate_ends: when the certificate that it shows ends.
        certificate_of_machine: whether that is the machine's.
        simulated: whether its readers are simulated ones.
        pid: its process.
        started: when it began.
        ended: when it ended in order; None while it runs, and after a crash.
        executable: what runs.
        format: of this file; grows when a member changes its meaning.
    """

    version: str
    ports: dict[str, tuple[int, ...]]
    conflicts: tuple[int, ...]
    certificate_ends: datetime
    certificate_of_machine: bool
    simulated: bool
    pid: int = msgspec.field(default_factory=os.getpid)
    started: datetime = msgspec.field(default_factory=_now)
    ended: datetime | None = None
    executable: str = sys.executable
    format: int = FORMAT


def write(folder: Path, inventory: Inventory) -> None:
    """Keep it in the agent's folder.

    Raises:
        OSError: it cannot be written.
    """
    content = msgspec.json.format(msgspec.json.encode(inventory), indent=2)
    write_private(folder / NAME, content + b"\n")


def end(folder: Path) -> None:
    """Say that the agent which wrote it ended; another's is left alone.

    Raises:
        OSError: it cannot be written.
    """
    last = read(folder)
    if last is not None and last.pid == os.getpid():
        write(folder, msgspec.structs.replace(last, ended=_now()))


def read(folder: Path) -> Inventory | None:
    """Return what the last agent of this folder wrote; None where there is nothing to be read."""
    with suppress(OSError, *UNREADABLE):
        return msgspec.json.decode((folder / NAME).read_bytes()[:_BYTES_MAX], type=Inventory)
    return None
