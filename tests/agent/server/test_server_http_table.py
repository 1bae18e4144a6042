"""HTTP as no browser sends it, at every port: what is answered, what the gate sees of it, and what ends.

Each row is sent in front of one more request, once in the same piece and once after its answer. Where it is
refused the connection ends, and what stood behind it is never read as a request; where it is served, exactly
two requests are. No row has its way with a card.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from agent.access.policy import Listener
from agent.audit import AuditLog
from agent.config import Config
from agent.server import serving
from agent.server.gate import Gate
from tests.support.agent import DENIED, PORTAL, RunningAgent
from tests.support.nhi_component import component_agent
from tests.support.raw_http import any_certificate

_AT_ONCE_MAX: Final = 24
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Door:
    """One port.

    Attributes:
        websocket: where its WebSocket is; None where it has none.
        form: where a form is posted, and what is answered to one that is admitted.
        posted: the answer's status.
        preflight: what a preflight of an allowed site is answered.
    """

    name: str
    port: Callable[[RunningAgent], int]
    tls: bool
    websocket: str | None
    form: str
    posted: int
    preflight: int


DOORS: Final = (
    Door("native", lambda agent: agent.daemon.native_port, False, "/v1", "/", 404, 204),
    Door("servisign", lambda agent: agent.daemon.tls_port, True, "/v1", "/", 200, 204),
    Door("hipki", lambda agent: agent.daemon.hipki_port or 0, False, None, "/sign", 403, 404),
    Door("nhi", lambda agent: agent.daemon.nhi_ports[0], True, "/echo", "/echo", 404, 404),
)

POSTED: Final = -1
"""What this door answers to a form of an allowed site."""
PREFLIGHT: Final = -2


@dataclass(frozen=True)
class Row:
    """What is sent, and what is answered to it.

    Attributes:
        status: of the first answer.
        last: whether the connection ends although it is served.
        alone: whether something behind it in the same piece makes aiohttp refuse both.
        websocket: whether it is for a WebSocket, which not every door has.
    """

    name: str
    octets: bytes
    status: int
    last: bool = False
    alone: bool = False
    websocket: bool = False


ROWS: Final[dict[str, Row]] = {}


def add(name: str, octets: str | bytes, status: int, **more: bool) -> None:
    """Add a row; text goes out in UTF-8."""
    assert name not in ROWS, name
    ROWS[name] = Row(name, octets.encode("utf-8") if isinstance(octets, str) else octets, status, **more)


# {host}, {port}, {ws} and {form} are the door's; {portal} may ask, {denied} may not; {length} is SMUGGLED's.
HOST: Final = "Host: {host}\r\n"
SMUGGLED: Final = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\nOrigin: {portal}\r\n\r\n"
NEXT: Final = "GET /status?next HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def head(
    headers: str = HOST, *, method: str = "GET", target: str = "/status", version: str = "HTTP/1.1"
) -> str:
    """A request without a body; `headers` end their lines themselves."""
    return f"{method} {target} {version}\r\n{headers}\r\n"


def posted(headers: str, body: str = "", *, origin: str = "{portal}", version: str = "HTTP/1.1") -> str:
    """A form as an allowed site's page posts it, but for how long it says that it is."""
    return (
        f"POST {{form}} {version}\r\n{HOST}Origin: {origin}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n{headers}\r\n{body}"
    )


def chunked(body: str, coding: str = "chunked") -> str:
    """The same with a body in chunks."""
    return posted(f"Transfer-Encoding: {coding}\r\n", body)


def upgrade(*headers: str, version: str = "HTTP/1.1", target: str = "{ws}", origin: str = "{portal}") -> str:
    """A WebSocket's opening with these headers instead of, or besides, the right ones (RFC 6455 §4.1)."""
    right = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    changed = {name for name, _, _ in (each.partition(":") for each in headers)}
    lines = [*(f"{name}: {value}" for name, value in right.items() if name not in changed), *headers]
    return head(
        f"{HOST}Origin: {origin}\r\n" + "".join(f"{line}\r\n" for line in lines),
        target=target,
        version=version,
    )


