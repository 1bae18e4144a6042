"""What each caller's policy lets be fetched, and what bounds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from agent.http_client import HttpError, HttpPolicy, fetch, is_listed

PLAIN = HttpPolicy(seconds=30)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, list[web.BaseRequest]]]:
    """A server, as good as a proxy, that answers everything with 1000 bytes, and what it was asked."""
    asked: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        if request.path == "/moved":
            raise web.HTTPFound("/")
        return web.Response(body=bytes(1000))

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("policy", "url", "allowed"),
    [
        (PLAIN, "http://a.example/", True),
        (PLAIN, "https://a.example:8443/x?y", True),
        (PLAIN, "ftp://a.example/", False),
        (PLAIN, "file:///etc/passwd", False),
        (PLAIN, "http://user@a.example/", False),
        (PLAIN, "http://a.example/\r\nX: y", False),
        (PLAIN, "http://a.example/" + "x" * 2048, False),
        (HttpPolicy(seconds=30, prefix="https://u.example/hca/"), "https://u.example/hca/1.root.json", True),
        (HttpPolicy(seconds=30, prefix="https://u.example/hca/"), "https://u.example/other", False),
        (HttpPolicy(seconds=30, prefix="https://u.example/hca/"), "http://u.example/hca/", False),
        (HttpPolicy(seconds=30, hosts=("a.example", "[::1]:81")), "https://a.example/", True),
        (HttpPolicy(seconds=30, hosts=("a.example", "[::1]:81")), "http://[::1]:81/", True),
        (HttpPolicy(seconds=30, hosts=("a.example",)), "http://a.example:81/", False),
        (HttpPolicy(seconds=30, hosts=()), "http://a.example/", False),
        (HttpPolicy(seconds=30, public_only=True), "http://a.example/", True),
        (HttpPolicy(seconds=30, public_only=True), "https://a.example/", False),
        (HttpPolicy(seconds=30, public_only=True), "http://127.1/", False),
        (HttpPolicy(seconds=30, public_only=True, trusted=("http://[::1]:8/",)), "http://[::1]:8/", True),
    ],
)  # fmt: skip
def test_a_policy_says_which_addresses_may_be_asked(policy: HttpPolicy, url: str, allowed: bool) -> None:
    if allowed:
        policy.check(url)
        return
    with pytest.raises(HttpError):
        policy.check(url)


def test_a_host_alone_stands_for_the_standard_port() -> None:
    assert is_listed(("a",), "a", 80, 80) and is_listed(("a:81",), "a", 81, 80)
    assert not is_listed(("a",), "a", 81, 80) and not is_listed(("a:81",), "a", 80, 80)


async def test_more_than_the_policy_takes_is_refused() -> None:
    async with serving() as (base, _):
        assert len(await fetch(f"{base}/", HttpPolicy(seconds=30, bytes_max=1000))) == 1000
        with pytest.raises(HttpError, match="999"):
            await fetch(f"{base}/", HttpPolicy(seconds=30, bytes_max=999))


async def test_a_redirect_is_an_answer_like_any_other_failure() -> None:
    async with serving() as (base, asked):
        with pytest.raises(HttpError) as caught:
            await fetch(f"{base}/moved", PLAIN)
    assert caught.value.status == 302
    assert len(asked) == 1


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for policy in (HttpPolicy(seconds=0.2), HttpPolicy(seconds=60, silence_seconds=0.2)):
            with pytest.raises(HttpError, match="in time"):
                await fetch(f"http://127.0.0.1:{port}/", policy)


async def test_the_systems_proxy_is_asked_where_the_policy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (base, asked):
        monkeypatch.setenv("http_proxy", base.replace("//", "//me:secret@"))
        monkeypatch.delenv("no_proxy", raising=False)
        await fetch("http://updates.example/x", HttpPolicy(seconds=30, proxy=True))
        assert asked[0].headers["Host"] == "updates.example"
        assert asked[0].headers["Proxy-Authorization"].startswith("Basic ")
        with pytest.raises(HttpError):
            await fetch("http://updates.example/x", PLAIN)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await fetch(f"{base}/direct", HttpPolicy(seconds=30, proxy=True))
        assert "Proxy-Authorization" not in asked[-1].headers
    assert len(asked) == 2
