"""What `trust` prints: which stores accept the certificate, in a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.cli import output

if TYPE_CHECKING:
    from agent.trust import OwnAuthorities, StoreReport

_STATES: Final = {
    "trusted": ("✔ 接受", "accepted"),
    "distrusted": ("✘ 不接受：憑證在，但沒有被信任", "not accepted: it is there but not trusted"),
    "stale": ("✘ 不接受：只有舊的憑證", "not accepted: only an old certificate is there"),
    "absent": ("✘ 不接受：還沒有憑證", "not accepted: the certificate is not there"),
    "unknown": ("？ 無法查看", "cannot be looked into"),
}


@dataclass(frozen=True, slots=True)
class CertificateReport:
    """How one of this program's certificates stands in trust stores.

    Attributes:
        rows: one for each store; none where the certificate was never made.
        wanted: whether browsers are to accept it.
    """

    known: OwnAuthorities
    rows: Sequence[StoreReport]
    wanted: bool = True

    @property
    def clean(self) -> bool:
        """Whether no store has it."""
        return all(row.clean for row in self.rows)

    @property
    def changed(self) -> bool:
        """Whether it came into a store or went out of one."""
        return any(row.changed for row in self.rows)

    @property
    def good(self) -> bool:
        """Whether every browser accepts it while it is wanted, and no store has it otherwise."""
        if not self.wanted:
            return self.clean
        return all(row.accepted for row in self.rows if row.store.browsers)


def show(reports: Sequence[CertificateReport], *, as_json: bool, removed: bool = False) -> None:
    """Print who accepts the certificates, as a table or as JSON; people see after `removed` who had them.

    Args:
        reports: the agent's own certificate first, then that of the NHI component, which is left out where
            nobody needs it and no store has it.
        as_json: print JSON.
        removed: whether the certificates were taken out.
    """
    own, *others = [each for each in reports if each.wanted or each.changed or not each.clean]
    if as_json:
        members = _report_members(own)
        for component in others:
            members["nhiComponent"] = _report_members(component)
        output.as_json(members)
        return
    for report in (own, *others):
        if report is not own:
            _show_title(report)
        if removed:
            _show_removal(report.rows)
        else:
            _show(report.known, report.rows)


def _show_title(component: CertificateReport) -> None:
    """Print what the second certificate is for, and what happens to it."""
    if component.wanted:
        output.say("健保卡元件的憑證", "the certificate of the NHI component dialect")
    else:
        output.say(
            "健保卡元件沒有啟用：它的憑證不再需要",
            "the NHI component dialect is off: its certificate is not needed any more",
        )


def _report_members(report: CertificateReport) -> dict[str, object]:
    return {"certificate": _certificate(report.known), "stores": [_members(row) for row in report.rows]}


def _show(known: OwnAuthorities, rows: Sequence[StoreReport]) -> None:
    if known.current is None:
        output.say("本程式還沒有憑證", "this program has no certificate yet")
    else:
        until = f"{known.current.not_after.astimezone():%Y-%m-%d}"
        facts = [("憑證 certificate", known.current.name), ("到期 until", until)]
        output.facts([*facts, ("SHA-256", known.current.sha256)])
        _show_clock(known.current.not_before)
    if not any(row.store.browsers for row in rows):
        output.say("找不到瀏覽器", "no browser was found")
    if rows:
        titles = ("誰用它 who looks there", "位置 where", "接受嗎 accepted")
        output.table(titles, [(_who(row), row.store.location, _verdict(row)) for row in rows])
    _show_errors(rows)


def _show_clock(begins: datetime) -> None:
    """Say that the date keeps browsers from the certificate, and what to do where it is right."""
    from agent.errors import AgentError, ErrorId

    if datetime.now(UTC) < begins:
        output.error(AgentError(ErrorId.CLOCK_BEHIND, detail=f"{begins.astimezone():%Y-%m-%d %H:%M}"))
        output.say(
            "日期沒有錯的話，請執行 hca-agent trust install --renew",
            "where the date is right, run hca-agent trust install --renew",
        )


def _show_removal(rows: Sequence[StoreReport]) -> None:
    shown = [(_who(row), row.store.location, _removal_verdict(row)) for row in rows]
    output.table(("誰用它 who looks there", "位置 where", "結果 result"), shown)
    _show_errors(rows)


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


def _show_errors(rows: Sequence[StoreReport]) -> None:
    """Print each kind of error once, with the stores it happened at; what only root can do is none."""
    from agent.errors import ErrorId, error_id

    stores: dict[str, tuple[Exception, list[str]]] = {}
    for row in rows:
        if row.error is not None:
            stores.setdefault(str(row.error), (row.error, []))[1].append(row.store.name)
    for error, names in stores.values():
        if error_id(error) is ErrorId.TRUST_NEEDS_ROOT:
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
