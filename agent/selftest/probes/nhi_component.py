"""Host rows about the NHI component dialect: who answers its pages, under which name, and who trusts that."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

from agent import tls
from agent.errors import ErrorId
from agent.selftest.context import ProbeContext
from agent.selftest.listeners import FoundListener, ListenerKind, look
from agent.selftest.model import Finding, failed, passed, probe, warned
from agent.selftest.probes.ports import other_port
from agent.selftest.probes.system import judged, trust_rows
from agent.selftest.whose import holder

_STANDARD: Final = 7777


@probe("host.nhi", "連接埠 7777（健保卡元件）", "Port 7777 (NHI component)")
async def port(context: ProbeContext) -> Finding:
    """Find out which program pages of NHI cards reach."""
    settings = context.computer.config.nhi_component
    if not settings.enabled:
        return await _other(context, await asyncio.to_thread(look, _STANDARD))
    looks = (asyncio.to_thread(look, each) for each in settings.ports if each)
    found = await asyncio.gather(*looks)
    others = [each for each in found if each.answer not in (ListenerKind.OURS, ListenerKind.CLOSED)]
    if others:
        return failed(ErrorId.NHI_PORT_HELD, "、".join(map(holder, others)))
    ports = "、".join(str(each.port) for each in found)
    if any(each.answer is ListenerKind.CLOSED for each in found):
        return failed(ErrorId.AGENT_NOT_RUNNING, f"{ports}：沒有程式在聽", f"{ports}: nobody listens")
    return passed(f"{ports}：本程式", f"{ports}: this program")


async def _other(context: ProbeContext, found: FoundListener) -> Finding:
    """Return who answers while the dialect is off; anybody may, who answers at all."""
    if found.answer is ListenerKind.OTHER:  # NHI's own program answers no Echo
        return passed(f"{holder(found)} 在服務健保卡的網頁", "it serves the pages of NHI cards")
    return await other_port(context, found, "健保卡的網頁", "pages of NHI cards")


@probe("host.nhi_name", "iccert.nhi.gov.tw 指向本機", "iccert.nhi.gov.tw leads here")
async def name(_context: ProbeContext) -> Finding:
    """Check that the component's name leads to this computer, as the hosts file should say."""
    host = tls.NHI_COMPONENT.host
    addresses = await asyncio.to_thread(_addresses, host)
    if addresses and all(ipaddress.ip_address(each).is_loopback for each in addresses):
        return passed(f"{host} → {'、'.join(addresses)}")
    # Pages that use wss://localhost work without it.
    shown = "、".join(addresses)
    return warned(ErrorId.NHI_HOSTS_ENTRY, shown or "查不到", shown or "not found")


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, _STANDARD, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(address[0]).partition("%")[0] for *_, address in found})


@probe(
    "host.nhi_trust",
    "瀏覽器信任健保卡元件的憑證",
    "Browsers trust the NHI component's certificate",
    needs=("host.nss",),
)
async def trust(context: ProbeContext) -> Finding:
    """Check which browsers accept the certificate for the component's name."""
    return judged(context, await asyncio.to_thread(trust_rows, context, tls.NHI_COMPONENT))


PROBES: Final = (
    name,
    trust,
)
"""Rows for whoever has turned the dialect on."""
