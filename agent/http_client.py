"""Fetch over HTTP within limits that each caller states: what may be asked, how much, and for how long.

Redirects are never followed, cookies are not kept, and nothing is decompressed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver, ResolveResult
    from yarl import URL

PORTS: Final = {"http": 80, "https": 443, "ldap": 389}
"""The standard port of each scheme."""

_URL_MAX: Final = 2048
_CHUNK: Final = 64 * 1024
_OK: Final = 200
# A frozen program's OpenSSL looks where the computer that built it has its certificates.
_AUTHORITIES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class HttpError(Exception):
    """Nothing usable came, or the policy does not let it be asked.

    Attributes:
        status: of the HTTP answer, 0 without one.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPolicy:
    """What one caller may fetch.

    Attributes:
        seconds: for one URL, from connecting to the last byte.
        connect_seconds: for connecting; None for as long as all of it.
        silence_seconds: how long the server may say nothing; None likewise.
        bytes_max: of a body; None where the caller bounds what it takes.
        prefix: what every URL begins with.
        hosts: `host` or `host:port` of every URL, see `is_listed`; None for any.
        public_only: URLs come from strangers and must not lead into this machine or network: plain http (what
            is fetched is signed), port 80, and public addresses, checked where the connection is made.
        trusted: URLs, to the letter, that the administrator wrote down and `public_only` does not bind.
        proxy: whether the system's proxy is used.
    """

    seconds: float
    connect_seconds: float | None = None
    silence_seconds: float | None = None
    bytes_max: int | None = None
    prefix: str = ""
    hosts: Collection[str] | None = None
    public_only: bool = False
    trusted: Collection[str] = ()
    proxy: bool = False

    def check(self, url: str) -> None:
        """Return if `url` may be asked; names are looked up later.

        Raises:
            HttpError: it may not.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise HttpError("not an address") from None
        plain = url.isascii() and url.isprintable() and len(url) <= _URL_MAX
        if not plain or not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
            raise HttpError("not an address that may be asked")
        standard = PORTS[parts.scheme]
        bracketed = f"[{host}]" if ":" in host else host
        if self.hosts is not None and not is_listed(self.hosts, bracketed, port or standard, standard):
            raise HttpError("the host is not listed")
        if not url.startswith(self.prefix):
            raise HttpError(f"not below {self.prefix}")
        if self.must_be_public(url):
            if parts.scheme != "http" or port not in (None, PORTS["http"]):
                raise HttpError("not an address that a stranger may name")
            if _is_literal(host) and not is_public(host):
                raise HttpError("an address inside this network")

    def must_be_public(self, url: str) -> bool:
        """Return whether `url` may lead to public addresses only."""
        return self.public_only and url not in self.trusted


async def fetch(url: str, policy: HttpPolicy, body: bytes | None = None, media_type: str = "") -> bytes:
    """Return what is at `url`: GET, or POST of `body`.

    Raises:
        HttpError: as `stream`.
    """
    return b"".join([chunk async for chunk in stream(url, policy, body, media_type)])


async def stream(
    url: str, policy: HttpPolicy, body: bytes | None = None, media_type: str = ""
) -> AsyncGenerator[bytes, None]:
    """Yield what is at `url`, piece by piece.

    Args:
        url: is asked as it stands.
        policy: the limits.
        body: is posted; None for GET.
        media_type: of the body.

    Raises:
        HttpError: the policy does not let it be asked; no answer, another than 200, too long or too late.
    """
    import aiohttp
    from yarl import URL

    policy.check(url)
    target = URL(url, encoded=True)
    headers = {"Accept-Encoding": "identity", "User-Agent": "hca-agent"}
    if media_type:
        headers["Content-Type"] = media_type
    timeout = aiohttp.ClientTimeout(
        policy.seconds,
        policy.connect_seconds,
        sock_read=policy.silence_seconds,
        sock_connect=policy.silence_seconds,
    )
    taken = 0
    try:
        connector = aiohttp.TCPConnector(
            resolver=_public_resolver() if policy.must_be_public(url) else None,
            ssl=_tls() if target.scheme == "https" else True,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.request(
                "GET" if body is None else "POST",
                target,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=_proxy(target) if policy.proxy else None,
            ) as response,
        ):
            if response.status != _OK:
                raise HttpError(f"HTTP {response.status}", response.status)
            async for chunk in response.content.iter_chunked(_CHUNK):
                taken += len(chunk)
                if policy.bytes_max is not None and taken > policy.bytes_max:
                    raise HttpError(f"more than {policy.bytes_max} bytes")
                yield chunk
    except TimeoutError:
        raise HttpError("no answer in time") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise HttpError(type(error).__name__) from error


def is_listed(hosts: Collection[str], host: str, port: int, standard: int) -> bool:
    """Return whether a list names `host:port`, or `host` alone and the port is the standard one."""
    return f"{host}:{port}" in hosts or (port == standard and host in hosts)


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the Internet's, and not this machine's or this network's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed.sixtofour or parsed
    return parsed.is_global and not parsed.is_multicast


def _is_literal(host: str) -> bool:
    """Return whether a host is an address already, also in the short and octal ways of inet_aton(3)."""
    try:
        ip_address(host)
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def _public_resolver() -> AbstractResolver:
    """Return what resolves names to public addresses only: a look-up before connecting may differ."""
    from aiohttp.resolver import ThreadedResolver

    class PublicResolver(ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            public = [each for each in found if is_public(each["host"])]
            if not public:
                raise OSError("a name inside this network")
            return public

    return PublicResolver()


def _proxy(target: URL) -> str | None:
    """Return the system's proxy for `target`."""
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(target.host or "") else getproxies().get(target.scheme)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    usual = ssl.get_default_verify_paths()
    if not usual.cafile and not usual.capath:
        for bundle in _AUTHORITIES:
            if Path(bundle).exists():
                context.load_verify_locations(bundle)
                break
    return context