# Request lines (RFC 9112 §3)
add("a plain request", head(), 200)
add("an empty line first", "\r\n" + head(), 200)
add("two spaces", "GET  /status  HTTP/1.1\r\n" + HOST + "\r\n", 200)
add("a query", head(target="/status?x=http://evil.example/"), 200)
for name, target in {
    "another site's absolute target": "http://evil.example/status",
    "the same in capitals": "HTTP://EVIL.EXAMPLE/status",
    "our own absolute target": "http://{host}/status",
    "a target with userinfo": "http://evil.example@{host}/status",
    "a target of another scheme": "ftp://{host}/status",
    "an authority as target": "{host}",
    "a target without a slash": "status",
    "a backslash": "\\status",
    "an asterisk": "*",
    "a fragment": "/status#x",
    "NUL in the target": "/sta\0tus",
    "letters beyond ASCII in the target": "/stätus",
    "a very long target": "/status?" + "x" * 20_000,
}.items():
    add(name, head(target=target), 400)
add("two slashes", head(target="//evil.example/status"), 403)
add("dots in the path", head(target="/x/../status"), 403)
add("an encoded path", head(target="/%73tatus"), 403)
for method in ("HEAD", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "M-SEARCH", "SOURCE"):
    add(f"method {method}", head(method=method), 403)
for method in ("get", "PRI", "GE T", "G\0T", "", "GET\t", "X" * 300):
    add(f"method {method[:9]!r}", head(method=method), 400)
add("CONNECT", head(method="CONNECT", target="evil.example:443"), 400)
add("CONNECT to a path", head(method="CONNECT"), 403)
add("OPTIONS *", head(method="OPTIONS", target="*"), 400)
add("HTTP/2's first words", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400)
add("HTTP/0.9", "GET /status\r\n\r\n", 505, alone=True)
add("TLS in the clear", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400)
for version in ("HTTP/2.0", "HTTP/0.9"):
    add(f"version {version}", head(version=version), 505, alone=True)
for version in ("HTTP/1.2", "HTTP/9.9", "HTTP/11.1", "HTTP/1.10", "HTTP/1,1", "HTTP/1.", "http/1.1",
                "HTTP/1.1 ", "HTTP/1.1 x", "HTTPS/1.1", "ICE/1.0"):  # fmt: skip
    add(f"version {version!r}", head(version=version), 400)
# The parser takes this one for HTTP/1.0, and nobody behind it can tell.
add("version RTSP/1.0", head(version="RTSP/1.0"), 200, last=True, alone=True)
add("HTTP/1.0", head(version="HTTP/1.0"), 200, last=True, alone=True)
add("HTTP/1.0 that stays", head(HOST + "Connection: keep-alive\r\n", version="HTTP/1.0"), 200)
add("HTTP/1.0 without Host", head("", version="HTTP/1.0"), 403, alone=True)
add("the last by its own word", head(HOST + "Connection: close\r\n"), 200, last=True, alone=True)
add("tabs", f"GET\t/status\tHTTP/1.1\r\n{HOST}\r\n", 400)
add("a space first", " " + head(), 400)

# Lines (§2.2, §5)
add("LF alone", head().replace("\r\n", "\n"), 400)
add("LF alone once", head().replace("\r\n", "\n", 1), 400)
add("LF alone behind a header", f"GET /status HTTP/1.1\r\n{HOST}X: y\n\r\n", 400)
add("LF alone at the end", f"GET /status HTTP/1.1\r\n{HOST}\n", 400)
add("CR alone at the end", "GET /status HTTP/1.1\r\nHost: {host}\r\r", 400)
for name, lines in {
    "CR alone in a header": "X: a\rb",
    "CR alone before an Origin": "X: a\rOrigin: {portal}",
    "CR twice": "X: a\r",
    "NUL in a header": "X: a\0b",
    "NUL in a name": "X\0: a",
    "DEL in a header": "X: a\x7fb",
    "a control character": "X: a\x01b",
    "a folded header": "X: a\r\n b",
    "a folded Origin": "Origin:\r\n\t{portal}",
    "a space before the colon": "X : a",
    "a tab before the colon": "X\t: a",
    "no name": ": a",
    "no colon": "Xa",
    "a space in a name": "X Y: a",
    "a name beyond ASCII": "Hóst: a",
    "a bracket in a name": "X(: a",
    "too many headers": "X: y\r\n" * 1000 + "X: y",
    "too many headers of other names": "\r\n".join(f"X{number}: y" for number in range(600)),
    "a very long header": "X: " + "y" * 20_000,
    "a very long name": "y" * 20_000 + ": x",
}.items():
    add(name, head(f"{HOST}{lines}\r\n"), 400)
