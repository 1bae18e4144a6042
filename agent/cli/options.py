"""Options that several commands share, each worded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

HASHES: Final = ("SHA-224", "SHA-256", "SHA-384", "SHA-512")


@dataclass(slots=True)
class Preferences:
    """What the words on the command line say about the whole run.

    Attributes:
        as_json: results, and errors too, are told as JSON on standard output.
    """

    as_json: bool = False


def _prefer_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    if value:
        context.ensure_object(Preferences).as_json = True
    return value


def _kinds(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return check_kinds(tuple(kind for value in values if value for kind in value.split(",")))


def check_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds, if the simulator knows every one of them.

    Raises:
        click.BadParameter: it does not.
    """
    from hca_card.simulator import KINDS

    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"沒有 {kind!r} 這種模擬卡 · no such kind; one of {', '.join(KINDS)}")
    return kinds


def json_option(command: F) -> F:
    """`--json`: stable keys, those of the native API."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        callback=_prefer_json,
        expose_value=False,
        help="以 JSON 輸出 · As JSON, with the keys of the native API.",
    )(command)


def simulate_option(command: F) -> F:
    """`--simulate KIND[,KIND...]`."""
    return click.option(
        "--simulate",
        metavar="KIND[,KIND...]",
        multiple=True,
        callback=_kinds,
        help="使用模擬卡，不需要讀卡機 · Use simulated cards; no reader is needed.",
    )(command)


def card_options(command: F) -> F:
    """`--simulate` and `--reader`, which every command that needs a card takes."""
    reader = click.option(
        "--reader",
        metavar="NAME",
        help="讀卡機名稱，或其中獨特的一段 · The reader's name, or a part of it that no other has.",
    )
    return simulate_option(reader(command))


def pin_option(command: F) -> F:
    """`--pin-stdin`: the only way for a PIN to come from another program."""
    return click.option(
        "--pin-stdin",
        is_flag=True,
        help="從標準輸入讀一行 PIN 碼 · Read the PIN as one line from standard input.",
    )(command)


def hash_option(*more: str) -> Callable[[F], F]:
    """`--hash`, with hashes in `more` that only this command takes."""
    return click.option(
        "--hash",
        "hash_name",
        type=click.Choice((*more, *HASHES)),
        default="SHA-256",
        show_default=True,
        help="雜湊演算法 · The hash.",
    )


def force_option(command: F) -> F:
    """`--force`."""
    return click.option("--force", is_flag=True, help="覆寫已有的檔案 · Overwrite a file that exists.")(
        command
    )
