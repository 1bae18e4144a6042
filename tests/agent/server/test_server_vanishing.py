"""Pages that vanish: nothing of them stays, and they are not worth a word in the log."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path

import pytest
from aiohttp import web

from agent.server.gate import Gate
from tests.support import raw_http
from tests.support.agent import PORTAL, running_agent
from tests.support.raw_websocket import raw_websocket
from tests.support.waiting import until_async


def sockets() -> int:
    gc.collect()
    return sum(type(each) is web.WebSocketResponse for each in gc.get_objects())


async def test_nothing_waits_for_the_heartbeat_of_a_page_that_vanished(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        before = sockets()
        for _ in range(3):
            async with raw_websocket(agent.daemon.native_port, "/v1", PORTAL):
                pass  # which cuts the line
        await until_async(lambda: sockets() <= before, "the connections are still there")


@pytest.mark.parametrize(("left", "logged"), [(True, False), (False, True)])
async def test_an_answer_that_cannot_be_written_is_no_fault_where_the_other_side_has_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    left: bool,
    logged: bool,
) -> None:
    answered = asyncio.Event()

    async def answer(_gate: Gate, request: web.BaseRequest, _listener: object) -> web.StreamResponse:
        answered.set()
        if left:
            assert request.transport is not None
            request.transport.close()
        raise ConnectionResetError("Cannot write to closing transport")

    async with running_agent(tmp_path) as agent:
        port = agent.daemon.native_port
        monkeypatch.setattr(Gate, "answer", answer)
        head = raw_http.request("GET", "/status", [("Host", f"localhost:{port}")])
        await raw_http.send(port, head)
        assert answered.is_set()
    assert any(each.levelno >= logging.ERROR for each in caplog.records) is logged