add("letters beyond ASCII in a header", head(HOST + "X: é\r\n"), 200)
add("a folded line first", head(" X: a\r\n" + HOST), 400)

# Host (§3.2); every hostile name is in tests/agent/test_hostile_origins.py
for name, lines in {
    "no Host": "",
    "Host twice": HOST + HOST,
    "another Host behind ours": HOST + "Host: evil.example\r\n",
    "another Host before ours": "Host: evil.example\r\n" + HOST,
    "a space behind Host": "Host : {host}\r\n",
    "a folded Host": "Host: {host}\r\n .evil.example\r\n",
}.items():
    add(name, head(lines), 400)
for name, host in {
    "an empty Host": "",
    "a rebound name": "rebind.evil.example:{port}",
    "an address in a name": "127.0.0.1.nip.io:{port}",
    "another port": "localhost:1",
    "userinfo in Host": "x@{host}",
    "a list in Host": "{host}, evil.example",
}.items():
    add(name, head(f"Host: {host}\r\n"), 403)
    add(f"{name}, a form", posted("Content-Length: 9999\r\n").replace(HOST, f"Host: {host}\r\n"), 403)
add(
    "our name forwarded",
    head("Host: evil.example\r\nX-Forwarded-Host: {host}\r\nForwarded: host={host}\r\n"),
    403,
)
add("another name forwarded", head(HOST + "X-Forwarded-Host: evil.example\r\nHo_st: evil.example\r\n"), 200)
add("blanks around Host", head("hOST: \t {host} \t\r\n"), 200)

# Origin; likewise. The form's body never comes: nobody waited for it.
for name, origin in {
    "null": "null",
    "no origin at all": "",
    "a path": "https://portal.example.tw/",
    "userinfo": "https://x@portal.example.tw",
    "another scheme's case": "HTTPS://portal.example.tw",
    "capitals": "https://PORTAL.example.tw",
    "letters beyond ASCII": "https://pörtal.example.tw",
    "a last dot": "https://portal.example.tw.",
    "a port too many": "https://portal.example.tw:443",
    "a denied site": "{denied}",
    "two in one": "{portal}, {portal}",
    "two": "{portal}\r\nOrigin: {portal}",
    "two in other case": "{portal}\r\norigin: {denied}",
}.items():
    add(f"Origin: {name}", head(f"{HOST}Origin: {origin}\r\n", target="{ws}"), 403)
    add(f"Origin of a form: {name}", posted("Content-Length: 9999\r\n", origin=origin), 403)
    add(f"Origin of chunks: {name}", posted("Transfer-Encoding: chunked\r\n", "ff\r\n", origin=origin), 403)
    add(f"Origin of a WebSocket: {name}", upgrade(origin=origin) + SMUGGLED, 403)

# Lengths (§6.2)
add("no length", posted(""), POSTED)
for length in ("3", "3 ", "  3", "3\t", "003"):
    add(f"length {length!r}", posted(f"Content-Length: {length}\r\n", "abc"), POSTED)
for length in ("+3", "-3", "0x3", "3_0", "3,3", "3, 3", "3;", "3.0", "3e0", "", "３", "3\v", "3 3", "9" * 23,
               str(2**64 + 3)):  # fmt: skip
    add(f"length {length!r}", posted(f"Content-Length: {length}\r\n", "abc"), 400)
for other in ("Content-Length: 3", "Content-Length: 4", "content-length: 0", "Transfer-Encoding: chunked",
              "Transfer-Encoding: identity"):  # fmt: skip
    add(f"length and {other}", posted(f"Content-Length: 3\r\n{other}\r\n", "abc"), 400)
    add(f"{other} and length", posted(f"{other}\r\nContent-Length: 3\r\n", "abc"), 400)
