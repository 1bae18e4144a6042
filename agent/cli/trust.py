"""`trust`: have this user's browsers accept the agent's own certificate, or take it out of them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from agent.cli import component_trust, output
from agent.cli.options import Preferences, json_option
from agent.cli.trust_words import tell, tell_removal

if TYPE_CHECKING:
    from pathlib import Path

    from agent.paths import Paths
    from agent.trust import SystemPrompt, TrustStore


@click.group()
def trust() -> None:
    """讓瀏覽器接受本機的憑證 · Have browsers accept this program's certificate.

    這個憑證只能用在 localhost、127.0.0.1 與 ::1。 It is good for this computer's loopback names only.
    """


machine_option = click.option(
    "--machine",
    is_flag=True,
    help="整台電腦的每個使用者；只有 root 可以執行，安裝套件時會自動執行 · Every user of this machine:"
    " root alone can; the package does it when it is installed.",
)


@trust.command()
@machine_option
@json_option
@click.pass_context
def install(context: click.Context, machine: bool) -> None:
    """讓您的每個瀏覽器接受 · Have every browser of yours accept it."""
    if machine:
        _for_all_users(context, install=True)
    from agent import tls
    from agent import trust as work

    paths = _paths()
    tls.shown(paths.tls, paths.machine_tls)  # makes this user's own where the machine has none
    known = work.own_authorities(_in_use(paths))
    rows = work.install(_stores(), known, _announce)
    component = component_trust.install(_stores, _announce)
    tell(known, rows, component, as_json=_as_json(context))
    if any(row.changed for row in (*rows, *component.rows)) and not _as_json(context):
        output.say("已開啟的瀏覽器請關閉再開", "close and reopen the browsers that are open")
    good = [row.accepted for row in rows if row.store.browsers]
    context.exit(_exit_code((*good, component.good)))


@trust.command()
@machine_option
@json_option
@click.pass_context
def remove(context: click.Context, machine: bool) -> None:
    """從每個瀏覽器移除 · Take it out of every browser of yours."""
    if machine:
        _for_all_users(context, install=False)
    from agent import trust as work

    known = work.own_authorities(_in_use(_paths()))
    # What a policy names is not this user's to take out.
    rows = work.remove(_stores(governed=False), known, _announce)
    component = component_trust.remove(_stores, _announce)
    if _as_json(context):
        tell(known, rows, component, as_json=True)
    else:
        tell_removal(rows, component)
    context.exit(_exit_code(row.clean for row in (*rows, *component.rows)))


def _for_all_users(context: click.Context, *, install: bool) -> NoReturn:
    """Root's part, which ends the program."""
    from agent.paths import Paths
    from agent.trust import Machine, all_users, stores_of_all_users

    this, folder = Machine.this(), Paths.of().machine / "tls"
    if not stores_of_all_users(this):
        raise click.UsageError("這個系統由安裝程式處理 · on this system the installer sees to it", context)
    work = all_users.set_up if install else all_users.take_down
    known, rows = work(folder, this)
    if install or _as_json(context):
        tell(known, rows, None, as_json=_as_json(context))
    else:
        tell_removal(rows)
    context.exit(_exit_code(row.accepted if install else row.clean for row in rows))


@trust.command()
@json_option
@click.pass_context
def status(context: click.Context) -> None:
    """哪些瀏覽器接受，哪些不接受、為什麼 · Which browsers accept it, and why others do not."""
    from agent import trust as work

    known = work.own_authorities(_in_use(_paths()))
    rows = work.status(_stores(), known)
    component = component_trust.status(_stores)
    tell(known, rows, component, as_json=_as_json(context))
    accepted = [*(row.accepted for row in rows if row.store.browsers), component.good]
    if not all(accepted) and not _as_json(context):
        output.say("→ 請執行 hca-agent trust install", "run hca-agent trust install")
    context.exit(_exit_code(accepted))


def _in_use(paths: Paths) -> Path:
    from agent import tls

    return tls.in_use(paths.tls, paths.machine_tls)


def _paths() -> Paths:
    """Where this agent's certificates lie; refused to whoever is at home in somebody else's place."""
    from agent.cli.setup import folder
    from agent.errors import AgentError, ErrorId
    from agent.trust import Machine

    machine = Machine.this()
    if not machine.owns(machine.home):  # sudo may keep the home folder of whoever called it
        raise AgentError(ErrorId.TRUST_NOT_YOURS, detail=str(machine.home))
    return folder()[0]


def _stores(*, governed: bool = True) -> Sequence[TrustStore]:
    from agent.trust import Machine, stores_of

    return stores_of(Machine.this(), governed=governed)


def _announce(prompt: SystemPrompt) -> None:
    """On standard error, so that JSON stays JSON, and before the window is there."""
    output.warn(prompt.zh, prompt.en)


def _exit_code(good: Iterable[bool]) -> int:
    return 0 if all(good) else 1


def _as_json(context: click.Context) -> bool:
    return context.ensure_object(Preferences).as_json
