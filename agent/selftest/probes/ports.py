"""Host rows about this program's own place: does it run, do portals reach it, and who stands in its way."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from agent import tls
from agent.errors import ErrorId
from agent.selftest.context import ProbeContext
from agent.selftest.listeners import FoundListener, ListenerKind, look
from agent.selftest.model import Finding, failed, passed, probe, skipped, warned

_VENDOR: Final = "servisign"


@probe("basic.environment", "環境檢測", "The program")
async def environment(context: ProbeContext) -> Finding:
    """Fill the row 環境檢測 of the HCA page: whether the program behind the portals runs."""
    port = context.computer.config.ports.native
    found = await asyncio.to_thread(look, port, tls=False)
    if found.answer is ListenerKind.OURS:
        return passed("HCA元件安裝成功", "the program is installed and runs")
    if found.answer is ListenerKind.CLOSED:
        return failed(ErrorId.AGENT_NOT_RUNNING)
    return failed(ErrorId.PORT_TAKEN, _holder(found), _holder(found))


@probe("host.portals", "入口網站連到的程式（56445 等）", "Whom portals reach (56445 …)")
async def portals(context: ProbeContext) -> Finding:
    """Find out whom portals' pages reach: the first port in their order on which anybody answers."""
    passed_over: list[FoundListener] = []
    for found in await _look_at(context):
        match found.answer:
            case ListenerKind.CLOSED:
                continue
            case ListenerKind.OURS if passed_over:
                others = "、".join(map(_holder, passed_over))
                return warned(
                    ErrorId.PORT_TAKEN, f"{others}；本程式改用 {found.port}", f"this one uses {found.port}"
                )
            case ListenerKind.OURS:
                return passed(f"{found.port}：本程式", f"{found.port}: this program")
            case ListenerKind.VENDOR:
                return failed(ErrorId.PORT_VENDOR, _holder(found))
            case ListenerKind.SILENT:
                return failed(ErrorId.PORT_SILENT, _holder(found))
            case ListenerKind.OTHER:
                passed_over.append(found)
    if passed_over:
        return failed(ErrorId.PORT_TAKEN, "、".join(map(_holder, passed_over)))
    return passed("沒有程式占用", "held by nobody")


async def _look_at(context: ProbeContext) -> list[FoundListener]:
    ports = [port for port in context.computer.config.servisign.ports if port]
    return await asyncio.gather(*(asyncio.to_thread(look, port) for port in ports))


def _holder(found: FoundListener) -> str:
    return f"{found.port}：{found.holder or '不明的程式 unknown program'}"


@probe("host.hipki", "連接埠 61161（HiPKI）", "Port 61161 (HiPKI)")
async def hipki(context: ProbeContext) -> Finding:
    """Find out who serves the pages of citizen and business cards."""
    port = context.computer.config.hipki.port
    return await _other_port(port, "自然人憑證與工商憑證的網頁", "pages of citizen and business cards")


async def _other_port(port: int, zh: str, en: str) -> Finding:
    found = await asyncio.to_thread(look, port, tls=False)
    if found.answer is ListenerKind.CLOSED:
        return passed(f"{port}：沒有程式在聽", f"{port}: nobody listens")
    if found.answer is ListenerKind.OURS:
        return passed(f"{port}：本程式", f"{port}: this program")
    return passed(f"{_holder(found)} 在服務{zh}", f"it serves the {en}")


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
    ours = [found for found in await _look_at(context) if found.answer is ListenerKind.OURS]
    if not ours:
        return skipped("本程式沒有在執行，無法檢查", "this program is not running")
    paths = context.computer.paths
    folder = await asyncio.to_thread(tls.in_use, paths.tls, paths.machine_tls)
    text = await asyncio.to_thread((folder / tls.LEAF).read_text, "ascii")
    if ours[0].certificate != ssl.PEM_cert_to_DER_cert(text):
        return failed(ErrorId.TRUST_INTERCEPTED)
    return passed("看到的是本程式自己的憑證", "the certificate seen is this program's own")


PROBES: Final = (
    portals,
    hipki,
    vendor,
    inspection,
)
