"""The NHI component dialect as pages and TLS clients meet it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from agent.config import NhiComponentSettings
from tests.support.agent import ANY_PORT, PORTAL, RunningAgent, running_agent
from tests.support.raw_http import any_certificate
from tests.support.waiting import LIMIT

NAME: Final = "iccert.nhi.gov.tw"
TURNED_ON: Final = replace(ANY_PORT, nhi_component=NhiComponentSettings(enabled=True, ports=(0,)))
BASIC: Final = "GetBasic:000000000001,A100000001,測試民眾,0800229,F,1"


@asynccontextmanager
async def component_agent(
    folder: Path, kinds: tuple[str, ...] = ("nhi",), **more: Any
) -> AsyncIterator[RunningAgent]:
    """An agent whose administrator has turned the dialect on."""
    async with running_agent(folder, kinds, **{"config": TURNED_ON, **more}) as agent:
        yield agent


@asynccontextmanager
async def page(
    agent: RunningAgent, origin: str | None = PORTAL, *, host: str = "localhost", path: str = "/echo"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket as a page of `origin` opens it to `wss://HOST:PORT/echo`; None sends no Origin."""
    [port] = agent.daemon.nhi_ports
    headers = {"Host": f"{host}:{port}"} | ({} if origin is None else {"Origin": origin})
    address = f"https://127.0.0.1:{port}{path}"
    async with agent.http.ws_connect(
        address, headers=headers, server_hostname=host, ssl=trusting(agent)
    ) as it:
        yield it


async def ask(socket: aiohttp.ClientWebSocketResponse, *frames: str) -> list[str]:
    """The answers to frames that are sent without waiting."""
    for frame in frames:
        await socket.send_str(frame)
    return [await socket.receive_str(timeout=LIMIT) for _ in frames]


def trusting(agent: RunningAgent) -> ssl.SSLContext:
    """A client that trusts both authorities of the agent."""
    context = ssl.create_default_context(cafile=str(agent.daemon.identity.ca))
    if agent.daemon.nhi_identity is not None:
        context.load_verify_locations(agent.daemon.nhi_identity.ca)
    return context


def names_shown(port: int, name: str | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The certificate, DER, that a client is shown that asks for `name`; blocking."""
    context = any_certificate()
    context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as link,
    ):
        return link.getpeercert(binary_form=True) or b""
