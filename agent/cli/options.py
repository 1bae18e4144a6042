"""Options that several commands share, each worded once; most are kept in the command's `Invocation`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

from agent.cli.files import INPUT, OUTPUT

Command = Callable[..., Any]
Option = Callable[[Command], Command]

HASHES: Final = ("SHA-224", "SHA-256", "SHA-384", "SHA-512")


SHARED_OPTIONS: Final = {"--simulate": 1, "--reader": 1, "--json": 0, "--pin-stdin": 0}
"""Options of many commands, and how many words follow each."""


@dataclass(slots=True)
class Invocation:
    """What the command line says with shared options: the object of every command's context.

    Attributes:
        as_json: results, and errors too, are printed as JSON on standard output.
        simulate: kinds of simulated cards; none for the machine's own readers.
        reader: a reader's name, or a part of it that no other has; None for any.
        readers: the same for a command that uses several cards at once; empty for any.
        pin_stdin: another program writes the PIN to standard input.
    """

    as_json: bool = False
    simulate: tuple[str, ...] = ()
    reader: str | None = None
    readers: tuple[str, ...] = ()
    pin_stdin: bool = False


def _kept(name: str, flag: str, read: Callable[[Any], Any] = lambda value: value, **settings: Any) -> Option:
    """Return an option whose value, as `read` gives it, becomes the member `name` of the `Invocation`."""

    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        setattr(context.ensure_object(Invocation), name, read(value))

    return click.option(flag, name, expose_value=False, callback=keep, **settings)


def _kinds(values: tuple[str, ...]) -> tuple[str, ...]:
    return check_kinds(tuple(kind for value in values if value for kind in value.split(",")))


def check_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds if the simulator knows every one of them.

    Raises:
        click.BadParameter: if it does not.
    """
    if not kinds:
        return ()
    from hca_card.simulator import KINDS

    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"沒有 {kind!r} 這種模擬卡 · no such kind; one of {', '.join(KINDS)}")
    return kinds


json_option: Final = _kept(
    "as_json", "--json", is_flag=True, help="以 JSON 輸出 · As JSON, with the keys of the native API."
)
_simulate_option: Final = _kept(
    "simulate",
    "--simulate",
    _kinds,
    metavar="KIND[,KIND...]",
    multiple=True,
    help="使用模擬卡（hpc、hop、nhi、citizen…），不需要讀卡機 · Use simulated cards; no reader is needed."
    " hca-agent simulate --help names all kinds.",
)
_reader_option: Final = _kept(
    "reader",
    "--reader",
    metavar="NAME",
    help="讀卡機名稱，或其中獨特的一段 · The reader's name, or a part of it that no other has.",
)
_readers_option: Final = _kept(
    "readers",
    "--reader",
    metavar="NAME",
    multiple=True,
    help="讀卡機名稱或其中獨特的一段；寫幾次就用幾張卡片 · The reader's name, or a part of it that no other"
    " has; given several times, several cards work side by side.",
)
pin_option: Final = _kept(
    "pin_stdin",
    "--pin-stdin",
    is_flag=True,
    help="從標準輸入讀一行 PIN 碼 · Read the PIN as one line from standard input.",
)
force_option: Final = click.option(
    "--force", is_flag=True, help="覆寫已有的檔案 · Overwrite a file that exists."
)


def output_option(help_text: str, kind: click.Path = OUTPUT, default: str | None = None) -> Option:
    """Return `--output`, where the result goes, with the words that say where it goes without."""
    return click.option(
        "-o",
        "--output",
        "target",
        metavar="OUT" if default is None else None,
        type=kind,
        default=default,
        show_default=default is not None,
        help=help_text,
    )


def certificate_option(help_text: str) -> Option:
    """Return `--certificate`, whose words say whose it is and what is taken without."""
    return click.option("--certificate", "certificate_file", metavar="FILE", type=INPUT, help=help_text)


def two_pins_option(first: str) -> Option:
    """Return `--pin-stdin` for a command that needs two PINs, of which `first` names the first."""
    return click.option(
        "--pin-stdin",
        is_flag=True,
        help=f"從標準輸入讀兩行：{first}、新的 PIN 碼 · Two lines on standard input: {first}, new PIN.",
    )


def card_options(command: Command) -> Command:
    """Add `--simulate` and `--reader`, which every command that needs a card takes."""
    return _simulate_option(_reader_option(command))


def many_cards_options(command: Command) -> Command:
    """Add `--simulate` and a `--reader` that can be given several times."""
    return _simulate_option(_readers_option(command))


def session_options(command: Command) -> Command:
    """Add `--signatures` and `--minutes`: for how much one PIN is good, where the administrator allows it."""
    minutes = click.option(
        "--minutes",
        type=click.IntRange(1, 1440),
        help="一次 PIN 碼可以用幾分鐘；不指定時 30 · For how many minutes one PIN is good; else 30.",
    )
    signatures = click.option(
        "--signatures",
        type=click.IntRange(1, 250),
        help="一次 PIN 碼最多簽幾份 · For how many signatures one PIN is good; as many as are allowed where"
        " it is left out.",
    )
    return signatures(minutes(command))


def hash_option(*more: str) -> Option:
    """Return `--hash`, with hashes in `more` that only this command takes."""
    return click.option(
        "--hash",
        "hash_name",
        type=click.Choice((*more, *HASHES)),
        default="SHA-256",
        show_default=True,
        help="雜湊演算法 · The hash.",
    )
