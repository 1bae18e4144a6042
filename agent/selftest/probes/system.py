"""Host rows about the system: its name, its clock, who trusts our certificate, autostart, proxies."""

from __future__ import annotations

import asyncio
import platform
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.errors import ErrorId
from agent.selftest.context import ProbeContext
from agent.selftest.model import (
    Finding,
    failed,
    passed,
    probe,
    skipped,
    warned,
)
from agent.tls import LOOPBACK, Scope, in_use

if TYPE_CHECKING:
    from agent.trust import StoreReport

_SLACK: Final = timedelta(days=1)
_DOUBT: Final = timedelta(days=400)
_SANDBOXES: Final = ("/snap/", "/.var/app/")
_LOOPBACK: Final = ("localhost", "127.0.0.1")


@probe("basic.os", "作業系統", "Operating system")
async def operating_system(_context: ProbeContext) -> Finding:
    """Name the operating system."""
    return passed(await asyncio.to_thread(_system_name))


def _system_name() -> str:
    if sys.platform == "linux":
        try:
            release = platform.freedesktop_os_release()
            return f"{release.get('PRETTY_NAME', 'Linux')} ({platform.machine()})"
        except OSError:
            pass
    return platform.platform()


@probe("basic.java", "Java可使用狀態", "Java")
async def java(_context: ProbeContext) -> Finding:
    """Say that Java is not needed, because help-desk notes ask for it."""
    return passed("不支援（不需要 Java）", "not supported (nothing needs Java)")


@probe("host.config", "設定檔", "Configuration")
async def configuration(context: ProbeContext) -> Finding:
    """Check that the configuration's files can be used."""
    if context.computer.config_error is not None:
        raise context.computer.config_error
    return passed("沒有錯誤", "no error")


@probe("host.clock", "電腦的日期", "This computer's date")
async def clock(context: ProbeContext) -> Finding:
    """Compare the date with what must be older: this program's own files, and its last audit line."""
    now = context.computer.clock()
    made, last = await asyncio.to_thread(_traces, context)
    shown = f"{now.astimezone():%Y-%m-%d %H:%M}"
    begins = await asyncio.to_thread(_certificate_begins, context)
    if now < begins:
        since = f"{begins.astimezone():%Y-%m-%d %H:%M}"
        return failed(ErrorId.CLOCK_BEHIND, f"{shown}；憑證從 {since} 起", f"the certificate begins {since}")
    if now < made - _SLACK:
        return failed(
            ErrorId.CLOCK_BEHIND, f"{shown}；本程式的檔案是 {made:%Y-%m-%d}", f"this program: {made:%Y-%m-%d}"
        )
    if now > max(made, last) + _DOUBT:
        return warned(ErrorId.CLOCK_DOUBTFUL, f"{shown}；上次紀錄 {max(made, last):%Y-%m-%d}")
    return passed(shown)


def _certificate_begins(context: ProbeContext) -> datetime:
    """Return when the certificate begins that is shown: the date was later than that when it was made."""
    from agent.trust import own_authorities

    paths = context.computer.paths
    known = own_authorities(in_use(paths.tls, paths.machine_tls)).current
    return datetime.min.replace(tzinfo=UTC) if known is None else known.not_before


def _traces(context: ProbeContext) -> tuple[datetime, datetime]:
    """Return when this program was installed, and when it last did anything."""
    from agent.audit import AuditLog

    file = Path(sys.executable if getattr(sys, "frozen", False) else __file__)
    made = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    rows = AuditLog(context.computer.paths.audit, context.computer.config.audit).read(1)
    return made, rows[-1].time if rows else made


@probe("host.trust", "瀏覽器信任本程式的憑證", "Browsers trust our certificate", needs=("host.nss",))
async def trust(context: ProbeContext) -> Finding:
    """Check which browsers accept our certificate, by the name of each store."""
    return judged(context, await asyncio.to_thread(trust_rows, context))


def judged(context: ProbeContext, rows: Sequence[StoreReport] | None) -> Finding:
    """Judge the stores' reports; None is no certificate yet."""
    if rows is None:
        return skipped(
            "本程式還沒有憑證，請先啟動一次", "there is no certificate yet; start this program once"
        )
    if not any(row.store.browsers for row in rows):
        return skipped("找不到瀏覽器", "no browser was found")
    zh, en = _stores(context, rows)
    missing = [row for row in rows if row.store.browsers and not row.accepted]
    if not missing:
        return passed(zh, en)
    # A store that could not be looked into has its own next step; one that merely lacks it, the usual one.
    errors = [row.error for row in missing if row.error is not None]
    if len(errors) == len(missing):
        return failed(errors[0], zh, en)
    return failed(ErrorId.TRUST_MISSING, zh, en)


