"""`autostart`: whether the daemon starts with the person's login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agent.cli import output
from agent.cli.options import Preferences, json_option

if TYPE_CHECKING:
    from agent.autostart import Autostart

_WORDS: Final = {
    "on": ("✔ 登入時會自動啟動", "starts with your login"),
    "off": ("✘ 登入時不會自動啟動", "does not start with your login"),
    "other": (
        "✘ 登入時啟動的是另一個安裝；請再執行 hca-agent autostart on",
        "another installation starts with your login; run hca-agent autostart on again",
    ),
}


@click.group()
def autostart() -> None:
    """登入時自動啟動 · Starting with your login."""


@autostart.command()
@json_option
@click.pass_obj
def on(preferences: Preferences) -> None:
    """登入時自動啟動 · Start with your login."""
    from agent import autostart as ways

    way = ways.autostart()
    way.on()
    _tell(preferences, way)


@autostart.command()
@json_option
@click.pass_obj
def off(preferences: Preferences) -> None:
    """不要自動啟動 · Do not start with your login."""
    from agent import autostart as ways

    way = ways.autostart()
    way.off()
    _tell(preferences, way)


@autostart.command()
@json_option
@click.pass_context
def status(context: click.Context) -> None:
    """現在的設定；會自動啟動時結束代碼是 0 · How it stands; exit code 0 when it starts."""
    from agent import autostart as ways

    way = ways.autostart()
    _tell(context.find_object(Preferences) or Preferences(), way)
    context.exit(0 if way.status() is ways.Status.ON else 1)


def _tell(preferences: Preferences, way: Autostart) -> None:
    stands = way.status()
    if preferences.as_json:
        output.as_json({"autostart": stands.value, "place": way.place})
    else:
        zh, en = _WORDS[stands.value]
        output.say(zh, f"{en} ({way.place})")
