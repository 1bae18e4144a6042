"""What people read on the terminal: results on standard output, troubles on standard error.

Text from cards, certificates and pages is hostile here too: a name could hold escape sequences that rewrite
the screen. Everything printed passes `clean`.
"""

from __future__ import annotations

import logging
import traceback
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.native.messages import NativeMessage

log = logging.getLogger(__name__)


def clean(text: str) -> str:
    """`text` without what a terminal would obey: controls, direction marks and other invisible characters."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def say(zh: str, en: str = "") -> None:
    """One line on standard output, Traditional Chinese first."""
    click.echo(clean(f"{zh} · {en}" if en else zh))


def warn(zh: str, en: str) -> None:
    """One line on standard error."""
    click.echo(clean(f"{zh} · {en}"), err=True)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under titles."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        # Folded, never cut: what a person reads here may be what they compare.
        shown.add_column(title, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(clean(cell)) for cell in row))
    Console().print(shown)


def facts(rows: Iterable[tuple[str, str]]) -> None:
    """Name and value on each line; values that are empty are left out."""
    from rich.cells import cell_len

    shown = [(name, clean(value)) for name, value in rows if value]
    width = max((cell_len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{click.style(name, bold=True)}{' ' * (width - cell_len(name))}  {value}")


def as_json(message: NativeMessage | Sequence[NativeMessage] | dict[str, object]) -> None:
    """A message of the native API, as one line of JSON."""
    import msgspec

    click.echo(msgspec.json.encode(message).decode())


def error_members(error: BaseException) -> dict[str, object]:
    """The members of an error in JSON, those of the native API's `ErrorData`."""
    from agent.errors import describe

    text = describe(error)
    members: dict[str, object] = {"id": text.id, "zh": text.zh, "en": text.en}
    members |= {"nextZh": text.next_zh, "nextEn": text.next_en}
    names = {"tries_left": "triesLeft", "retry_after": "retryAfter"}
    return members | {names[name]: value for name, value in text.facts.items()}


def error(error: BaseException, *, subject: str = "") -> None:
    """Two sentences, what to do next, and the stable id, on standard error.

    Args:
        error: what happened.
        subject: what it happened to, a file for example.
    """
    from agent.errors import describe

    text = describe(error)
    lead = f"{subject}: " if subject else ""
    lines = [f"✘ {lead}{text.zh}", f"  {text.en}", f"→ {text.next_zh}", f"  {text.next_en}"]
    known = ", ".join(part for part in (text.id, detail(error)) if part)
    click.echo("\n".join(clean(line) for line in (*lines, f"  ({known})")), err=True)


def file_trouble(error: OSError) -> None:
    """A file that cannot be read or written, in two sentences."""
    where = f"{error.filename}: " if error.filename else ""
    lines = [
        f"✘ {where}檔案無法讀取或寫入。",
        f"  The file cannot be read or written: {error.strerror or type(error).__name__}.",
        "→ 請確認路徑、權限與磁碟空間後再試一次。",
        "  Check the path, its permissions and the disk space, then try again.",
    ]
    click.echo("\n".join(clean(line) for line in lines), err=True)


def log_unforeseen(error: BaseException) -> None:
    """Log where an unforeseen exception came from, not its words: they could hold what was handled."""
    from agent.errors import ErrorId, error_id

    if error_id(error) != ErrorId.INTERNAL:
        return
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    log.error("%s at %s", type(error).__name__, places)


def detail(error: BaseException) -> str:
    """What only the person at this machine is told: the file at fault, the reader, the card's status word."""
    from agent.errors import AgentError
    from pcsc.errors import PcscError
    from pcsc.status import StatusError

    if isinstance(error, AgentError):
        return str(error.facts.get("detail", ""))
    return str(error) if isinstance(error, PcscError | StatusError) else ""
