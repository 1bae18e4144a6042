"""Who must not get anywhere, through every door of a running agent."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from agent.audit import AuditLog, AuditRow
from agent.config import Config, ConsentSettings, LimitSettings
from agent.dialects.servisign import refusal
from agent.interaction import ConsentQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.server import http, serving
from agent.vocabulary import Verb
from hca_card.simulator import SimulatedCard
from tests.support import raw_http
from tests.support.agent import ANY_PORT, DENIED, PORTAL, RunningAgent, running_agent
from tests.support.cards import simulated
from tests.support.operations import NONCE, Spy, until
from tests.support.raw_http import Answer
from tests.support.servisign_page import Page, body_of, reply_of

FORM: Final = "application/x-www-form-urlencoded"
LOCAL: Final = "localhost:{port}"
NOBODY: Final = 65534

# Refused at the door: 403, the body unread. {port} is the port that the request is sent to.
ORIGINS: Final = (
    "null",
    "",
    "*",
    "undefined",
    "about:blank",
    "about:srcdoc",
    "data:",
    "blob:https://portal.example.tw/0",
    "file://",
    "file:///C:/login.html",
    "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
    "moz-extension://3c078156-979c-498b-8990-85f7987dd929",
    "safari-web-extension://7E1DBB44",
    "app://portal.example.tw",
    "ws://portal.example.tw",
    "wss://portal.example.tw",
    "http://portal.example.tw",
    "http://portal.example.tw:443",
    "http://127.0.0.1",
    "http://localhost",
    "http://localhost:9999",
    "http://[::1]:9999",
    "https://portal.example.tw/",
    "https://portal.example.tw/login",
    "https://portal.example.tw?",
    "https://portal.example.tw#",
    "https://portal.example.tw:443",
    "https://portal.example.tw:",
    "https://portal.example.tw:0",
    "https://portal.example.tw:65536",
    "https://portal.example.tw:+8443",
    "https://portal.example.tw.",
    "https://.portal.example.tw",
    "https://portal..example.tw",
    "https://*.example.tw",
    "https://PORTAL.example.tw",
    "HTTPS://portal.example.tw",
    "https:/portal.example.tw",
    "https:portal.example.tw",
    "//portal.example.tw",
    "portal.example.tw",
    "https://portal.example.tw@evil.example",
    "https://user@portal.example.tw",
    "https://user:pass@portal.example.tw",
    "https://portal.example.tw\\@evil.example",
    "https://portal.example.tw%2eevil.example",
    "https://portal.example.tw evil.example",
    "https://portal.example.tw, https://evil.example",
    "https://portal.example.tw https://portal.example.tw",
    "https://pörtal.example.tw",
    "https://portal。example。tw",
    "https://[::1",
    "https://[::ffff:127.0.0.1%25lo]",
    "https://[0:0:0:0:0:0:0:1]",
    "https://127.1",
    "https://0x7f000001",
    "https://2130706433",
    "https://0177.0.0.1",
    DENIED,
)

# Real origins of other sites, however alike: let in to be asked about, by their whole name, and refused.
LOOKALIKES: Final = (
    "https://portal.example.tw.evil.example",
    "https://evil-portal.example.tw",
    "https://portal.example.tw-evil.example",
    "https://evilportal.example.tw",
    "https://portal-example.tw",
    "https://example.tw",
    "https://www.portal.example.tw",
    "https://portal.example.tw:8443",
    "https://portal.example.tw:444",
    "https://xn--prtal-jua.example.tw",
    "https://localhost",
    "https://localhost:9999",
    "https://127.0.0.1:9999",
    "https://[::1]:9999",
    "https://portal_example.tw",
)

# With the origin that is allowed: no name but loopback, on this very port.
HOSTS: Final = (
    "",
    "localhost",
    "127.0.0.1",
    "localhost:1",
    "localhost:{port}0",
    "localhost:0{port}",
    "localhost:+{port}",
    "localhost.:{port}",
    "LOCALHOST:{port}",
    "localhost:{port}.evil.example",
    "localhost.evil.example:{port}",
    "evil.example",
    "evil.example:{port}",
    "portal.example.tw:{port}",
    "127.0.0.1.nip.io:{port}",
    "rebind.it:{port}",
    "127.1:{port}",
    "0.0.0.0:{port}",
    "0x7f000001:{port}",
    "127.0.0.2:{port}",
    "[::]:{port}",
    "::1:{port}",
    "[0:0:0:0:0:0:0:1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "user@localhost:{port}",
    "localhost:{port}, evil.example",
    "localhost:{port}/",
    " ",
)

CALLS: Final = (
    ("readers.list", {}),
    ("card.read", {}),
    ("authenticate", {"nonce": NONCE}),
    ("sign", {"document": "aGVsbG8="}),
    ("decrypt", {"cipher": "AAAA"}),
    ("pin.status", {}),
    ("pin.change", {}),
    ("pin.unblock", {}),
)


async def nobody(_origin: str, _body: bytes) -> bytes:
    raise AssertionError


def servisign(function: str, **arguments: object) -> bytes:
    """A form body of the old dialect."""
    page = Page(nobody)
    page.session_id = "s"
    return body_of(page.request(function, **arguments))


FORMS: Final = (
    servisign("Echo"),
    servisign("ATL_InitModule", moduleName="HCACSPv1.dll", initArgs=""),
    servisign("ATL_InitSession", ulModuleHandle=1, userPin="123456"),
    servisign("ATL_MakeSignature", ulModuleHandle=1, ulSessionHandle=2, data="x"),
)


@dataclass
class Target:
    """A running agent, and a card that keeps every command: what shows that nothing happened."""

    agent: RunningAgent
    card: SimulatedCard
    apdus: list[bytes]

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.agent.daemon.identity.ca))

    @property
    def doors(self) -> tuple[tuple[int, ssl.SSLContext | None], ...]:
        return (self.agent.daemon.native_port, None), (self.agent.daemon.tls_port, self.tls)

    def audit(self) -> list[AuditRow]:
        return AuditLog(self.agent.paths.audit, Config().audit).read(10_000)

    def assert_untouched(self) -> None:
        assert not self.apdus
        assert not self.agent.interaction.questions
        assert self.audit() == []
        assert self.card.pin_tries == 3


@asynccontextmanager
async def target(
    folder: Path, *, config: Config = ANY_PORT, person: ScriptedInteraction | None = None
) -> AsyncIterator[Target]:
    refusing = person or ScriptedInteraction(consents={}, pins=["123456"] * 100, pairs=[("123456", "1")])
    async with running_agent(folder, ("hpc",), interaction=refusing, config=config) as agent:
        apdus: list[bytes] = []
        card = simulated("hpc")
        agent.readers[0].remove()
        agent.readers[0].insert(Spy(card, apdus))
        yield Target(agent, card, apdus)


def upgrade(origin: str | None, host: str) -> bytes:
    """A WebSocket opening (RFC 6455 §4.1)."""
    headers = [
        ("Host", host),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    return raw_http.request("GET", "/v1", headers if origin is None else [*headers, ("Origin", origin)])


def form(origin: str | None, host: str, body: bytes, kind: str = FORM, path: str = "/") -> bytes:
    """A form as a page posts it; browsers send it without asking first."""
    headers = [("Host", host), ("Content-Type", kind), ("Content-Length", str(len(body)))]
    return raw_http.request("POST", path, headers if origin is None else [*headers, ("Origin", origin)], body)


async def refused_everywhere(world: Target, origin: str | None, host: str) -> list[str]:
    """Knock at every door in every way; what was let in."""
    let_in = []
    for port, tls in world.doors:
        named = host.format(port=port)
        knocks = [
            upgrade(origin, named),
            form(origin, named, FORMS[0], "text/plain"),
            form(origin, named, FORMS[0], "multipart/form-data; boundary=x", "/v1"),
            raw_http.request("OPTIONS", "/", [("Host", named), ("Origin", origin or "")]),
            *(form(origin, named, body) for body in FORMS),
        ]
        answers = await asyncio.gather(*(raw_http.send(port, knock, tls=tls) for knock in knocks))
        let_in += [
            f"{origin!r} at {named!r}: {answer}"
            for answer in answers
            if not is_refusal(answer, tls is not None)
        ]
    return let_in


def is_refusal(answer: Answer, tls: bool) -> bool:
    """403 and nothing else, or to an old dialect's page its own word for that; 400 for what is no HTTP."""
    if answer.status == 400:
        return not answer.body
    return answer.status == 403 and answer.body in (b"", refusal()) and (tls or not answer.body)


