"""`trust`: have this user's browsers accept the agent's own certificate, or take it out of them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import click

from agent.cli import component_trust, output
from agent.cli.options import Preferences, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from agent.cli.component_trust import Part
    from agent.paths import Paths
    from agent.trust import Known, Prompt, Row, Store

_STATES: Final = {
    "trusted": ("✔ 接受", "accepted"),
    "distrusted": ("✘ 不接受：憑證在，但沒有被信任", "not accepted: it is there but not trusted"),
    "stale": ("✘ 不接受：只有舊的憑證", "not accepted: only an old certificate is there"),
    "absent": ("✘ 不接受：還沒有憑證", "not accepted: the certificate is not there"),
    "unknown": ("？ 無法查看", "cannot be looked into"),
}


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
    known = work.known(_in_use(paths))
    rows = work.install(_stores(), known, _announce)
    component = component_trust.install(_stores, _announce)
    _tell(context, known, rows, component)
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

    known = work.known(_in_use(_paths()))
    # What a policy names is not this user's to take out.
    rows = work.remove(_stores(governed=False), known, _announce)
    component = component_trust.remove(_stores, _announce)
    if _as_json(context):
        _tell(context, known, rows, component)
    else:
        _tell_removal(rows)
        if component.told:
            _title_of(component)
            _tell_removal(component.rows)
    context.exit(_exit_code(row.clean for row in (*rows, *component.rows)))


def _for_all_users(context: click.Context, *, install: bool) -> NoReturn:
    """Root's part, which ends the program."""
    from agent import machine_setup
    from agent.paths import Paths
    from agent.trust import Machine, stores_of_all_users

    this, folder = Machine.this(), Paths.of().machine / "tls"
    if not stores_of_all_users(this):
        raise click.UsageError("這個系統由安裝程式處理 · on this system the installer sees to it", context)
    work = machine_setup.set_up if install else machine_setup.take_down
    known, rows = work(folder, this)
    if install or _as_json(context):
        _tell(context, known, rows)
    else:
        _tell_removal(rows)
    context.exit(_exit_code(row.accepted if install else row.clean for row in rows))


@trust.command()
@json_option
@click.pass_context
def status(context: click.Context) -> None:
    """哪些瀏覽器接受，哪些不接受、為什麼 · Which browsers accept it, and why others do not."""
    from agent import trust as work

    known = work.known(_in_use(_paths()))
    rows = work.status(_stores(), known)
    component = component_trust.status(_stores)
    _tell(context, known, rows, component)
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
    from agent.errors import AgentError
    from agent.trust import Machine

    machine = Machine.this()
    if not machine.owns(machine.home):  # sudo may keep the home folder of whoever called it
        raise AgentError("trust.not_yours", detail=str(machine.home))
    return folder()[0]


def _stores(*, governed: bool = True) -> Sequence[Store]:
    from agent.trust import Machine, stores_of

    return stores_of(Machine.this(), governed=governed)


def _announce(prompt: Prompt) -> None:
    """On standard error, so that JSON stays JSON, and before the window is there."""
    output.warn(prompt.zh, prompt.en)


def _exit_code(good: Iterable[bool]) -> int:
    return 0 if all(good) else 1


def _as_json(context: click.Context) -> bool:
    return context.ensure_object(Preferences).as_json


def _tell(context: click.Context, known: Known, rows: Sequence[Row], component: Part | None = None) -> None:
    told = component is not None and component.told
    if _as_json(context):
        members = _report(known, rows)
        if told and component is not None:
            members["nhiComponent"] = _report(component.known, component.rows)
        output.as_json(members)
        return
    _show(known, rows)
    if told and component is not None:
        _title_of(component)
        _show(component.known, component.rows)


def _title_of(component: Part) -> None:
    """What the second certificate is for, and what happens to it."""
    if component.wanted:
        output.say("健保卡元件的憑證", "the certificate of the NHI component dialect")
    else:
        output.say(
            "健保卡元件沒有啟用：它的憑證不再需要",
            "the NHI component dialect is off: its certificate is not needed any more",
        )


def _report(known: Known, rows: Sequence[Row]) -> dict[str, object]:
    return {"certificate": _certificate(known), "stores": [_members(row) for row in rows]}


def _show(known: Known, rows: Sequence[Row]) -> None:
    if known.current is None:
        output.say("本程式還沒有憑證", "this program has no certificate yet")
    else:
        until = f"{known.current.not_after.astimezone():%Y-%m-%d}"
        facts = [("憑證 certificate", known.current.name), ("到期 until", until)]
        output.facts([*facts, ("SHA-256", known.current.sha256)])
    if not any(row.store.browsers for row in rows):
        output.say("找不到瀏覽器", "no browser was found")
    if rows:
        titles = ("誰用它 who looks there", "位置 where", "接受嗎 accepted")
        output.table(titles, [(_who(row), row.store.location, _verdict(row)) for row in rows])
    _tell_errors(rows)


def _tell_removal(rows: Sequence[Row]) -> None:
    shown = [(_who(row), row.store.location, _removal_verdict(row)) for row in rows]
    output.table(("誰用它 who looks there", "位置 where", "結果 result"), shown)
    _tell_errors(rows)


def _who(row: Row) -> str:
    return row.store.name if row.store.browsers else f"{row.store.name}（{'、'.join(row.store.programs)}）"


def _removal_verdict(row: Row) -> str:
    if row.state.value == "unknown":
        return " · ".join(_STATES["unknown"])
    if not row.clean:
        return "✘ 還在 · still there"
    return "✔ 已移除 · removed" if row.changed else "✔ 本來就沒有 · there was none"


def _verdict(row: Row) -> str:
    if row.clean and not row.store.browsers:
        return "– 沒有，瀏覽器不需要 · not there, and browsers do not need it"
    verdict = " · ".join(_STATES[row.state.value])
    if row.accepted and row.others:
        count = len(row.others)
        return f"{verdict}（另有 {count} 個本程式的憑證 · {count} more of ours）"
    return verdict


def _tell_errors(rows: Sequence[Row]) -> None:
    """Each kind of trouble once, with the places it happened at; what only root can do is no trouble."""
    from agent.errors import error_id

    places: dict[str, tuple[Exception, list[str]]] = {}
    for row in rows:
        if row.error is not None:
            places.setdefault(str(row.error), (row.error, []))[1].append(row.store.name)
    for error, names in places.values():
        if error_id(error) == "trust.needs_root":
            output.say(f"{'、'.join(names)}：需要時請執行", "where it is needed, type:")
            output.say(f"    {output.detail(error)}")
            continue
        output.log_unforeseen(error)
        output.error(error, subject="、".join(names))


def _certificate(known: Known) -> dict[str, object] | None:
    current = known.current
    if current is None:
        return None
    return {
        "name": current.name,
        "sha256": current.sha256,
        "notAfter": f"{current.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "file": str(known.file),
    }


def _members(row: Row) -> dict[str, object]:
    members: dict[str, object] = {
        "name": row.store.name,
        "location": row.store.location,
        "programs": list(row.store.programs),
        "browser": row.store.browsers,
        "state": row.state.value,
        "accepted": row.accepted,
        "changed": row.changed,
        "others": [authority.name for authority in row.others],
    }
    if row.error is not None:
        members["error"] = output.error_members(row.error) | {"detail": output.detail(row.error)}
    return members
