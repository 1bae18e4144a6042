"""Pages that connect and vanish, at every door and at every stage; and slow ones, and silent ones."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from agent.interaction import Question
from agent.server import http, serving
from tests.bench.tables import Table
from tests.soak.course import course, table
from tests.soak.crowd import crowd, crowded_agent
from tests.soak.person import Patient
from tests.support import raw_http
from tests.support.agent import PORTAL, RunningAgent
from tests.support.hipki import FORM, package
from tests.support.hostile import Doors, Portal
from tests.support.nhi_component import TURNED_ON
from tests.support.raw_websocket import TEXT, RawWebSocket, opening
from tests.support.servisign_page import Page, Text, body_of
from tests.support.waiting import until_async

SITES, STRANGERS = crowd(40)
_MANY: Final = 100
_OF_A_ROUND: Final = 100
_AT_ONCE: Final = 16
_SECONDS: Final = 30.0


class Absent(Patient):
    """Leaves the windows of all sites but the portal's as they are.

    Attributes:
        open: how many there are now.
        opened: how many there ever were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open = self.opened = 0

    async def ask(self, question: Question[Any]) -> Any:
        """Answer the portal."""
        if question.origin == PORTAL:
            return await super().ask(question)
        self.open += 1
        self.opened += 1
        try:
            return await asyncio.Event().wait()
        finally:
            self.open -= 1


@dataclass(frozen=True)
class Line:
    """One connection of a page, not a browser's: it is left as it stands."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def leave(self, *, rudely: bool) -> None:
        """End it: with a reset (RFC 9293 §3.10.7), as a browser that is killed does, or in order."""
        if rudely:
            link = self.writer.get_extra_info("socket")
            with suppress(OSError, AttributeError):  # where the agent was faster
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()

    async def head(self) -> bytes:
        """Read the head of an answer."""
        async with asyncio.timeout(_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> bytes:
        """Read the body of an answer."""
        head = await self.head()
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        return await self.reader.readexactly(int(found[1]) if found else 0)

    async def ended(self) -> None:
        """Wait until the agent has ended it."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


@dataclass(frozen=True)
class Door:
    """Where pages come in.

    Attributes:
        tls: for a door that speaks TLS.
        request: what a page of an origin sends first.
        calls: what it says then; the last is answered by a person only.
    """

    name: str
    port: int
    tls: ssl.SSLContext | None
    request: Callable[[str], bytes]
    talk: Callable[[Line, str], Any]

    async def line(self) -> Line:
        """Connect."""
        name = "localhost" if self.tls else None
        return Line(
            *await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname=name)
        )

    async def plain(self) -> Line:
        """Connect below TLS."""
        return Line(*await asyncio.open_connection("127.0.0.1", self.port))


def _popup(port: int) -> bytes:
    return raw_http.request("GET", "/popupForm", [("Host", f"localhost:{port}")])


def _form(port: int, path: str, origin: str, body: bytes, *more: tuple[str, str]) -> bytes:
    head = (("Host", f"localhost:{port}"), ("Origin", origin), ("Content-Type", FORM))
    return raw_http.request("POST", path, (*head, *more, ("Content-Length", str(len(body)))), body)


def _native_sign() -> bytes:
    params = {"document": base64.b64encode(b"a record").decode()}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "sign", "params": params}).encode()


async def _talk_native(line: Line, _origin: str) -> None:
    RawWebSocket(line.reader, line.writer).send(TEXT, _native_sign())


async def _talk_nhi(line: Line, _origin: str) -> None:
    RawWebSocket(line.reader, line.writer).send(TEXT, b"GetBasic")


