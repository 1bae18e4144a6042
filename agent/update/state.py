"""What the last look at the repository found, for the self-test, `/metrics` and the next start."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from agent.private_files import write_private
from hca_card.decoding import UNREADABLE

NAME: Final = "state.json"
_BYTES_MAX: Final = 4096


class LastCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One look.

    Attributes:
        checked: when, aware UTC.
        version: what was on offer; empty where that could not be learnt.
        error: the id of what went wrong; empty when nothing did.
        notified: the version that the person was told of; `told` in the file.
        warned: the person was told that a look was refused, and none was good since.
        good: when a look last was good; what had expired by then is never taken, whatever the clock says.
    """

    checked: datetime
    version: str = ""
    error: str = ""
    notified: str = msgspec.field(name="told", default="")
    warned: bool = False
    good: datetime | None = None


def read(folder: Path) -> LastCheck | None:
    """Return the last look, None where there was none."""
    with suppress(OSError, *UNREADABLE):
        state = msgspec.json.decode((folder / NAME).read_bytes()[:_BYTES_MAX], type=LastCheck)
        if state.checked.tzinfo is not None and (state.good is None or state.good.tzinfo is not None):
            return state
    return None


def write(folder: Path, state: LastCheck) -> None:
    """Keep `state`.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / NAME, msgspec.json.encode(state))


def now() -> datetime:
    """Return the time of a look."""
    return datetime.now(UTC)
