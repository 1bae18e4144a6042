"""`update`: is there a newer version, and its package; installing it is the administrator's own command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent import __version__
from agent.cli import output
from agent.cli.options import Invocation, json_option

if TYPE_CHECKING:
    from agent.update import Release, Repository


@click.group()
def update() -> None:
    """有沒有新版 · Is there a newer version; off until [update] says where to ask.

    只連到設定檔寫的伺服器，檔案都先驗簽章。 Only the configured server is asked; every file is checked.
    """


@update.command()
@json_option
@click.pass_obj
def check(call: Invocation) -> None:
    """查詢一次 · Ask once."""
    _show(call, _look()[1])


@update.command()
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="放到這個資料夾 · Put it into this folder.",
)
@json_option
@click.pass_obj
def download(call: Invocation, folder: Path | None) -> None:
    """下載新版並驗簽章，不安裝 · Fetch the newer package, checked; nothing is installed."""
    from agent.update import is_newer, package_of

    repository, release = _look()
    file = None
    if is_newer(release, __version__):
        file = repository.download(package_of(release), folder)
    _show(call, release, file)


@update.command()
@json_option
@click.pass_obj
def install(call: Invocation) -> None:
    """以 policy.toml 的指令安裝，限管理者 · Install it by policy.toml's command, as the administrator."""
    from agent.cli.composition import folder
    from agent.update import is_newer, package_of
    from agent.update.install import check_may_install, private_folder, run_installer

    paths, config = folder()
    check_may_install(config.update, paths)
    repository, release = _look()
    if not is_newer(release, __version__):
        _show(call, release)
        return
    with private_folder() as private:
        run_installer(config.update, repository.download(package_of(release), private))
    _show(call, release, installed=True)


def _look() -> tuple[Repository, Release]:
    from agent.cli.composition import folder
    from agent.update.check import look

    paths, config = folder()
    return look(config.update, paths)


def _show(call: Invocation, release: Release, file: Path | None = None, *, installed: bool = False) -> None:
    from agent.update import is_newer

    newer = is_newer(release, __version__)
    if call.as_json:
        members: dict[str, object] = {"running": __version__, "offered": release.version, "newer": newer}
        if file is not None:
            members["file"] = str(file)
        if file is not None or installed:
            members["installed"] = installed
        output.as_json(members)
    elif not newer:
        output.say(f"✔ {__version__} 已是最新", "nothing newer is offered")
    elif installed:
        output.say(f"✔ 已安裝 {release.version}", "installed; it runs from the next start on")
    elif file is not None:
        output.say(f"✔ {release.version}：已下載並驗過簽章", "fetched and checked:")
        output.say(str(file))
    else:
        output.say(f"● 有新版 {release.version}（現在是 {__version__}）", "a newer version is there")
        output.say("→ hca-agent update download")
