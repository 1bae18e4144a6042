"""Who holds a port of ours: a program that portals will take for the card component, or just any."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from agent import tls
from agent.dialects.servisign import vendor_at_port
from agent.errors import AgentError, describe
from agent.server import ports
from agent.server.ports import PortConflict
from tests.support.agent import ANY_PORT, running_agent
from tests.support.operations import until


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tls.TlsIdentity:
    """Of a maker nobody here trusts."""
    return tls.ensure(tmp_path_factory.mktemp("vendor"))


@contextmanager
def program(
    identity: tls.TlsIdentity | None, answer: bytes, status: int = 200
) -> Iterator[tuple[int, list[dict]]]:
    """Another program that answers every POST so; its port, and the requests it was sent."""
    heard: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            encoded = unquote(body.decode().removeprefix("Parameter="))
            heard.append(json.loads(base64.b64decode(encoded)) | {"Origin": self.headers["Origin"]})
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if identity is not None:
        server.socket = identity.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port, heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(result: str) -> bytes:
    return json.dumps({"result": base64.b64encode(result.encode()).decode()}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        reply("0"),
        reply(""),
        reply("61908"),
        reply("0") + b"\r\n",
        b'{"result":"MA==","SessionID":"UzE="}',
        b'{"SessionID":"UzE="}',
    ],
)
def test_a_program_that_answers_an_echo_is_told_from_others(identity: tls.TlsIdentity, answer: bytes) -> None:
    with program(identity, answer) as (port, heard):
        assert vendor_at_port.answers_as_vendor(port)
    assert [request["functionname"] for request in heard] == ["Echo"]
    assert heard[0]["sessionid"] == ""
    assert heard[0]["Origin"] == f"https://localhost:{port}"


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"{}", b"[]", b'{"result":0}', b'{"result":"@@"}', reply("hello"), b"\xff" * 100_000],
)
def test_another_answer_over_tls_is_not_the_vendors(identity: tls.TlsIdentity, answer: bytes) -> None:
    with program(identity, answer, 404) as (port, _heard):
        assert not vendor_at_port.answers_as_vendor(port)


def test_a_program_without_tls_is_not_the_vendors_and_hears_no_echo() -> None:
    with program(None, reply("0")) as (port, heard):
        assert not vendor_at_port.answers_as_vendor(port)
    assert heard == []


def test_a_program_that_never_answers_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_at_port, "ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not vendor_at_port.answers_as_vendor(silent.getsockname()[1])


def test_a_port_where_nobody_listens_is_nobodys() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not vendor_at_port.answers_as_vendor(closed.getsockname()[1])


async def test_an_agent_of_somebody_else_is_not_the_vendors(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        assert not await asyncio.to_thread(vendor_at_port.answers_as_vendor, agent.daemon.tls_port)


def test_the_conflict_says_who_the_portals_will_reach(identity: tls.TlsIdentity) -> None:
    with program(identity, reply("0")) as (port, _heard):
        with pytest.raises(AgentError) as caught:
            ports.listen([port], vendor_at_port.answers_as_vendor)
        taken = ports.listen([port, 0], vendor_at_port.answers_as_vendor)
        taken.close()
    assert caught.value.error_id == "port.vendor"
    assert "入口網站會連到它，不是本程式" in describe(caught.value).zh
    assert str(caught.value.facts["detail"]).startswith(str(port))
    (conflict,) = caught.value.facts["conflicts"]  # type: ignore[misc]
    assert conflict.answers_as_vendor
    assert taken.conflicts == (conflict,)
    assert taken.port != port


@pytest.mark.parametrize(
    ("vendors", "zh", "en"),
    [
        (True, "會連到那個元件，而不是本程式", "portals reach that one and not"),
        (False, "可能連不到", "may not find"),
    ],
)
def test_the_sentence_names_port_and_holder_and_what_to_do(vendors: bool, zh: str, en: str) -> None:
    told = PortConflict(56445, "java (4711)", answers_as_vendor=vendors).sentences()
    assert zh in told[0] and en in told[1]
    for text, do in zip(told, ("請關閉", "Close"), strict=True):
        assert "56445" in text and "java (4711)" in text and do in text
    assert "不明" in PortConflict(1, "").sentences()[0] and "unknown" in PortConflict(1, "").sentences()[1]


async def test_the_person_is_told_when_the_agent_starts_beside_the_vendors_program(
    identity: tls.TlsIdentity, tmp_path: Path
) -> None:
    with program(identity, reply("0")) as (port, heard):
        config = replace(ANY_PORT, servisign=replace(ANY_PORT.servisign, ports=(port, 0)))
        async with running_agent(tmp_path, config=config) as agent:
            assert agent.daemon.tls_port != port
            assert [conflict.answers_as_vendor for conflict in agent.daemon.conflicts] == [True]
            notices = agent.interaction.notices  # telling waits for nobody
            await until(lambda: any("會連到那個元件" in zh and str(port) in zh for zh, _ in notices))
    assert len(heard) == 1
