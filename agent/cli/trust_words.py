"""What `trust` says: which stores accept the certificate, in a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agent.cli import output

if TYPE_CHECKING:
    from agent.cli.component_trust import Part
    from agent.trust import OwnAuthorities, StoreReport

_STATES: Final = {
    "trusted": ("✔ 接受", "accepted"),
    "distrusted": ("✘ 不接受：憑證在，但沒有被信任", "not accepted: it is there but not trusted"),
    "stale": ("✘ 不接受：只有舊的憑證", "not accepted: only an old certificate is there"),
    "absent": ("✘ 不接受：還沒有憑證", "not accepted: the certificate is not there"),
    "unknown": ("？ 無法查看", "cannot be looked into"),
}


def tell(
    known: OwnAuthorities, rows: Sequence[StoreReport], component: Part | None, *, as_json: bool
) -> None:
    """Who accepts the certificate; that of the NHI component too where there is anything to tell of it."""
    told = component is not None and component.told
    if as_json:
        members = _report(known, rows)
        if told and component is not None:
            members["nhiComponent"] = _report(component.known, component.rows)
        output.as_json(members)
        return
    _show(known, rows)
    if told and component is not None:
        _title_of(component)
        _show(component.known, component.rows)


def tell_removal(rows: Sequence[StoreReport], component: Part | None = None) -> None:
    """Who has it no more, for people."""
    _show_removal(rows)
    if component is not None and component.told:
        _title_of(component)
        _show_removal(component.rows)


def _title_of(component: Part) -> None:
    """What the second certificate is for, and what happens to it."""
    if component.wanted:
        output.say("健保卡元件的憑證", "the certificate of the NHI component dialect")
    else:
        output.say(
            "健保卡元件沒有啟用：它的憑證不再需要",
            "the NHI component dialect is off: its certificate is not needed any more",
        )


def _report(known: OwnAuthorities, rows: Sequence[StoreReport]) -> dict[str, object]:
    return {"certificate": _certificate(known), "stores": [_members(row) for row in rows]}


def _show(known: OwnAuthorities, rows: Sequence[StoreReport]) -> None:
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


def _show_removal(rows: Sequence[StoreReport]) -> None:
    shown = [(_who(row), row.store.location, _removal_verdict(row)) for row in rows]
    output.table(("誰用它 who looks there", "位置 where", "結果 result"), shown)
    _tell_errors(rows)


def _who(row: StoreReport) -> str:
    return row.store.name if row.store.browsers else f"{row.store.name}（{'、'.join(row.store.programs)}）"


def _removal_verdict(row: StoreReport) -> str:
    if row.state.value == "unknown":
        return " · ".join(_STATES["unknown"])
    if not row.clean:
        return "✘ 還在 · still there"
    return "✔ 已移除 · removed" if row.changed else "✔ 本來就沒有 · there was none"


def _verdict(row: StoreReport) -> str:
    if row.clean and not row.store.browsers:
        return "– 沒有，瀏覽器不需要 · not there, and browsers do not need it"
    verdict = " · ".join(_STATES[row.state.value])
    if row.accepted and row.others:
        count = len(row.others)
        return f"{verdict}（另有 {count} 個本程式的憑證 · {count} more of ours）"
    return verdict


def _tell_errors(rows: Sequence[StoreReport]) -> None:
    """Each kind of trouble once, with the places it happened at; what only root can do is no trouble."""
    from agent.errors import ErrorId, error_id

    places: dict[str, tuple[Exception, list[str]]] = {}
    for row in rows:
        if row.error is not None:
            places.setdefault(str(row.error), (row.error, []))[1].append(row.store.name)
    for error, names in places.values():
        if error_id(error) == ErrorId.TRUST_NEEDS_ROOT:
            output.say(f"{'、'.join(names)}：需要時請執行", "where it is needed, type:")
            output.say(f"    {output.detail(error)}")
            continue
        output.log_unforeseen(error)
        output.error(error, subject="、".join(names))


def _certificate(known: OwnAuthorities) -> dict[str, object] | None:
    current = known.current
    if current is None:
        return None
    return {
        "name": current.name,
        "sha256": current.sha256,
        "notAfter": f"{current.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "file": str(known.file),
    }


def _members(row: StoreReport) -> dict[str, object]:
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
