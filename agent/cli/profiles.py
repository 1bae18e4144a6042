"""`card profiles`: the card profiles in use, and what is wrong with those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import output
from agent.cli.files import INPUT
from agent.cli.options import Invocation, json_option

if TYPE_CHECKING:
    from agent.profiles import ProfileFile


@click.command()
@click.argument("file", type=INPUT, required=False)
@json_option
@click.pass_obj
def profiles(call: Invocation, file: Path | None) -> int:
    """卡片設定檔 · The card profiles, or whether FILE would be one."""
    from agent.cli import composition
    from agent.profiles import check, look

    found = (check(file),) if file is not None else look(composition.folder()[0])
    if call.as_json:
        output.as_json({"profiles": [_members(one) for one in found]})
    else:
        for one in found:
            _show(one)
        if not found:
            output.say("沒有另外的卡片設定檔", "there are no card profiles besides the one that ships")
    return int(any(one.profile is None for one in found))


def _show(one: ProfileFile) -> None:
    if one.profile is None:
        output.warn("✘ 無法使用", one.trouble)
    elif one.profile.draft:
        output.say(f"… {one.file} 草稿，不會使用", "a draft, not used")
    else:
        output.say(f"✔ {one.file} {one.profile.name} {one.profile.aid.hex(' ').upper()}")


def _members(one: ProfileFile) -> dict[str, object]:
    members: dict[str, object] = {"file": str(one.file), "used": False}
    if one.profile is None:
        return members | {"trouble": one.trouble}
    aid = one.profile.aid.hex().upper()
    return members | {"name": one.profile.name, "aid": aid, "used": not one.profile.draft}
