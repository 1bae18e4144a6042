"""`autostart`: whether the daemon starts with the person's login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agent.cli import output
from agent.cli.options import Invocation, json_option

if TYPE_CHECKING:
    from agent.autostart import Autostart, AutostartStatus

_WORDS: Final = {
    "on": ("✔ 登入時會自動啟動", "starts with your login"),
    "off": ("－ 登入時不會自動啟動", "does not start with your login"),
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
def on(call: Invocation) -> None:
    """登入時自動啟動 · Start with your login."""
    from agent import autostart as ways

    way = ways.autostart()
    way.on()
    _show(call, way)


@autostart.command()
@json_option
@click.pass_obj
def off(call: Invocation) -> None:
    """不要自動啟動 · Do not start with your login."""
    from agent import autostart as ways

    way = ways.autostart()
    way.off()
    _show(call, way)


@autostart.command()
@json_option
@click.pass_obj
def status(call: Invocation) -> int:
    """現在的設定；啟動另一個安裝時結束代碼是 1 · How it stands; exit code 1: another installation."""
    from agent import autostart as ways

    return 1 if _show(call, ways.autostart()) is ways.AutostartStatus.OTHER else 0


def _show(call: Invocation, way: Autostart) -> AutostartStatus:
    status = way.status()
    if call.as_json:
        output.as_json({"autostart": status.value, "place": way.place})
    else:
        zh, en = _WORDS[status.value]
        output.say(zh, f"{en} ({way.place})")
    return status
