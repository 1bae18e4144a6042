"""Fetching what a certification authority publishes, from addresses that a stranger's certificate may name.

A certificate is data from a card: its addresses must not make this program knock at the machine's own or the
network's inner services. So: plain http (what is fetched is signed), no redirect, port 80, public addresses
only, small and soon. Addresses that the administrator lists are free of the last two rules.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.errors import AgentError, ErrorId

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.abc import AbstractResolver, ResolveResult

SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 2.5
_ADDRESS_MAX: Final = 2048
_UNREACHABLE: Final = ErrorId.CERTIFICATE_STATUS_UNREACHABLE


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches by the rules above.

    Attributes:
        listed: addresses that the administrator wrote down, to the letter.
        seconds: how long one address may take.
    """

    listed: Collection[str] = ()
    seconds: float = SECONDS

    async def __call__(self, address: str, limit: int, question: bytes | None = None) -> bytes:
        """What is at `address`: GET, or POST where there is a question.

        Args:
            address: as the certificate or the administrator wrote it.
            limit: how many bytes are taken at most.
            question: the DER of an OCSPRequest (RFC 6960 appendix A.1).

        Raises:
            AgentError: certificate.status_unreachable, for whatever reason; its detail says which.
        """
        import aiohttp
        from yarl import URL

        listed = address in self.listed
        if not listed:
            _check(address)
        connector = aiohttp.TCPConnector(resolver=None if listed else _public_resolver(), limit=1)
        timeout = aiohttp.ClientTimeout(total=self.seconds, connect=_CONNECT_SECONDS)
        headers = {"Accept-Encoding": "identity"}
        if question is not None:
            headers["Content-Type"] = "application/ocsp-request"
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(
                    "GET" if question is None else "POST",
                    URL(address, encoded=True),
                    data=question,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status != 200:
                    raise AgentError(_UNREACHABLE, detail=f"HTTP {response.status}")
                return await _read(response, limit)
        except TimeoutError:
            raise AgentError(_UNREACHABLE, detail="no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AgentError(_UNREACHABLE, detail=type(error).__name__) from error


async def _read(response: ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise AgentError(_UNREACHABLE, detail=f"more than {limit} bytes")
    return bytes(body)


def _check(address: str) -> None:
    """Return if an address of a certificate may be asked at all; names are looked up later."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AgentError(_UNREACHABLE, detail="not an address") from None
    plain = address.isascii() and address.isprintable() and len(address) <= _ADDRESS_MAX
    if not plain or parts.scheme != "http" or not host or "@" in parts.netloc or port not in (None, 80):
        raise AgentError(_UNREACHABLE, detail="not an address that certificates may name")
    if _is_literal(host) and not is_public(host):
        raise AgentError(_UNREACHABLE, detail="an address inside this network")


def _is_literal(host: str) -> bool:
    """Whether a host is an address already; also in the short and octal ways that inet_aton(3) takes."""
    try:
        ip_address(host)
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the Internet's, and not this machine's or this network's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is not None:
            parsed = inner
    return parsed.is_global and not parsed.is_multicast


def _public_resolver() -> AbstractResolver:
    """Names to public addresses only, checked where the connection is made: a second look-up may differ."""
    from aiohttp.abc import AbstractResolver
    from aiohttp.resolver import ThreadedResolver

    class PublicResolver(AbstractResolver):
        def __init__(self) -> None:
            self._inner = ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await self._inner.resolve(host, port, family)
            public = [each for each in found if is_public(each["host"])]
            if not public:
                raise OSError("a name inside this network")
            return public

        async def close(self) -> None:
            await self._inner.close()

    return PublicResolver()