add("a space behind Content-Length", posted("Content-Length : 3\r\n", "abc"), 400)
add("a request in a body that is read by nobody", head(HOST + "Content-Length: {length}\r\n") + SMUGGLED, 200)
add(
    "a request in a body that is refused",
    posted("Content-Length: {length}\r\n", SMUGGLED, origin="{denied}"),
    403,
)
add("another coding", posted("Content-Length: 3\r\nTransfer_Encoding: chunked\r\n", "abc"), POSTED)

# Chunks (§6.1, §7)
CHUNKS: Final = "3\r\nabc\r\n0\r\n\r\n"
for coding in ("chunked", "Chunked", " chunked", "chunked ", "\tchunked"):
    add(f"coding {coding!r}", chunked(CHUNKS, coding), POSTED, last=True)
for coding in ("identity, chunked", "gzip, chunked", ",chunked"):
    add(f"coding {coding!r}", chunked(CHUNKS, coding), 501)
for coding in ("\vchunked", "chunked\v", "\r\n chunked", "x\r\n chunked", "chunked, identity",
               "chunked, gzip",
               "chunked, chunked", "identity", "gzip", "xchunked", "x-chunked", "chunkedx", '"chunked"',
               "chunked;q=1", "chunked,", "", "chunked\0", "chu\0nked", "chünked",
               "chunked\r\nTransfer-Encoding: chunked", "chunked\r\nTransfer-Encoding: identity",
               "identity\r\nTransfer-Encoding: chunked"):  # fmt: skip
    add(f"coding {coding!r}", chunked(CHUNKS, coding), 400)
