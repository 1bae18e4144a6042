"""Host rows about this program's own place: does it run, do portals reach it, and who stands in its way."""

from __future__ import annotations

import asyncio
from typing import Final

from agent.errors import ErrorId
from agent.selftest.context import ProbeContext
from agent.selftest.listeners import FoundListener, ListenerKind, look
from agent.selftest.model import Finding, failed, passed, probe, skipped, warned
from agent.selftest.whose import Who, holder, who

_VENDOR: Final = "servisign"
_TROUBLES: Final = {
    Who.ANOTHER_FOLDERS: ErrorId.PORT_OTHER_AGENT,
    Who.ANOTHER_USERS: ErrorId.PORT_OTHER_AGENT,
    Who.VENDOR: ErrorId.PORT_VENDOR,
    Who.SILENT: ErrorId.PORT_SILENT,
}


@probe("basic.environment", "環境檢測", "The program")
async def environment(context: ProbeContext) -> Finding:
    """Fill the row 環境檢測 of the HCA page: whether the program behind the portals runs."""
    port = context.computer.config.ports.native
    found = await asyncio.to_thread(look, port, tls=False)
    match await asyncio.to_thread(who, found, context.computer.paths):
        case Who.NOBODY:
            return failed(ErrorId.AGENT_NOT_RUNNING)
        case Who.THIS | Who.THIS_EARLIER | Who.INTERCEPTED:
            return passed("HCA元件安裝成功", "the program is installed and runs")
        case other:
            return failed(_TROUBLES.get(other, ErrorId.PORT_TAKEN), holder(found), holder(found))


@probe("host.portals", "入口網站連到的程式（56445 等）", "Whom portals reach (56445 …)")
async def portals(context: ProbeContext) -> Finding:
    """Find out whom portals' pages reach: the first port in their order on which anybody answers."""
    passed_over: list[FoundListener] = []
    for found, whose in await _look_at(context):
        match whose:
            case Who.NOBODY:
                continue
            case Who.THIS | Who.THIS_EARLIER | Who.INTERCEPTED if passed_over:
                others = "、".join(map(holder, passed_over))
                return warned(
                    ErrorId.PORT_TAKEN, f"{others}；本程式改用 {found.port}", f"this one uses {found.port}"
                )
            case Who.THIS | Who.THIS_EARLIER | Who.INTERCEPTED:
                return passed(f"{found.port}：本程式", f"{found.port}: this program")
            case Who.UNKNOWN:
                passed_over.append(found)
            case _:
                return failed(_TROUBLES[whose], holder(found))
    if passed_over:
        return failed(ErrorId.PORT_TAKEN, "、".join(map(holder, passed_over)))
    return passed("沒有程式占用", "held by nobody")


async def _look_at(context: ProbeContext) -> list[tuple[FoundListener, Who]]:
    """Return who listens where portals look; another user's agent shows itself in the clear alone."""
    computer = context.computer
    ports = [port for port in computer.config.servisign.ports if port]
    native, *found = await asyncio.gather(
        asyncio.to_thread(look, computer.config.ports.native, tls=False),
        *(asyncio.to_thread(look, port) for port in ports),
    )
    rows = []
    for each in found:
        whose = await asyncio.to_thread(who, each, computer.paths)
        if (
            whose is Who.UNKNOWN
            and native.answer is ListenerKind.ANOTHER
            and each.holder
            and each.holder == native.holder
        ):
            whose = Who.ANOTHER_USERS
        rows.append((each, whose))
    return rows


@probe("host.hipki", "連接埠 61161（HiPKI）", "Port 61161 (HiPKI)")
async def hipki(context: ProbeContext) -> Finding:
    """Find out who serves the pages of citizen and business cards."""
    port = context.computer.config.hipki.port
    found = await asyncio.to_thread(look, port, tls=False)
    return await other_port(
        context, found, "自然人憑證與工商憑證的網頁", "pages of citizen and business cards"
    )


async def other_port(context: ProbeContext, found: FoundListener, zh: str, en: str) -> Finding:
    """Return who has a port that the vendor's program may have as well."""
    match await asyncio.to_thread(who, found, context.computer.paths):
        case Who.NOBODY:
            return passed(f"{found.port}：沒有程式在聽", f"{found.port}: nobody listens")
        case Who.THIS | Who.THIS_EARLIER | Who.INTERCEPTED:
            return passed(f"{found.port}：本程式", f"{found.port}: this program")
        case Who.VENDOR:
            return passed(f"{holder(found)} 在服務{zh}", f"it serves the {en}")
        case Who.UNKNOWN:
            return warned(ErrorId.PORT_TAKEN, holder(found), holder(found))
        case whose:
            return failed(_TROUBLES[whose], holder(found), holder(found))


@probe("host.vendor", "原廠的 HCAServiSign", "The vendor's HCAServiSign")
async def vendor(context: ProbeContext) -> Finding:
    """Check that the vendor's program does not run any more."""
    programs = await asyncio.to_thread(context.computer.programs)
    running = [each for each in programs if _VENDOR in each.name.casefold()]
    if running:
        return warned(ErrorId.VENDOR_RUNNING, "、".join(map(str, running)))
    return passed("沒有在執行", "not running")


@probe("host.inspection", "加密連線攔截", "TLS interception")
async def inspection(context: ProbeContext) -> Finding:
    """Check that the certificate seen on the way to this program is its own."""
    ours = [(found, whose) for found, whose in await _look_at(context) if found.answer is ListenerKind.OURS]
    if not ours:
        return skipped("本程式沒有在執行，無法檢查", "this program is not running")
    match ours[0]:
        case found, Who.ANOTHER_FOLDERS:
            return skipped(f"{holder(found)}，無法檢查", holder(found), ErrorId.PORT_OTHER_AGENT)
        case _, Who.INTERCEPTED:
            return failed(ErrorId.TRUST_INTERCEPTED)
        case _, Who.THIS_EARLIER:
            return passed(
                "看到的是本程式換新之前的憑證，十分鐘內會換上新的",
                "it is the certificate before the renewal; the new one is taken over within ten minutes",
            )
    return passed("看到的是本程式自己的憑證", "the certificate seen is this program's own")


PROBES: Final = (
    portals,
    hipki,
    vendor,
    inspection,
)
