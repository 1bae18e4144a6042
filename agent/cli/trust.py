"""`trust`: have this user's browsers accept the agent's own certificate, or take it out of them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from agent.cli import output
from agent.cli.options import Invocation, json_option
from agent.cli.trust_report import CertificateReport, show

if TYPE_CHECKING:
    from agent.paths import Paths
    from agent.tls import Scope
    from agent.trust import OwnAuthorities, StoreReport, SystemPrompt, TrustStore


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
@click.option(
    "--portals",
    is_flag=True,
    help="加上 --machine：Chrome、Edge、Chromium 也不再為已知的入口網站詢問（Linux） · With --machine:"
    " Chrome, Edge and Chromium do not ask about the known portals either (Linux).",
)
@click.option(
    "--renew",
    is_flag=True,
    help="先換一張新的憑證：憑證在電腦日期錯誤時產生、所以尚未生效時使用 · Make a new certificate first:"
    " where it was made while this computer's date was wrong, and is not valid yet.",
)
@json_option
@click.pass_obj
def install(call: Invocation, machine: bool, portals: bool, renew: bool) -> int:
    """讓您的每個瀏覽器接受 · Have every browser of yours accept it."""
    if portals and not machine:
        raise click.UsageError("--portals 需要 --machine · --portals needs --machine")
    if machine:
        return _for_all_users(call, install=True, portals=portals, renew=renew)
    paths, scopes = _folder()
    reports = [_install(paths, scope, wanted=wanted, renew=renew) for scope, wanted in scopes]
    show(reports, as_json=call.as_json)
    if any(report.changed for report in reports) and not call.as_json:
        output.say("已開啟的瀏覽器請關閉再開", "close and reopen the browsers that are open")
    return _exit_code(report.good for report in reports)


@trust.command()
@machine_option
@json_option
@click.pass_obj
def remove(call: Invocation, machine: bool) -> int:
    """從每個瀏覽器移除 · Take it out of every browser of yours."""
    if machine:
        return _for_all_users(call, install=False)
    paths, scopes = _folder()
    reports = []
    for scope, wanted in scopes:
        known = _own(paths, scope)
        reports.append(CertificateReport(known, _remove(known), wanted))
    show(reports, as_json=call.as_json, removed=True)
    return _exit_code(report.clean for report in reports)


@trust.command()
@json_option
@click.pass_obj
def status(call: Invocation) -> int:
    """哪些瀏覽器接受，哪些不接受、為什麼 · Which browsers accept it, and why others do not."""
    from agent import trust

    paths, scopes = _folder()
    reports = []
    for scope, wanted in scopes:
        known = _own(paths, scope)
        rows = trust.status(_stores(), known) if wanted or known.current is not None else ()
        reports.append(CertificateReport(known, rows, wanted))
    show(reports, as_json=call.as_json)
    good = all(report.good for report in reports)
    if not good and not call.as_json:
        output.say("→ 請執行 hca-agent trust install", "run hca-agent trust install")
    return 0 if good else 1


def _for_all_users(call: Invocation, *, install: bool, portals: bool = False, renew: bool = False) -> int:
    """Do root's part."""
    from agent.paths import Paths
    from agent.trust import Machine, all_users, stores_of_all_users

    this, folder = Machine.this(), Paths.of().machine / "tls"
    if not stores_of_all_users(this):
        raise click.UsageError(
            "這個系統由安裝程式處理 · on this system the installer sees to it", click.get_current_context()
        )
    if install:
        known, rows = all_users.set_up(folder, this, renew=renew)
    else:
        known, rows = all_users.take_down(folder, this)
    if this.platform == "linux":
        from agent.trust.portal_policies import add_portals, remove_portals

        if portals:
            add_portals(this)
        elif not install:
            remove_portals(this)
    show([CertificateReport(known, rows)], as_json=call.as_json, removed=not install)
    return _exit_code(row.accepted if install else row.clean for row in rows)


def _install(paths: Paths, scope: Scope, *, wanted: bool, renew: bool) -> CertificateReport:
    """Have a certificate trusted where it is wanted; else take it out where there is one."""
    from agent import tls
    from agent.trust import for_this_user

    if wanted:
        if renew and tls.in_use(paths.tls, paths.machine_tls, scope) == paths.tls:
            tls.ensure(paths.tls, scope, renew=True)
        known, rows = for_this_user.install_one(paths, scope, _stores(), _announce)
    else:
        known = for_this_user.own(paths, scope)
        rows = _remove(known) if known.current is not None else ()
    return CertificateReport(known, rows, wanted)


def _remove(known: OwnAuthorities) -> tuple[StoreReport, ...]:
    """Take a certificate out, also where nothing is known of it any more."""
    from agent import trust

    # What a policy names is not this user's to take out.
    return trust.remove(_stores(governed=False), known, _announce)


def _own(paths: Paths, scope: Scope) -> OwnAuthorities:
    from agent.trust import for_this_user

    return for_this_user.own(paths, scope)


def _folder() -> tuple[Paths, tuple[tuple[Scope, bool], ...]]:
    """Return where this agent's certificates lie, and for each scope whether its certificate is wanted.

    Raises:
        AgentError: trust.not_yours, if this user is at home in somebody else's place.
    """
    from agent.cli.composition import folder
    from agent.config import Config
    from agent.trust import for_this_user

    for_this_user.wanted(Config())  # before a folder is made where this user is not at home
    paths, config = folder()
    return paths, for_this_user.wanted(config)


def _stores(*, governed: bool = True) -> Sequence[TrustStore]:
    from agent.trust import Machine, stores_of

    return stores_of(Machine.this(), governed=governed)


def _announce(prompt: SystemPrompt) -> None:
    """Print on standard error, so that JSON stays JSON, and before the window is there."""
    output.warn(prompt.zh, prompt.en)


def _exit_code(good: Iterable[bool]) -> int:
    return 0 if all(good) else 1
