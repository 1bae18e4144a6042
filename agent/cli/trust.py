"""`trust`: have this user's browsers accept the agent's own certificate, or take it out of them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import click

from agent.cli import output
from agent.cli.options import Preferences, json_option

if TYPE_CHECKING:
    from pathlib import Path

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


@trust.command()
@json_option
@click.pass_context
def install(context: click.Context) -> None:
    """讓您的每個瀏覽器接受 · Have every browser of yours accept it."""
    from agent import tls
    from agent import trust as work

    folder = _folder()
    tls.ensure(folder)
    known = work.known(folder)
    rows = work.install(_stores(), known, _announce)
    _tell(context, known, rows)
    if any(row.changed for row in rows) and not _as_json(context):
        output.say("已開啟的瀏覽器請關閉再開", "close and reopen the browsers that are open")
    context.exit(_exit_code(row.accepted for row in rows if row.store.browsers))


@trust.command()
@json_option
@click.pass_context
def remove(context: click.Context) -> None:
    """從每個瀏覽器移除 · Take it out of every browser of yours."""
    from agent import trust as work

    known = work.known(_folder())
    rows = work.remove(_stores(), known, _announce)
    if _as_json(context):
        _tell(context, known, rows)
    else:
        _tell_removal(rows)
    context.exit(_exit_code(row.clean for row in rows))


@trust.command()
@json_option
@click.pass_context
def status(context: click.Context) -> None:
    """哪些瀏覽器接受，哪些不接受、為什麼 · Which browsers accept it, and why others do not."""
    from agent import trust as work

    known = work.known(_folder())
    rows = work.status(_stores(), known)
    _tell(context, known, rows)
    accepted = [row.accepted for row in rows if row.store.browsers]
    if not all(accepted) and not _as_json(context):
        output.say("→ 請執行 hca-agent trust install", "run hca-agent trust install")
    context.exit(_exit_code(accepted))


def _folder() -> Path:
    """Where this agent's certificate lies; refused to whoever is at home in somebody else's place."""
    from agent.cli.setup import folder
    from agent.errors import AgentError
    from agent.trust import Machine

    machine = Machine.this()
    if not machine.owns(machine.home):  # sudo may keep the home folder of whoever called it
        raise AgentError("trust.not_yours", detail=str(machine.home))
    return folder()[0].tls


def _stores() -> Sequence[Store]:
    from agent.trust import Machine, stores_of

    return stores_of(Machine.this())


def _announce(prompt: Prompt) -> None:
    """On standard error, so that JSON stays JSON, and before the window is there."""
    output.warn(prompt.zh, prompt.en)


def _exit_code(good: Iterable[bool]) -> int:
    return 0 if all(good) else 1


def _as_json(context: click.Context) -> bool:
    return context.ensure_object(Preferences).as_json


def _tell(context: click.Context, known: Known, rows: Sequence[Row]) -> None:
    if _as_json(context):
        stores: list[dict[str, object]] = [_members(row) for row in rows]
        output.as_json({"certificate": _certificate(known), "stores": stores})
        return
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
