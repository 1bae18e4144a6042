"""Who gets in over HTTP and what is said to whom, asked over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from agent.config import Config, PortSettings, ServiSignSettings
from agent.server import http, pages
from tests.support.agent import DENIED, ORIGINS, PORTAL, RunningAgent, running_agent
from tests.support.agent import Page as NativePage
from tests.support.servisign_page import Page, reply_of
from tests.support.waiting import LIMIT

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path) as running:
        yield running


async def raw(agent: RunningAgent, head: str, body: bytes = b"", *, keep_open: bool = False) -> bytes:
    """What the port in the clear answers to these very bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.daemon.native_port)
    try:
        writer.write(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()
        async with asyncio.timeout(LIMIT):
            return await reader.read(65536) if keep_open else await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "origin", [None, PORTAL, DENIED, "https://never.seen.example", "null", "http://evil.example"]
)
async def test_any_origin_can_read_the_status_and_it_says_nothing(
    agent: RunningAgent, origin: str | None
) -> None:
    for base in (agent.clear, agent.tls):
        headers = {"Origin": origin} if origin else {}
        async with agent.http.get(f"{base}/status", headers=headers) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert await response.json() == {"agent": "hca-agent", "api": 1}


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]", "localhost"])
async def test_the_agent_answers_on_every_loopback_address(agent: RunningAgent, address: str) -> None:
    for url in (
        f"http://{address}:{agent.daemon.native_port}/status",
        f"https://{address}:{agent.daemon.tls_port}/status",
    ):
        async with agent.http.get(url) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "host",
    ["", "Host: evil.example", "Host: localhost.evil.example:{port}", "Host: localhost:1", "Host: 127.0.0.1",
     "Host: localhost:{port}\nHost: evil.example", "Host: 192.168.1.5:{port}", "Host: user@localhost:{port}"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/status", "/", "/v1"])
async def test_a_missing_or_foreign_host_is_refused_with_no_words(
    agent: RunningAgent, host: str, path: str
) -> None:
    host = host.replace("{port}", str(agent.daemon.native_port))
    answer = await raw(agent, f"GET {path} HTTP/1.1\n{host}\nOrigin: {PORTAL}".replace("\n\n", "\n"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"403")
    assert body == b""
    assert b"access-control" not in head.lower()


@pytest.mark.parametrize(
    "origin",
    [
        DENIED,
        "null",
        "http://portal.example.tw",
        "https://portal.example.tw/",
        "x",
        "https://user@portal.example.tw",
    ],
)
async def test_a_refused_origin_gets_an_empty_403(agent: RunningAgent, origin: str) -> None:
    async with agent.http.get(f"{agent.clear}/v1", headers={"Origin": origin}) as response:
        assert response.status == 403
        assert await response.read() == b""
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_two_origins_in_one_request_are_none(agent: RunningAgent) -> None:
    port = agent.daemon.native_port
    answer = await raw(agent, f"GET /v1 HTTP/1.1\nHost: 127.0.0.1:{port}\nOrigin: {PORTAL}\nOrigin: {DENIED}")
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_program_without_origin_needs_the_token(agent: RunningAgent) -> None:
    for headers, status in (({}, 403), ({"Authorization": "Bearer x"}, 403), (agent.bearer, 404)):
        async with agent.http.get(f"{agent.clear}/anything", headers=headers) as response:
            assert response.status == status
            assert await response.read() == b""


async def test_the_token_is_worth_nothing_to_a_page(agent: RunningAgent) -> None:
    async with agent.http.get(f"{agent.clear}/v1", headers={**agent.bearer, "Origin": DENIED}) as response:
        assert response.status == 403


async def test_our_own_page_gets_nothing_but_static_files(agent: RunningAgent) -> None:
    headers = {"Origin": agent.clear}
    async with agent.http.get(f"{agent.clear}/v1", headers=headers) as response:
        assert response.status == 403
    async with agent.http.get(f"{agent.clear}/agent.js", headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/own-page.js", "text/javascript"),
        ("/verify.js", "text/javascript"),
        ("/browser-check.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
        ("/selftest.schema.json", "application/json"),
        ("/agent.js", "text/javascript"),
        ("/agent.d.ts", "text/plain"),
        ("/schema.json", "application/json"),
    ],
)
async def test_static_files_come_with_strict_headers(
    agent: RunningAgent, path: str, content_type: str
) -> None:
    async with agent.http.get(f"{agent.tls}{path}") as response:
        assert response.status == 200
        assert response.content_type == content_type
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "hca-agent"
        assert "Via" not in response.headers
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_page_says_its_version_and_has_nothing_inline_or_from_elsewhere(
    agent: RunningAgent,
) -> None:
    from agent import __version__

    for base in (agent.clear, agent.tls):
        async with agent.http.get(f"{base}/") as response:
            page = await response.text()
            policy = response.headers["Content-Security-Policy"]
        assert __version__ in page
        assert "{{" not in page
        assert "正在執行" in page and "Running" in page and "<noscript>" in page
        assert not re.search(r"<script(?![^>]* src=)|<style|style=| on[a-z]+=|javascript:", page)
        assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) <= {"#main", *pages.OWN, *pages.static()}
        assert "unsafe" not in policy and "*" not in policy and "data:" not in policy
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        named = set(re.findall(r"(?:http|ws)s?://([^ ;]+)", policy))
        ports = (agent.daemon.native_port, agent.daemon.tls_port)
        assert named == {f"{host}:{port}" for host in ("localhost", "127.0.0.1") for port in ports}


class TestPageToken:
    """How our own page shows that it is ours, over `/v1`."""

    @staticmethod
    async def token(agent: RunningAgent) -> str:
        async with agent.http.get(f"{agent.clear}/") as response:
            found = re.search(r'name="page-token" content="([^"]+)"', await response.text())
        assert found is not None
        return found[1]

    @staticmethod
    async def status(agent: RunningAgent, base: str, token: str, origin: str | None = None) -> int:
        try:
            async with agent.http.ws_connect(
                f"{base}/v1?page={token}", headers={"Origin": origin or base}
            ) as socket:
                await NativePage(socket).call("agent.hello")
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    async def test_it_opens_one_connection_and_no_second_one(self, agent: RunningAgent) -> None:
        token = await self.token(agent)
        assert await self.status(agent, agent.clear, token) == 101
        assert await self.status(agent, agent.clear, token) == 403

    async def test_it_is_good_on_either_port(self, agent: RunningAgent) -> None:
        assert await self.status(agent, agent.tls, await self.token(agent), agent.clear) == 101

    async def test_without_it_or_with_another_the_page_is_refused(self, agent: RunningAgent) -> None:
        for token in ("", "x", await self.token(agent) + "x"):
            assert await self.status(agent, agent.clear, token) == 403

    async def test_it_is_worth_nothing_to_a_site_or_a_program(self, agent: RunningAgent) -> None:
        token = await self.token(agent)
        assert await self.status(agent, agent.clear, token, DENIED) == 403
        async with agent.http.get(f"{agent.clear}/v1?page={token}") as response:
            assert response.status == 403
        assert await self.status(agent, agent.clear, token) == 101  # and was not used up by that

    async def test_our_page_gets_its_own_methods_and_no_others(self, agent: RunningAgent) -> None:
        async with agent.http.ws_connect(
            f"{agent.clear}/v1?page={await self.token(agent)}", headers={"Origin": agent.clear}
        ) as socket:
            page = NativePage(socket)
            for method in ("card.read", "sign", "readers.list", "certificates.list", "decrypt"):
                assert (await page.failing(method))["data"]["id"] == "request.unknown_method"

    async def test_other_sites_cannot_read_it(self, agent: RunningAgent) -> None:
        async with agent.http.get(f"{agent.clear}/", headers={"Origin": PORTAL}) as response:
            assert response.status == 404
            assert await response.read() == b""


@pytest.mark.parametrize(
    "path", ["/../agent/daemon.py", "/%2e%2e/token", "/token", "/web/agent.js", "//agent.js", "/agent.js%00"]
)
async def test_nothing_else_is_a_file(agent: RunningAgent, path: str) -> None:
    port = agent.daemon.native_port
    answer = await raw(agent, f"GET {path} HTTP/1.1\nHost: 127.0.0.1:{port}\nOrigin: {PORTAL}")
    assert answer.split(b" ")[1] in (b"400", b"404")


async def test_a_preflight_is_answered_for_private_network_access(agent: RunningAgent) -> None:
    async with agent.http.options(f"{agent.tls}/", headers={"Origin": PORTAL}) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == PORTAL
        assert response.headers["Access-Control-Allow-Private-Network"] == "true"
        assert response.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in response.headers
    async with agent.http.options(f"{agent.tls}/", headers={"Origin": DENIED}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Private-Network" not in response.headers


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\nX: \xff\x00\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_tells_nothing_of_us(agent: RunningAgent, junk: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.daemon.native_port)
    writer.write(junk)
    writer.write_eof()
    async with asyncio.timeout(LIMIT):
        answer = await reader.read()
    writer.close()
    # Whoever sends no more is left or, where the server saw the junk before its end, answered.
    assert answer == b"" or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"ython" not in answer
    assert b"aiohttp" not in answer
    async with agent.http.get(f"{agent.clear}/status") as response:
        assert response.status == 200


class TestServiSign:
    """`POST` on the TLS port."""

    async def test_an_unmodified_page_finds_us(self, agent: RunningAgent) -> None:
        async def handle(origin: str, body: bytes) -> bytes:
            headers = {**FORM, "Origin": origin}
            async with agent.http.post(agent.tls, data=body, headers=headers) as response:
                assert response.status == 200
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert response.headers["Vary"] == "Origin"
                answer = await response.read()
                assert int(response.headers["Content-Length"]) == len(answer)
                assert "Via" not in response.headers
                assert "close" not in response.headers.get("Connection", "")
                return answer

        page = Page(handle, PORTAL)
        assert await page.echo() == "0"
        assert await page.call("ATL_InitModule", moduleName="HCAPKCS11.dll", initArgs="") == "1"

    @pytest.mark.parametrize("origin", [DENIED, "null", "http://portal.example.tw"])
    async def test_a_refused_page_is_told_so_in_its_own_words(self, agent: RunningAgent, origin: str) -> None:
        async with agent.http.post(
            agent.tls, data=b"Parameter=x", headers={**FORM, "Origin": origin}
        ) as response:
            assert response.status == 403
            assert response.headers["Access-Control-Allow-Origin"] == origin
            assert reply_of(await response.read()) == {"result": "61908"}

    async def test_a_foreign_host_is_not_told_even_that(self, agent: RunningAgent) -> None:
        headers = {**FORM, "Origin": DENIED, "Host": "rebound.example"}
        async with agent.http.post(agent.tls, data=b"", headers=headers) as response:
            assert response.status == 403
            assert await response.read() == b""
            assert "Access-Control-Allow-Origin" not in response.headers

    async def test_the_person_is_told_once_of_a_refused_site(self, agent: RunningAgent) -> None:
        agent.interaction.notices.clear()
        for _ in range(3):
            async with agent.http.post(agent.tls, data=b"", headers={**FORM, "Origin": DENIED}):
                pass
        await agent.notices_shown()
        assert len([zh for zh, _ in agent.interaction.notices if DENIED in zh]) == 1

    async def test_there_is_no_dialect_in_the_clear(self, agent: RunningAgent) -> None:
        async with agent.http.post(agent.clear, data=b"", headers={**FORM, "Origin": PORTAL}) as response:
            assert response.status == 404

    async def test_no_origin_is_no_page(self, agent: RunningAgent) -> None:
        for headers, status in ((FORM, 403), ({**FORM, **agent.bearer}, 404)):
            async with agent.http.post(agent.tls, data=b"", headers=headers) as response:
                assert response.status == status

    @pytest.mark.parametrize(
        "headers",
        [
            {"Content-Type": "application/json"},
            {"Content-Type": "text/plain"},
            {**FORM, "Content-Encoding": "gzip"},
        ],
    )
    async def test_only_plain_forms_are_read(self, agent: RunningAgent, headers: dict[str, str]) -> None:
        async with agent.http.post(agent.tls, data=b"x", headers={**headers, "Origin": PORTAL}) as response:
            assert response.status == 415

    async def test_switched_off_it_is_not_there(self, tmp_path: Path) -> None:
        config = Config(
            origins=ORIGINS, ports=PortSettings(0), servisign=ServiSignSettings(enabled=False, ports=(0,))
        )
        async with running_agent(tmp_path, config=config) as agent:
            for origin, status in ((PORTAL, 404), (DENIED, 403)):
                async with agent.http.post(
                    agent.tls, data=b"", headers={**FORM, "Origin": origin}
                ) as response:
                    assert response.status == status
                    assert await response.read() == b""


class TestBodies:
    """Size and time, over a raw TLS socket."""

    @staticmethod
    async def post(
        agent: RunningAgent, origin: str, length: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        import ssl

        context = ssl.create_default_context(cafile=str(agent.daemon.identity.ca))
        port = agent.daemon.tls_port
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        writer.write(
            f"POST / HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: {origin}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\n{length}\r\n\r\n".encode()
        )
        return reader, writer

    @pytest.mark.parametrize(("origin", "status"), [(PORTAL, b"413"), (DENIED, b"403")])
    async def test_50_megabytes_are_refused_before_any_of_them_is_sent(
        self, agent: RunningAgent, origin: str, status: bytes
    ) -> None:
        reader, writer = await self.post(agent, origin, f"Content-Length: {50 * 1024 * 1024}")
        async with asyncio.timeout(LIMIT):
            assert (await reader.readline()).split()[1] == status
        async with asyncio.timeout(LIMIT):
            await reader.read()  # and the connection ends although the body never came
        writer.close()

    async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(self, agent: RunningAgent) -> None:
        reader, writer = await self.post(agent, PORTAL, "Transfer-Encoding: chunked")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(http.DOCUMENT_BODY_BYTES_MAX // 0x10000 + 1):
            writer.write(chunk)
        async with asyncio.timeout(LIMIT):
            assert (await reader.readline()).split()[1] == b"413"
        writer.close()

    @pytest.mark.parametrize(("origin", "status"), [(PORTAL, b"100"), (DENIED, b"403")])
    async def test_a_program_that_waits_to_be_told_sends_its_body_only_to_whoever_lets_it_in(
        self, agent: RunningAgent, origin: str, status: bytes
    ) -> None:
        reader, writer = await self.post(agent, origin, "Expect: 100-continue\r\nContent-Length: 3")
        async with asyncio.timeout(LIMIT):
            assert (await reader.readline()).split()[1] == status
            if status == b"100":
                assert await reader.readline() == b"\r\n"
                writer.write(b"abc")
                assert (await reader.readline()).split()[1] == b"200"
        writer.close()

    async def test_a_slow_body_is_given_up(
        self, agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http, "BODY_SECONDS_MAX", 0.2)
        reader, writer = await self.post(agent, PORTAL, "Content-Length: 100")
        writer.write(b"Parameter=")
        async with asyncio.timeout(LIMIT):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()

    async def test_a_page_that_leaves_before_its_body_is_whole_harms_nobody(
        self, agent: RunningAgent
    ) -> None:
        _, writer = await self.post(agent, PORTAL, "Content-Length: 100")
        writer.write(b"Parameter=")
        writer.transport.abort()
        async with agent.http.get(f"{agent.tls}/status") as response:
            assert json.loads(await response.read())["agent"] == "hca-agent"
