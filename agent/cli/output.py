"""What people read on the terminal: results on standard output, troubles on standard error.

Text from cards, certificates and pages is hostile here too: a name could hold escape sequences that rewrite
the screen. Everything printed passes `printable`.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

import click

from agent.terminal_text import hanging, width_of
from hca_card.big5 import printable

if TYPE_CHECKING:
    from msgspec import Struct

log = logging.getLogger(__name__)


def say(zh: str, en: str = "", *, indent: int | None = None) -> None:
    """Print one line on standard output, Traditional Chinese first.

    Args:
        zh: the line, or its first half.
        en: the same in English.
        indent: where it goes on on a terminal that is too narrow; below its own words when None.
    """
    click.echo(hanging(printable(f"{zh} · {en}" if en else zh), _width(sys.stdout), indent))


def warn(zh: str, en: str) -> None:
    """Print one line on standard error."""
    click.echo(hanging(printable(f"{zh} · {en}"), _width(sys.stderr)), err=True)


def _width(stream: TextIO | None) -> int:
    """Return the columns of a terminal; 0 for a file or a pipe, whose lines stay whole."""
    return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else 0


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under titles."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        # Folded, never cut: what a person reads here may be what they compare.
        shown.add_column(title, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(shown)


def facts(rows: Iterable[tuple[str, str]]) -> None:
    """Print name and value on each line; values that are empty are left out."""
    shown = [(name, printable(value)) for name, value in rows if value]
    widest = max((width_of(name) for name, _ in shown), default=0)
    for name, value in shown:
        line = f"{name}{' ' * (widest - width_of(name))}  {value}"
        line = hanging(line, _width(sys.stdout), widest + 2)
        click.echo(click.style(name, bold=True) + line.removeprefix(name))


def as_json(message: Struct | Sequence[Struct] | dict[str, object]) -> None:
    """Print a message as one line of JSON, escaping what could steer a terminal."""
    import msgspec

    # Not msgspec's own encoder, which refuses lone surrogates: file names can have them.
    text = json.dumps(msgspec.to_builtins(message), ensure_ascii=False, separators=(",", ":"))
    if not text.isprintable():
        # All of these stand inside strings, where JSON has another spelling for them (RFC 8259 §7).
        text = "".join(each if printable(each) == each else _escaped(each) for each in text)
    click.echo(text)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def error_members(error: BaseException) -> dict[str, object]:
    """Return the members of an error in JSON, those of the native API's `ErrorData`."""
    import msgspec

    from agent.native.jsonrpc import error_data

    members: dict[str, object] = msgspec.to_builtins(error_data(error))
    return members


def error(error: BaseException, *, subject: str = "") -> None:
    """Print two sentences, what to do next, and the stable id, on standard error.

    Args:
        error: what happened.
        subject: what it happened to, a file for example.
    """
    from agent.errors import describe

    text = describe(error)
    lead = f"{subject}: " if subject else ""
    lines = [f"✘ {lead}{text.zh}", f"  {text.en}", f"→ {text.next_zh}", f"  {text.next_en}"]
    known = ", ".join(part for part in (text.id, detail(error)) if part)
    trouble([*lines, f"  ({known})"])


def file_trouble(error: OSError) -> None:
    """Print on standard error that a file cannot be read or written."""
    where = f"{error.filename}: " if error.filename else ""
    lines = [
        f"✘ {where}檔案無法讀取或寫入。",
        f"  The file cannot be read or written: {error.strerror or type(error).__name__}.",
        "→ 請確認路徑、權限與磁碟空間後再試一次。",
        "  Check the path, its permissions and the disk space, then try again.",
    ]
    trouble(lines)


def trouble(lines: Iterable[str]) -> None:
    """Print lines on standard error."""
    click.echo("\n".join(hanging(printable(line), _width(sys.stderr)) for line in lines), err=True)


def log_unforeseen(error: BaseException) -> None:
    """Log where an unforeseen exception came from."""
    from agent.errors import ErrorId, error_id, where

    if error_id(error) is ErrorId.INTERNAL:
        log.error("%s", where(error))


def detail(error: BaseException) -> str:
    """Return what only the person at this machine may know: the file, the reader, the card's status word."""
    from agent.errors import AgentError
    from pcsc.errors import PcscError
    from pcsc.status import StatusError
    from signing.errors import (
        CertificateError,
        CipherFormatError,
        DocumentUnusableError,
        EvidenceError,
    )

    if isinstance(error, AgentError):
        return str(error.facts.get("detail", ""))
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    tells = (
        PcscError | StatusError | CertificateError | CipherFormatError | DocumentUnusableError | EvidenceError
    )
    return str(error) if isinstance(error, tells) else ""
