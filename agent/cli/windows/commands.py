"""`windows-setup`: what the installers for Windows call; no command for people."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import output

if TYPE_CHECKING:
    from agent.cli.windows.setup import InstallerOptions


@click.group("windows-setup", hidden=True)
def windows_setup() -> None:
    """由 Windows 安裝程式呼叫 · What the installers for Windows call."""
    if sys.platform != "win32":
        raise click.UsageError("只在 Windows 上 · on Windows only")


machine_option = click.option("--machine", is_flag=True, help="整台電腦 · For every user of the machine.")


@windows_setup.command()
@machine_option
def apply(machine: bool) -> None:
    """設定剛裝好的程式 · Set up what was just installed."""
    import winreg

    from agent.cli.windows import setup
    from agent.paths import Paths

    with _told_to_administrators():
        wishes = setup.InstallerOptions.of(winreg, machine=machine)
        if machine:
            _apply_to_machine(wishes)
        else:
            # Nothing is made before all of it is known to be right.
            setup.configuration(wishes, Paths.of().config, machine=False)
            setup.apply(wishes, Paths.of().make().config, winreg, machine=False)


@windows_setup.command()
@machine_option
def remove(machine: bool) -> None:
    """收回 apply 所做的 · Take back what `apply` did."""
    from agent.cli.windows import processes

    with _told_to_administrators():
        processes.end_all(Path(sys.executable).parent)
        if machine:
            _take_back()


def _apply_to_machine(wishes: InstallerOptions) -> None:
    import winreg

    from agent.cli.windows import setup, task
    from agent.desktop import own_command
    from agent.paths import Paths
    from agent.trust import Machine, all_users
    from agent.win32.acl import make_for_all_users

    folder = Paths.usual_machine()
    first = not folder.exists()
    if not first:
        make_for_all_users(folder)  # what somebody else put there must not be read as the administrator's
    setup.configuration(wishes, folder / "policy.toml", machine=True)
    make_for_all_users(folder)
    try:
        setup.apply(wishes, folder / "policy.toml", winreg, machine=True)
        all_users.set_up(folder / "tls", Machine.this())
        task.create(own_command("trust", "install", "--machine"))
    except BaseException:
        if first:
            _take_back()
        raise


def _take_back() -> None:
    import winreg

    from agent.cli.windows import browser_policy, task
    from agent.paths import Paths
    from agent.trust import Machine, all_users

    folder = Paths.usual_machine()
    browser_policy.remove(winreg)
    task.delete()
    all_users.take_down(folder / "tls", Machine.this())
    (folder / "policy.toml").unlink(missing_ok=True)
    for each in (folder / "tls", folder):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()


@windows_setup.command("forget-data")
def forget_data() -> None:
    """刪除這個使用者的資料 · Delete this user's data."""
    from agent.cli.windows import setup
    from agent.paths import Paths

    with _told_to_administrators():
        setup.forget_data(Paths.of().home)


@windows_setup.command()
def end() -> None:
    """結束從這個資料夾執行的程式 · End the programs that run from this folder."""
    from agent.cli.windows import processes

    processes.end_all(Path(sys.executable).parent)


@windows_setup.command()
@machine_option
def start(machine: bool) -> None:
    """升級之後重新啟動 · Start again what an upgrade ended."""
    from agent import desktop
    from agent.cli.windows import processes

    command = desktop.own_command("run")
    if machine:
        processes.start_for_everybody(Path(command[0]))
    else:
        desktop.start(command)


@windows_setup.command()
def vendor() -> None:
    """是否裝有原廠元件 · Whether the vendor's program is installed, and what that means for the ports."""
    import winreg

    from agent.cli.windows import vendor_program
    from agent.config import Config

    names = vendor_program.installed(winreg)
    if names:
        output.say(*vendor_program.sentences(names, Config().servisign.ports))


@contextmanager
def _told_to_administrators() -> Iterator[None]:
    """Run the body; write its failure into a file, as an installer shows nothing of its helpers."""
    try:
        yield
    except Exception as error:
        file = Path(tempfile.gettempdir(), "hca-agent-setup.log")
        with suppress(OSError):  # what went wrong is raised below, whatever becomes of the file
            # The system's temporary folder is open to all: never through a link that somebody left there.
            file.unlink(missing_ok=True)
            with file.open("x", encoding="utf-8") as log:
                members = output.error_members(error) | {"detail": output.detail(error)}
                log.write(json.dumps(members, ensure_ascii=False) + "\n")
        raise