def doors(agent: RunningAgent) -> tuple[Door, ...]:
    """Return the doors of an agent."""
    ports, tls = Doors.of(agent), raw_http.any_certificate()

    def form(origin: str, body: bytes) -> bytes:
        return _form(ports.tls, "/", origin, body)

    def echo(origin: str) -> bytes:
        return form(origin, body_of(Page(_nobody, origin).request("Echo")))

    async def talk_servisign(line: Line, origin: str) -> None:
        async def handle(_origin: str, body: bytes) -> bytes:
            line.writer.write(form(origin, body))
            return await line.answer()

        page = Page(handle, origin)
        await page.echo()
        begin = page.request("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        if origin in STRANGERS:  # this is what the person is asked about
            line.writer.write(form(origin, body_of(begin)))
            return
        await page.send(begin)
        line.writer.write(form(origin, body_of(page.request("ATL_MakeSignature", b64Data=Text("QQ==")))))

    async def talk_hipki(line: Line, origin: str) -> None:
        line.writer.write(_popup(ports.hipki))
        found = re.search(rb'name="ticket" content="([\w-]+)"', await line.answer())
        assert found is not None
        body = package(func="MakeSignature", tbs="text", signatureType="PKCS1", hashAlgorithm="SHA256")
        own = f"http://localhost:{ports.hipki}"
        shown = ("X-HCA-Ticket", found[1].decode()), ("X-HCA-Portal", origin)
        line.writer.write(_form(ports.hipki, "/sign", own, body, *shown))

    return (
        Door("native", ports.clear, None, lambda origin: opening(ports.clear, "/v1", origin), _talk_native),
        Door("native, TLS", ports.tls, tls, lambda origin: opening(ports.tls, "/v1", origin), _talk_native),
        Door("ServiSign", ports.tls, tls, echo, talk_servisign),
        Door("HiPKI", ports.hipki, None, lambda _origin: _popup(ports.hipki), talk_hipki),
        Door("NHI", ports.nhi, tls, lambda origin: opening(ports.nhi, "/echo", origin), _talk_nhi),
    )


async def _nobody(_origin: str, _body: bytes) -> bytes:
    return b""


# The stages at which a page vanishes.


async def after_tcp(door: Door, _origin: str, _person: Absent) -> Line:
    """Connected, and nothing said."""
    return await door.plain()


async def in_handshake(door: Door, _origin: str, _person: Absent) -> Line:
    """Half of what a TLS client says first; in the clear, a byte."""
    line = await door.plain()
    line.writer.write(_client_hello()[:80] if door.tls else b"G")
    return line


async def after_tls(door: Door, _origin: str, _person: Absent) -> Line:
    """A line that could be spoken on."""
    return await door.line()


async def in_head(door: Door, origin: str, _person: Absent) -> Line:
    """Half of a request's head."""
    line = await door.line()
    request = door.request(origin)
    line.writer.write(request[: request.index(b"\r\n\r\n") // 2])
    return line


async def in_request(door: Door, origin: str, _person: Absent) -> Line:
    """All of a request but its last byte."""
    line = await door.line()
    line.writer.write(door.request(origin)[:-1])
    return line


async def unread(door: Door, origin: str, _person: Absent) -> Line:
    """A request whose answer nobody reads."""
    line = await door.line()
    line.writer.write(door.request(origin))
    return line


async def answered(door: Door, origin: str, _person: Absent) -> Line:
    """One request that was answered, and half a WebSocket frame where one is spoken."""
    line = await door.line()
    line.writer.write(door.request(origin))
    if b" 101 " in await line.head():
        line.writer.write(b"\x81\xfe\x01")
    return line


async def in_call(door: Door, origin: str, _person: Absent) -> Line:
    """Work was asked for."""
    line = await door.line()
    request = door.request(origin)
    if b"Upgrade" in request:
        line.writer.write(request)
        await line.head()
    await door.talk(line, origin)
    return line


async def with_a_question(door: Door, origin: str, person: Absent) -> Line:
    """Work was asked for, and the person looks at the window; or was told of a refusal."""
    before = person.opened
    line = await in_call(door, origin, person)
    told = asyncio.create_task(line.reader.read(1))
    with suppress(ConnectionError):
        await until_async(lambda: person.opened > before or told.done(), "nobody was asked", _SECONDS)
    told.cancel()
    await asyncio.gather(told, return_exceptions=True)
    return line


STAGES: Final = (
    after_tcp, in_handshake, after_tls, in_head, in_request, unread, answered, in_call, with_a_question,
)  # fmt: skip


def _client_hello() -> bytes:
    said = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        tls = raw_http.any_certificate()
        tls.wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost").do_handshake()
    return said.read()


def _agent(person: Absent) -> AbstractAsyncContextManager[RunningAgent]:
    return crowded_agent(person, SITES, TURNED_ON, requests=1000)


def vanishing(times: int) -> Table:
    """Let so many pages connect and vanish, one by one and many at once; then a portal works as ever."""
    return asyncio.run(_vanishing(times))


async def _vanishing(times: int) -> Table:
    into = table("Pages that connect and vanish")
    person = Absent()
    async with _agent(person) as agent:
        portal = Portal(agent)
        ways = tuple(itertools.product(STAGES, doors(agent)))

        async def vanish(number: int) -> None:
            stage, door = ways[number % len(ways)]
            origin = (SITES, STRANGERS)[number % 2][number // len(ways) % len(SITES)]
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the agent may have ended it first
                line = await stage(door, origin, person)
                line.leave(rudely=number % 3 != 0)

        async def nothing_is_left() -> None:
            await until_async(lambda: not person.open, lambda: f"{person.open} windows stay open", _SECONDS)
            await until_async(lambda: not agent.daemon.operations.busy, "work goes on for nobody", _SECONDS)

        async def one(number: int) -> None:
            await vanish(number)
            if number % len(ways) == 0:
                await nothing_is_left()
                await portal.native()

        async def many(number: int) -> None:
            await asyncio.gather(*(vanish(number * _AT_ONCE + each) for each in range(_AT_ONCE)))
            if number % 10 == 0:
                await nothing_is_left()
                await portal.native()

        await course(into, "one after the other", times, one, ways=2 * len(ways))
        await course(into, f"{_AT_ONCE} at once", max(times // _AT_ONCE, 3), many)
        await nothing_is_left()
        for log_in in portal.log_ins.values():
            await log_in()
        into.notes.append(
            f"{len(STAGES)} stages at {len(doors(agent))} doors; {person.opened:,} windows were open when"
            " their page vanished, none stayed; then a portal logged in at three doors"
        )
    return into


def slow(times: int) -> Table:
    """Hold so many connections that never go on, or a byte at a time; a portal works beside them.

    Few of them are waited for a second only, not as long as the agent does.
    """
    return asyncio.run(_slow(times, serving.HEAD_SECONDS if times >= _MANY else 1.0))


async def _slow(times: int, patience: float) -> Table:
    into = table(f"Half-open and slow pages, {patience:.0f} s for a head or a body")
    person = Absent()
    async with _agent(person) as agent:
        portal = Portal(agent)
        everywhere = doors(agent)
        with (
            patch.object(serving, "HEAD_SECONDS", patience),
            patch.object(http, "BODY_SECONDS_MAX", patience),
        ):

            async def drop_by_drop(door: Door, number: int) -> None:
                line = await door.line()
                ending = asyncio.create_task(line.ended())
                request = door.request(SITES[number % len(SITES)])
                for byte in request[:-1]:
                    if ending.done():
                        break
                    line.writer.write(bytes((byte,)))
                    await asyncio.wait((ending,), timeout=patience / 40)
                await asyncio.wait_for(ending, patience + _SECONDS)
                line.leave(rudely=True)

            async def silent(door: Door, number: int) -> None:
                line = await (door.plain() if number % 2 else door.line())
                await asyncio.wait_for(line.ended(), patience + _SECONDS)
                line.leave(rudely=False)

            async def all_of(_number: int) -> None:
                held = [
                    asyncio.create_task(hold(door, each))
                    for each in range(min(times, _OF_A_ROUND) // (2 * len(everywhere)))
                    for door in everywhere
                    for hold in (drop_by_drop, silent)
                ]
                while not all(each.done() for each in held):
                    await portal.native()
                    await asyncio.wait(held, timeout=patience / 5)
                found = await asyncio.gather(*held, return_exceptions=True)
                failed = [
                    each for each in found if each is not None and not isinstance(each, ConnectionError)
                ]
                assert not failed, failed

            await course(into, "rounds, a portal beside them", max(times // _OF_A_ROUND, 1), all_of)
        for log_in in portal.log_ins.values():
            await log_in()
    return into
