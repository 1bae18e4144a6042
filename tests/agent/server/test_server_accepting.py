"""Connections before their first word: whose they are, what they cost, and which of them give way."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.server import serving
from tests.support.agent import PORTAL, RunningAgent, running_agent
from tests.support.nhi_component import TURNED_ON
from tests.support.waiting import LIMIT

STRANGER = "https://stranger.example"

_OF_ANOTHER_USER = """
import encodings.idna, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for port in map(int, sys.argv[1:]):
    with socket.create_connection(("127.0.0.1", port), 20) as one:
        try:
            print(port, one.recv(100)[:12].decode(), sep=":")
        except ConnectionError:
            print(port, "", sep=":")
"""


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path, config=TURNED_ON) as running:
        yield running


async def said_to(
    agent: RunningAgent, origin: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection that an origin keeps open after an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.daemon.native_port)
    await answered(agent, origin, reader, writer)
    return reader, writer


async def answered(
    agent: RunningAgent, origin: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    host = f"localhost:{agent.daemon.native_port}"
    said = "" if origin is None else f"Origin: {origin}\r\n"
    writer.write(f"GET /status HTTP/1.1\r\nHost: {host}\r\n{said}\r\n".encode())
    async with asyncio.timeout(LIMIT):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"}")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="becoming another user takes root")
async def test_no_door_speaks_with_another_user(agent: RunningAgent) -> None:
    daemon = agent.daemon
    clear = [daemon.native_port, daemon.hipki_port]
    ports = [*clear, daemon.tls_port, *daemon.nhi_ports]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OF_ANOTHER_USER, *map(str, ports), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    expected = [f"{port}:{'HTTP/1.1 403' if port in clear else ''}" for port in ports]
    assert said.decode().splitlines() == expected


async def test_a_socket_that_never_speaks_gets_no_tls(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    connect = asyncio.BaseEventLoop.connect_accepted_socket

    async def connect_counted(*arguments: Any, **settings: Any) -> Any:
        begun.append(settings["ssl"])
        return await connect(*arguments, **settings)

    monkeypatch.setattr(asyncio.BaseEventLoop, "connect_accepted_socket", connect_counted)
    # More than may be in a handshake at one time: the oldest end for the newest.
    silent = [await asyncio.open_connection("127.0.0.1", agent.daemon.tls_port) for _ in range(100)]
    async with agent.http.get(f"{agent.tls}/status") as response:
        assert response.status == 200
    assert await asyncio.wait_for(silent[0][0].read(), LIMIT) == b""
    for _, writer in silent:
        writer.close()
        await writer.wait_closed()
    async with agent.http.get(f"{agent.tls}/status", headers={"Connection": "close"}) as response:
        assert response.status == 200
    assert 1 <= len(begun) <= 2


async def test_tls_is_spoken_where_the_loop_cannot_watch_sockets(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_reader(*_: Any) -> None:
        raise NotImplementedError  # as the loop of Windows does

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", add_reader)
    async with agent.http.get(f"{agent.tls}/status") as response:
        assert response.status == 200


async def test_a_port_survives_whatever_accepting_a_connection_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    accept, failed = loop.sock_accept, set[socket.socket]()

    async def sock_accept(listener: socket.socket) -> Any:
        if listener not in failed:
            failed.add(listener)
            raise MemoryError
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", sock_accept)
    async with running_agent(tmp_path) as agent, agent.http.get(f"{agent.tls}/status") as response:
        assert response.status == 200
        assert failed


async def test_a_request_without_an_origin_makes_no_connection_known(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 4)
    portals = await said_to(agent, PORTAL)
    pictures = [await said_to(agent, None) for _ in range(3)]
    more = [await said_to(agent, STRANGER) for _ in range(3)]
    for reader, _ in pictures:
        assert await asyncio.wait_for(reader.read(), LIMIT) == b""
    await answered(agent, PORTAL, *portals)
    for _, writer in (portals, *pictures, *more):
        writer.close()


async def test_strangers_connections_give_way_before_a_portals(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 4)
    portals = await said_to(agent, PORTAL)
    strangers = [await said_to(agent, STRANGER) for _ in range(3)]
    more = [await said_to(agent, STRANGER) for _ in range(3)]
    for reader, _ in strangers:
        assert await asyncio.wait_for(reader.read(), LIMIT) == b""
    await answered(agent, PORTAL, *portals)
    for _, writer in (portals, *strangers, *more):
        writer.close()