@pytest.mark.timeout(180)
@pytest.mark.slow
async def test_no_hostile_origin_gets_through_any_door(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        let_in = [each for origin in ORIGINS for each in await refused_everywhere(world, origin, LOCAL)]
        assert let_in == []
        world.assert_untouched()


async def test_no_foreign_host_gets_through_any_door_not_even_for_a_site_that_is_allowed(
    tmp_path: Path,
) -> None:
    async with target(tmp_path) as world:
        let_in = [each for host in HOSTS for each in await refused_everywhere(world, PORTAL, host)]
        assert let_in == []
        world.assert_untouched()


async def test_without_an_origin_nothing_happens_without_the_token(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        for port, tls in world.doors:
            host = LOCAL.format(port=port)
            for knock in (upgrade(None, host), *(form(None, host, body) for body in FORMS)):
                answer = await raw_http.send(port, knock, tls=tls)
                assert (answer.status, answer.body) == (403, b"")
        world.assert_untouched()


async def test_two_origins_or_two_hosts_are_none(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        for port, tls in world.doors:
            host = ("Host", LOCAL.format(port=port))
            for twice in (
                [host, ("Origin", PORTAL), ("Origin", PORTAL)],
                [host, ("Origin", PORTAL), ("origin", "https://evil.example")],
                [host, ("Host", "evil.example"), ("Origin", PORTAL)],
            ):
                knock = raw_http.request(
                    "POST", "/", [*twice, ("Content-Type", FORM), ("Content-Length", "0")]
                )
                assert is_refusal(await raw_http.send(port, knock, tls=tls), tls is not None)
        world.assert_untouched()


@pytest.mark.timeout(180)
async def test_a_site_that_only_looks_like_another_is_shown_in_full_and_gets_nothing_from_a_no(
    tmp_path: Path,
) -> None:
    plenty = replace(
        ANY_PORT, limits=LimitSettings(questions=1000), consent=ConsentSettings(silence_after=1000)
    )
    async with target(tmp_path, config=plenty) as world:
        for origin in LOOKALIKES:
            async with world.agent.page(origin) as page:
                errors = [(await page.failing(method, **params))["data"]["id"] for method, params in CALLS]
                assert set(errors) == {"consent.refused"}, (origin, errors)
            answers = [await post(world, origin, body) for body in FORMS]
            assert [reply["result"] for reply in answers[1:]] != ["0"] * 3
        asked = [each for each in world.agent.interaction.questions if isinstance(each, ConsentQuestion)]
        assert {each.origin for each in asked} == set(LOOKALIKES)
        assert len(asked) == len(world.agent.interaction.questions)
        assert not world.apdus
        assert world.card.pin_tries == 3
        assert {(row.card, row.certificate) for row in world.audit()} == {("", "")}
        assert {row.result for row in world.audit()} == {"consent.refused"}


async def post(world: Target, origin: str, body: bytes) -> dict[str, str]:
    port = world.agent.daemon.tls_port
    answer = await raw_http.send(port, form(origin, LOCAL.format(port=port), body), tls=world.tls)
    assert answer.status == 200
    return reply_of(answer.body)


async def test_a_site_that_asks_and_asks_is_shown_no_window_after_window(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents=dict.fromkeys(Verb, True))
    async with target(tmp_path, person=person) as world, world.agent.page("https://new.example.tw") as page:
        begin = time.monotonic()
        errors = [(await page.failing("sign", document="aGVsbG8="))["data"] for _ in range(12)]
        told = [error["id"] for error in errors]
        windows = told.count("pin.cancelled")
        assert told[:5] == ["pin.cancelled"] * 5 and set(told) <= {"pin.cancelled", "request.rate"}
        assert windows <= 5 + (time.monotonic() - begin) / 12  # five a minute
        assert all(error["retryAfter"] >= 1 for error in errors if error["id"] == "request.rate")
        assert len(person.questions) == 1 + windows  # one consent


async def test_a_page_with_many_names_does_not_open_many_windows(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        told = []
        for number in range(25):
            async with world.agent.page(f"https://n{number}.evil.com.tw") as page:
                error = await page.failing("card.read")
                told.append(error["data"]["id"])
        assert told == ["consent.refused"] * 3 + ["consent.silenced"] * 22
        assert 0 < error["data"]["retryAfter"] <= 600
        assert len(world.agent.interaction.questions) == 3
        assert not world.apdus
        # What that domain used up is not charged to a new portal.
        async with world.agent.page("https://new-portal.gov.tw") as page:
            assert (await page.failing("card.read"))["data"]["id"] == "consent.refused"
        assert len(world.agent.interaction.questions) == 4


async def test_with_nobody_to_ask_an_unknown_old_page_is_stopped_at_its_echo(tmp_path: Path) -> None:
    async with target(tmp_path, person=ScriptedInteraction(available=False)) as world:
        port = world.agent.daemon.tls_port
        for body in FORMS:
            knock = form("https://unknown.example.tw", LOCAL.format(port=port), body)
            answer = await raw_http.send(port, knock, tls=world.tls)
            assert (answer.status, answer.body) == (403, refusal())
            assert answer.headers["access-control-allow-origin"] == "https://unknown.example.tw"
        assert (await post(world, PORTAL, FORMS[0]))["result"] == "0"
        assert not world.apdus


async def test_an_origin_that_floods_is_held_up_and_the_others_are_not(tmp_path: Path) -> None:
    slow = replace(ANY_PORT, limits=LimitSettings(requests=1, burst=10))
    async with target(tmp_path, config=slow) as world:
        async with world.agent.page("https://flood.example.tw") as page:
            served = 0
            while "result" in (told := await page.answer(await page.send("agent.hello"))):
                served += 1  # nine, and one more for each second that this takes
            assert served >= 9
            assert told["error"]["data"]["id"] == "request.rate"
            assert told["error"]["data"]["retryAfter"] == 1
        port = world.agent.daemon.tls_port
        knock = form("https://flood.example.tw", LOCAL.format(port=port), FORMS[0])
        while (answer := await raw_http.send(port, knock, tls=world.tls)).status == 200:
            pass  # a second has passed
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert says_only_no(answer)
        assert (await post(world, PORTAL, FORMS[0]))["result"] == "0"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json", 415),
        ("application/x-www-form-urlencoded-not", 415),
        ("", 415),
    ],
)
async def test_bodies_of_other_kinds_are_refused_even_to_sites_that_are_allowed(
    tmp_path: Path, kind: str, status: int
) -> None:
    async with target(tmp_path) as world:
        port = world.agent.daemon.tls_port
        knock = form(PORTAL, LOCAL.format(port=port), FORMS[1], kind)
        answer = await raw_http.send(port, knock, tls=world.tls)
        assert answer.status == status
        assert says_only_no(answer)
        world.assert_untouched()


def says_only_no(answer: Answer) -> bool:
    """Whether an old dialect's page learns that it was not served, and nothing else."""
    reply = reply_of(answer.body)
    return set(reply) == {"result"} and int(reply["result"]) > 60_000


async def test_a_get_has_no_effect_whatever_it_carries(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        for port, tls in world.doors:
            for path in (
                "/?" + FORMS[1].decode(),
                "/v1?" + FORMS[2].decode(),
                "/status?x",
                "/token",
                "/../token",
            ):
                head = [("Host", LOCAL.format(port=port)), ("Origin", PORTAL), ("Content-Length", "0")]
                answer = await raw_http.send(port, raw_http.request("GET", path, head), tls=tls)
                assert b"SessionID" not in answer.body
        world.assert_untouched()


async def test_oversized_bodies_are_refused_announced_or_not(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        port = world.agent.daemon.tls_port
        head = [("Host", LOCAL.format(port=port)), ("Origin", PORTAL), ("Content-Type", FORM)]
        announced = raw_http.request(
            "POST", "/", [*head, ("Content-Length", str(http.DOCUMENT_BODY_BYTES_MAX + 1))]
        )
        chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
        chunked = raw_http.request(
            "POST",
            "/",
            [*head, ("Transfer-Encoding", "chunked")],
            chunk * (http.DOCUMENT_BODY_BYTES_MAX // 65536 + 1),
        )
        for knock in (announced, chunked):
            assert (await raw_http.send(port, knock, tls=world.tls)).status == 413
        world.assert_untouched()


@pytest.mark.slow
async def test_slow_bodies_and_slow_heads_are_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS_MAX", 0.2)
    async with target(tmp_path) as world:
        port = world.agent.daemon.tls_port
        whole = form(PORTAL, LOCAL.format(port=port), FORMS[1])
        assert (await raw_http.send(port, whole[:-1], tls=world.tls)).status == 408
        monkeypatch.setattr(serving, "HEAD_SECONDS", 0.5)
        assert (await raw_http.send(port, whole[:20], tls=world.tls)).status == 0
        for silent in (port, world.agent.daemon.native_port):  # the first of them owes us a TLS handshake
            assert (await raw_http.send(silent, b"")).status == 0
        world.assert_untouched()


@pytest.mark.parametrize("said", [b"", b"GET /status HTTP/1.1\r\nHost: localhost:%d\r\n\r\nGET"])
async def test_connections_that_say_nothing_do_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 4)
    begin, begun = serving._Protocol.connection_made, 0

    def count(self: serving._Protocol, transport: asyncio.BaseTransport) -> None:
        nonlocal begun
        begin(self, transport)
        begun += 1

    monkeypatch.setattr(serving._Protocol, "connection_made", count)
    async with target(tmp_path) as world, AsyncExitStack() as silent:
        port = world.agent.daemon.native_port
        for number in range(1, 9):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            silent.callback(lambda writer, _reader: writer.transport.abort(), writer, reader)
            writer.write(said % port if said else b"")
            await until(lambda number=number: begun >= number)  # type: ignore[misc]
        head = [("Host", LOCAL.format(port=port)), ("Connection", "close")]
        assert (await raw_http.send(port, raw_http.request("GET", "/status", head))).status == 200


async def test_connections_at_work_are_not_cut_off_for_silent_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 2)
    async with target(tmp_path) as world, world.agent.page() as one, world.agent.page() as two:
        port = world.agent.daemon.native_port
        assert (await raw_http.send(port, b"")).status == 0
        await one.call("agent.hello")
        await two.call("agent.hello")


async def test_our_own_pages_token_is_of_no_use_to_another_site(tmp_path: Path) -> None:
    async with target(tmp_path) as world:
        port = world.agent.daemon.native_port
        head = [("Host", LOCAL.format(port=port)), ("Origin", "https://evil.example")]
        answer = await raw_http.send(port, raw_http.request("GET", "/", head))
        assert b"page-token" not in answer.body


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_another_user_of_this_machine_is_refused(tmp_path: Path, address: str) -> None:
    async with target(tmp_path) as world:
        port = world.agent.daemon.native_port
        bearer = world.agent.bearer["Authorization"]
        for head in (
            f"GET /status HTTP/1.1\r\nHost: localhost:{port}",
            f"GET / HTTP/1.1\r\nHost: localhost:{port}",
            f"POST / HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: {PORTAL}\r\nContent-Length: 9999",
            f"GET /v1 HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: {bearer}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ):
            assert await as_user(NOBODY, address, port, head) == b"HTTP/1.1 403 Forbidden"
            assert await as_user(0, address, port, head) != b"HTTP/1.1 403 Forbidden" or "POST" in head
        world.assert_untouched()


async def as_user(user: int, address: str, port: int, head: str) -> bytes:
    """The first line of the answer to a request of another user's process."""
    script = 'exec 3<>"/dev/tcp/$0/$1"; printf "%s\\r\\n\\r\\n" "$2" >&3; head -n 1 <&3'
    child = await asyncio.create_subprocess_exec(
        "bash", "-c", script, address, str(port), head, stdout=subprocess.PIPE, user=user, extra_groups=[]
    )
    answer, _ = await child.communicate()
    return answer.strip()