add("a space behind Transfer-Encoding", posted("Transfer-Encoding : chunked\r\n", CHUNKS), 400)
add(
    "chunks of HTTP/1.0",
    posted("Transfer-Encoding: chunked\r\n", CHUNKS, version="HTTP/1.0"),
    400,
    alone=True,
)
add("chunks that nobody reads", head(HOST + "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 200, last=True)
for name, body in {
    "an extension": "3;a=b\r\nabc\r\n0\r\n\r\n",
    "a quoted extension": '3;a="b\\"c"\r\nabc\r\n0\r\n\r\n',
    "zeros before the size": "0" * 5000 + "3\r\nabc\r\n00\r\n\r\n",
    "a size in capitals": "A\r\n0123456789\r\n0\r\n\r\n",
    "a trailer": "0\r\nX: y\r\n\r\n",
    "an Origin behind": "0\r\nOrigin: https://evil.example\r\n\r\n",
    "a token behind": "0\r\nAuthorization: Bearer x\r\n\r\n",
}.items():
    add(f"chunks with {name}", chunked(body), POSTED, last=True)
add("chunks with a Host behind", chunked("0\r\nHost: evil.example\r\n\r\n"), POSTED, last=True, alone=True)
for name, body in {
    "LF in an extension": "3;a\nabc\r\n0\r\n\r\n",
    "CR in an extension": "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "an extension without end": '3;a="\r\nabc\r\n0\r\n\r\n',
    "a plus": "+3\r\nabc\r\n0\r\n\r\n",
    "a minus": "-3\r\nabc\r\n0\r\n\r\n",
    "0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "a space before the size": " 3\r\nabc\r\n0\r\n\r\n",
    "a space behind the size": "3 \r\nabc\r\n0\r\n\r\n",
    "an underscore": "0_3\r\nabc\r\n0\r\n\r\n",
    "no size": "\r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a size far beyond": "f" * 40 + "\r\nabc\r\n0\r\n\r\n",
    "no hexadecimal size": "G\r\nabc\r\n0\r\n\r\n",
    "another script's digit": "３\r\nabc\r\n0\r\n\r\n",
    "NUL in the size": "3\0\r\nabc\r\n0\r\n\r\n",
    "LF behind the size": "3\nabc\r\n0\r\n\r\n",
    "CR behind the size": "3\rabc\r\n0\r\n\r\n",
    "LF behind the data": "3\r\nabc\n0\r\n\r\n",
    "LF at the end": "3\r\nabc\r\n0\r\n\n",
    "nothing behind the data": "3\r\nabc0\r\n\r\n",
    "too much data": "3\r\nabcd\r\n0\r\n\r\n",
    "too little data": "4\r\nabc\r\n0\r\n\r\n",
    "a length behind": "0\r\nContent-Length: 99\r\n\r\n",
    "a coding behind": "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "no colon behind": "0\r\nX\r\n\r\n",
    "LF behind a trailer": "0\r\nX: y\n\r\n",
    "a folded trailer": "0\r\nX: y\r\n z\r\n\r\n",
    "a very long trailer": f"0\r\nX: {'y' * 20_000}\r\n\r\n",
    "a request as trailer": "0\r\n" + SMUGGLED,
}.items():
    add(f"chunks with {name}", chunked(body), 400)

# Upgrades (RFC 6455 §4.2.1, RFC 9110 §7.8)
add("a WebSocket", upgrade(), 101, websocket=True)
for version in ("8", "7", "12", "0", "x", "13, 8", "13\r\nSec-WebSocket-Version: 13"):
    add(f"WebSocket version {version!r}", upgrade(f"Sec-WebSocket-Version: {version}"), 426, websocket=True)
for name, lines in {
    "no key": "Sec-WebSocket-Key:",
    "a short key": "Sec-WebSocket-Key: AAAA",
    "a key that is none": "Sec-WebSocket-Key: ****",
    "two keys": "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "a body": "Content-Length: {length}",
    "a body in chunks": "Transfer-Encoding: chunked",
    "several protocols": "Upgrade: h2c, websocket",
    "another protocol": "Upgrade: h2c",
    "no Connection": "Connection: keep-alive",
}.items():
    behind = SMUGGLED if "length" in lines else "0\r\n\r\n" if "chunked" in lines else ""
    add(f"WebSocket with {name}", upgrade(lines) + behind, 400, websocket=True)
add("WebSocket of HTTP/1.0", upgrade(version="HTTP/1.0"), 400, websocket=True)
add("WebSocket where there is none", upgrade(target="/status"), 200, last=True)
add(
    "WebSocket by POST",
    posted("Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
    POSTED,
    last=True,
)
for name, lines in {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "an unknown protocol": "Connection: Upgrade\r\nUpgrade: x\r\n",
}.items():
    add(f"an upgrade to {name}", head(HOST + lines), 200, last=True)
    add(f"an upgrade to {name} with a request behind", head(HOST + lines) + SMUGGLED, 200, last=True)

# As Java's client sends it.
add(
    "a form that would go on in HTTP/2",
    posted(
        "Content-Length: 3\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
        "abc",
    ),
    POSTED,
    last=True,
)

# Expectations, preflights
add("an expectation", posted("Content-Length: 3\r\nExpect: 100-continue\r\n", "abc"), POSTED)
add("an unknown expectation", posted("Content-Length: 3\r\nExpect: 200-ok\r\n", "abc"), POSTED)
add("an expectation of nothing", head(HOST + "Expect: 100-continue\r\n"), 200)
add(
    "an expectation of a denied site",
    posted("Content-Length: 9999\r\nExpect: 100-continue\r\n", origin="{denied}"),
    403,
)
ASKS: Final = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n"
add("a preflight", head(f"{HOST}Origin: {{portal}}\r\n{ASKS}", method="OPTIONS", target="/"), PREFLIGHT)
add(
    "a denied site's preflight",
    head(f"{HOST}Origin: {{denied}}\r\n{ASKS}", method="OPTIONS", target="/"),
    403,
)
add("a preflight of nobody", head(HOST + ASKS, method="OPTIONS", target="/"), 403)


class Knocker:
    """Sends rows to a door and keeps what the gate saw of each connection, by the port that it comes from."""

    def __init__(self, agent: RunningAgent, door: Door, seen: dict[int, list[str]]) -> None:
        self._door = door
        self._port = door.port(agent)
        self._seen = seen
        self._tls = any_certificate() if door.tls else None

    def filled(self, octets: bytes) -> bytes:
        """Put what is the door's into a row."""
        texts = {"host": f"localhost:{self._port}", "port": self._port, "portal": PORTAL, "denied": DENIED,
                 "ws": self._door.websocket or "/v1", "form": self._door.form}  # fmt: skip
        smuggled = SMUGGLED.format(**texts)
        for name, text in {"length": len(smuggled), **texts}.items():
            octets = octets.replace(b"{%b}" % name.encode(), str(text).encode())
        return octets

    def expected(self, row: Row) -> int:
        """What this door answers first."""
        if row.websocket and self._door.websocket is None:
            return 404
        return {POSTED: self._door.posted, PREFLIGHT: self._door.preflight}.get(row.status, row.status)

    async def wrong(self, row: Row, *, at_once: bool) -> str | None:
        """Send a row and what stands behind it; what is wrong with the answers."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._tls, server_hostname="localhost" if self._tls else None
        )
        here: int = writer.get_extra_info("sockname")[1]
        self._seen.pop(here, None)  # the system gives a port to one connection after the other
        octets, behind = self.filled(row.octets), self.filled(NEXT.encode())
        try:
            if at_once:
                writer.write(octets + behind)
                statuses = await _statuses(reader)
            else:
                writer.write(octets)
                statuses = await _statuses(reader, 1)
                writer.write(behind)
                statuses += await _statuses(reader)
        finally:
            writer.transport.abort()
        first = self.expected(row)
        served = first < 400 and first != 101 and not row.last
        if row.alone and at_once:
            good = ([400], 0)
        elif first in (400, 501, 505) and not row.websocket:
            good = ([first], 0)
        else:
            good = ([first, 200] if served else [first], 1 + served)
        seen = self._seen[here]
        if (statuses, len(seen)) == good and not any("smuggled" in each for each in seen):
            return None
        when = "at once" if at_once else "later"
        return f"{row.name!r} at {self._door.name}, {when}: {statuses} {seen}, not {good}"


async def _statuses(reader: asyncio.StreamReader, most: int = 99) -> list[int]:
    """The statuses of so many answers, or of all until the connection ends."""
    statuses: list[int] = []
    try:
        while len(statuses) < most:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(head.split()[1])
            if status == 100:
                continue
            statuses.append(status)
            if status == 101:
                break
            length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
            await reader.readexactly(int(length[1]) if length and status != 204 else 0)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    return statuses


@pytest.mark.parametrize(
    "door",
    [pytest.param(each, marks=[pytest.mark.slow] * (each is not DOORS[0])) for each in DOORS],
    ids=lambda door: door.name,
)
async def test_every_row_is_answered_as_it_must_be_and_nothing_behind_it_is_believed(
    door: Door,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    seen: dict[int, list[str]] = defaultdict(list)
    answer = Gate.answer

    async def seen_and_answered(
        gate: Gate, request: web.BaseRequest, listener: Listener
    ) -> web.StreamResponse:
        assert request.transport is not None
        seen[request.transport.get_extra_info("peername")[1]].append(request.raw_path)
        return await answer(gate, request, listener)

    monkeypatch.setattr(Gate, "answer", seen_and_answered)
    monkeypatch.setitem(serving._SETTINGS, "lingering_time", 0.05)  # a second for each body that never comes
    async with component_agent(tmp_path, ("hpc",)) as agent:
        knocker, few = Knocker(agent, door, seen), asyncio.Semaphore(_AT_ONCE_MAX)

        async def wrong(row: Row, at_once: bool) -> str | None:
            async with few:
                try:
                    async with asyncio.timeout(_SECONDS):
                        return await knocker.wrong(row, at_once=at_once)
                except TimeoutError:
                    return f"{row.name!r}: neither an answer nor an end"

        cells = [(row, at_once) for row in ROWS.values() for at_once in (True, False)]
        found = list(filter(None, await asyncio.gather(*(wrong(*cell) for cell in cells))))
        record_property("cells of the HTTP table", len(cells))
        assert not found, "\n".join(found)
        assert agent.interaction.questions == []
        assert AuditLog(agent.paths.audit, Config().audit).read(100) == []