def trust_rows(context: ProbeContext, scope: Scope = LOOPBACK) -> Sequence[StoreReport] | None:
    """Return whether each store accepts our certificate for `scope`; None where there is none yet."""
    from agent.trust import Machine, own_authorities, status, stores_of

    computer = context.computer
    ours = own_authorities(in_use(computer.paths.tls, computer.paths.machine_tls, scope), scope)
    if ours.current is None:
        return None
    asked = replace(
        Machine.this(),
        platform=computer.platform,
        home=computer.home,
        environment=computer.environment,
        find=computer.find,
    )
    return status(stores_of(asked), ours)


def _stores(context: ProbeContext, rows: Sequence[StoreReport]) -> tuple[str, str]:
    zh, en = [], []
    for row in rows:
        place = row.store.location.replace(str(context.computer.home), "~", 1)
        name = f"{row.store.name} ({place})"
        zh.append(f"{name}：{'接受' if row.accepted else '不接受'}")
        en.append(f"{name}: {'accepted' if row.accepted else 'not accepted'}")
    return "；".join(zh), "; ".join(en)


@probe("host.nss", "NSS 工具", "NSS tools")
async def nss_tools(context: ProbeContext) -> Finding:
    """Check that browsers' certificates can be looked at; only Linux needs a tool for it."""
    if context.computer.platform != "linux":
        return skipped("這個作業系統不需要", "not needed on this system")
    found = context.computer.find("certutil")
    if found is None:
        return failed(ErrorId.TRUST_TOOL_MISSING, "certutil")
    return passed("已安裝 certutil", "certutil is installed")


@probe("host.confined", "snap、flatpak 瀏覽器", "Snap and flatpak browsers", needs=("host.nss",))
async def confined(context: ProbeContext) -> Finding:
    """Find browsers in a sandbox, which have certificates of their own."""
    rows = await asyncio.to_thread(trust_rows, context)
    boxed = [row for row in rows or () if any(box in row.store.location for box in _SANDBOXES)]
    if not boxed:
        return passed("沒有", "none")
    names = "、".join(row.store.name for row in boxed)
    if all(row.accepted for row in boxed):
        return passed(f"{names}：接受", f"{names}: accepted")
    return warned(ErrorId.BROWSER_CONFINED, names)


@probe("host.autostart", "自動啟動", "Start at login")
async def autostart(context: ProbeContext) -> Finding:
    """Check that this program starts with the person's login."""
    from agent import autostart as ways

    computer = context.computer
    way = await asyncio.to_thread(ways.autostart, computer.platform, computer.environment, computer.home)
    stands = await asyncio.to_thread(way.status)
    if stands is ways.AutostartStatus.ON:
        return passed("登入時會自動啟動", "starts with your login")
    if stands is ways.AutostartStatus.OTHER:
        return warned(ErrorId.AUTOSTART_OFF, "啟動的是另一個安裝", "another installation starts")
    return warned(ErrorId.AUTOSTART_OFF, "關閉", "off")


@probe("host.proxy", "代理伺服器", "Proxy")
async def proxy(context: ProbeContext) -> Finding:
    """Find proxy settings that do not leave out this computer."""
    known = {name.casefold(): value for name, value in context.computer.environment.items()}
    names = [name for name in ("http_proxy", "https_proxy", "all_proxy") if known.get(name)]
    if not names:
        system = _system_proxies(context)
        return passed(*system) if system else passed("沒有代理伺服器", "no proxy")
    left_out = {each.strip().casefold() for each in known.get("no_proxy", "").split(",")}
    if "*" in left_out or all(each in left_out for each in _LOOPBACK):
        return passed("有代理伺服器，已排除本機", "a proxy that leaves out this computer")
    return warned(ErrorId.PROXY_LOOPBACK, "、".join(names))


@probe("host.update", "更新檢查", "Update check")
async def update(context: ProbeContext) -> Finding:
    """Say what the last update check found; nothing is asked here."""
    from agent import __version__
    from agent.update import Release, is_newer
    from agent.update.state import read

    if not context.computer.config.update.enabled:
        return skipped("沒有開啟", "off")
    last = await asyncio.to_thread(read, context.computer.paths.update)
    if last is None:
        return skipped("還沒有查過", "not asked yet")
    when = f"{last.checked.astimezone():%Y-%m-%d %H:%M}"
    if last.error:
        return warned(ErrorId(last.error), when)
    if is_newer(Release(last.version, {}), __version__):
        return passed(f"有新版 {last.version}（{when}）", f"{last.version} is there")
    return passed(f"已是最新（{when}）", "nothing newer")


def _system_proxies(context: ProbeContext) -> tuple[str, str] | None:
    """Return what Windows and macOS are set to; browsers there leave out this computer by themselves."""
    if context.computer.platform not in ("win32", "darwin"):
        return None
    if not any(name in urllib.request.getproxies() for name in ("http", "https")):
        return None
    return "有代理伺服器，瀏覽器會自行排除本機", "a proxy; browsers leave out this computer by themselves"


BASICS: Final = (
    operating_system,
    java,
)

PROBES: Final = (
    configuration,
    clock,
    nss_tools,
    trust,
    confined,
    autostart,
    proxy,
    update,
)
