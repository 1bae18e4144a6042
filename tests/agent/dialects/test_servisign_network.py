"""The way out of this machine: which hosts, and what a hostile one can do."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from agent.config import ConfigError, ServiSignSettings, load
from agent.dialects.servisign import directory, network
from agent.dialects.servisign.network import AllowedHosts
from agent.errors import AgentError
from agent.paths import Paths
from tests.support.ldap_server import ber
from tests.support.waiting import LIMIT

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TYPE = "application/timestamp-query"


@contextlib.asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """A server on loopback that says what it likes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def says(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()

    return talk


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def byte_by_byte(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x30\x84\x7f\xff\xff\xff")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.2)  # a server's deliberate slowness


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(10_000))
        await writer.drain()


def way_to(port: int) -> AllowedHosts:
    place = f"127.0.0.1:{port}"
    return AllowedHosts(ServiSignSettings(hosts=frozenset((place,)), timestamp_host=place, ldap_host=place))


async def test_an_answer_is_handed_over_as_it_came(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    packed = gzip.compress(bytes(1_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n"
    async with listening(says(head % len(packed) + packed)) as port:
        way = way_to(port)
        assert await way.post(way.timestamps, b"question", TYPE) == packed


HTTP_TALK = {
    "silent": silent,
    "endless": endless,
    "hangs up": says(b""),
    "speaks something else": says(b"SSH-2.0-OpenSSH\r\n"),
    "has no answer": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "is cut off": says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
    "long head": says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 90_000),
}


@pytest.mark.parametrize("talk", HTTP_TALK.values(), ids=HTTP_TALK.keys())
async def test_a_host_that_gives_no_usable_answer_costs_a_bounded_time(monkeypatch, talk):
    monkeypatch.setattr(network, "SECONDS", 0.5)
    async with listening(talk) as port:
        way, begun = way_to(port), time.monotonic()
        with pytest.raises(AgentError) as raised:
            await way.post(way.timestamps, b"question", TYPE)
        assert raised.value.error_id == "host.unreachable"
        assert time.monotonic() - begun < LIMIT


LDAP_TALK = {
    "silent": silent,
    "byte by byte": byte_by_byte,
    "hangs up": says(b""),
    "speaks HTTP": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "claims four gigabytes": says(b"\x30\x84\xff\xff\xff\xff"),
    "sends no result": says(ber(0x30, ber(2, b"\x01"), ber(0x61, b"\xff" * 9))),
    "lies about lengths": says(ber(0x30, b"\x02\x05\x01")),
}


@pytest.mark.slow
@pytest.mark.parametrize("talk", LDAP_TALK.values(), ids=LDAP_TALK.keys())
async def test_a_directory_that_gives_no_usable_answer_costs_a_bounded_time(monkeypatch, talk):
    monkeypatch.setattr(directory, "SECONDS", 1.0)
    async with listening(talk) as port:
        place, begun = way_to(port).directory, time.monotonic()
        with pytest.raises(AgentError) as raised:
            await directory.search(place, "c=TW", {"cn": "x"}, one=False)
        assert raised.value.error_id == "host.unreachable"
        assert time.monotonic() - begun < LIMIT


async def test_nobody_there_is_told_as_such():
    async with listening(silent) as port:
        way = way_to(port)
    with pytest.raises(AgentError, match="usable answer"):
        await way.post(way.timestamps, b"question", TYPE)


def test_a_host_that_is_listed_without_a_port_is_reached_at_the_standard_one_alone():
    """Nothing listens there on loopback: the number tells 'not allowed' from 'not reached'."""
    allowed = AllowedHosts(ServiSignSettings(hosts=frozenset(("ocsp.example.tw", "[::1]:81"))))
    for url in (
        "http://ocsp.example.tw/x",
        "http://OCSP.example.tw:80",
        "https://ocsp.example.tw/",
        "http://[::1]:81/",
    ):
        assert allowed.at(url).port in (80, 81, 443)
    for url in (
        "http://ocsp.example.tw:443/",
        "https://ocsp.example.tw:80/",
        "http://[::1]/",
        "http://x.ocsp.example.tw/",
        "http://ocsp.example.tw./",
        "http://ocsp.example.tw:0/",
    ):
        with pytest.raises(AgentError, match="list"):
            allowed.at(url)


def test_what_is_configured_must_be_listed_too():
    allowed = AllowedHosts(ServiSignSettings(hosts=frozenset()))
    for place in ("timestamps", "directory"):
        with pytest.raises(AgentError, match="list"):
            getattr(allowed, place)
    standard = AllowedHosts(ServiSignSettings())
    assert (standard.timestamps.host, standard.directory.host) == ("203.65.114.5", "hcaldap.nat.gov.tw")
    assert standard.at("http://hcaocsp.nat.gov.tw/cgi-bin/OCSP/ocsp_server.exe").port == 80


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ('hosts = ["ocsp.example.tw", "10.0.0.7:8080", "[2001:db8::1]:389"]', True),
        ("hosts = []", True),
        ('hosts = ["http://ocsp.example.tw"]', False),
        ('hosts = ["OCSP.example.tw"]', False),
        ('hosts = ["*.example.tw"]', False),
        ('hosts = ["ocsp.example.tw/path"]', False),
        ('hosts = ["ocsp.example.tw:0"]', False),
        ('hosts = ["ocsp.example.tw:65536"]', False),
        ('hosts = "ocsp.example.tw"', False),
        ('timestamp_host = "tsa.example.tw:318"', True),
        ("timestamp_host = 80", False),
        ('ldap_host = ""', False),
        ('ldap_base = "ou=hca,c=TW"', True),
        ("ldap_base = 1", False),
    ],
)
def test_the_configuration_takes_hosts_and_nothing_else(tmp_path, line, fine):
    paths = Paths(tmp_path, tmp_path)
    paths.config.write_text(f"[servisign]\n{line}\n", "utf-8")
    if fine:
        assert load(paths).servisign
        return
    with pytest.raises(ConfigError, match=r"servisign\.(hosts|timestamp_host|ldap_host|ldap_base)"):
        load(paths)
