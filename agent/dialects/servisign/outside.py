"""The few hosts that functions of this dialect may reach, and how: `[servisign] hosts`.

A page names a host; whether anything is resolved or connected is decided before, by exact comparison with
the list. What comes back is bounded, is never another page (no redirects), and is handed to the page only as
what it was asked for.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError, ErrorId

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from agent.config import ServiSignSettings

SECONDS: Final = 10.0
ANSWER_BYTES_MAX: Final = 64 * 1024
AT_ONCE: Final = 4

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443
LDAP_PORT: Final = 389
HTTP_OK: Final = 200

_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]"
_URL: Final = re.compile(rf"(https?)://({_HOST})(?::([0-9]{{1,5}}))?((?:/[!-~]{{0,1000}})?)", re.IGNORECASE)
_PLACE: Final = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_PORTS: Final = range(1, 65536)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is asked.

    Attributes:
        host: as it is compared: lower case, an IPv6 address in brackets.
        path: for HTTP.
        secure: HTTP over TLS.
    """

    host: str
    port: int
    path: str = "/"
    secure: bool = False


class Outside:
    """The way out of this machine.

    Args:
        settings: whose `hosts` may be reached.

    Attributes:
        base: the directory's entry under which certificates are looked up.
    """

    def __init__(self, settings: ServiSignSettings) -> None:
        self._hosts = settings.hosts
        self._timestamp_host = settings.timestamp_host
        self._ldap_host = settings.ldap_host
        self.base = settings.ldap_base
        self._gate = asyncio.Semaphore(AT_ONCE)

    @property
    def timestamps(self) -> Place:
        """Where time stamps come from when the page names no host.

        Raises:
            AgentError: host.not_listed.
        """
        return self._listed(_place(self._timestamp_host, HTTP_PORT), HTTP_PORT)

    @property
    def directory(self) -> Place:
        """Where certificates are looked up.

        Raises:
            AgentError: host.not_listed.
        """
        return self._listed(_place(self._ldap_host, LDAP_PORT), LDAP_PORT)

    def named(self, host: str, port: str) -> Place:
        """What a page names by host and port, for HTTP.

        Raises:
            AgentError: host.not_listed.
        """
        text = port.strip() or str(HTTP_PORT)
        return self._listed(_place(f"{host.strip()}:{text}", HTTP_PORT), HTTP_PORT)

    def at(self, url: str) -> Place:
        """What a page names by an http or https URL.

        Raises:
            AgentError: host.not_listed.
        """
        found = _URL.fullmatch(url.strip())
        if found is None:
            raise AgentError(ErrorId.HOST_NOT_LISTED)
        scheme, host, port, path = found.groups()
        secure = scheme.lower() == "https"
        standard = HTTPS_PORT if secure else HTTP_PORT
        place = Place(host.lower(), _port(port, standard), path or "/", secure=secure)
        return self._listed(place, standard)

    async def post(self, place: Place, body: bytes, media_type: str) -> bytes:
        """The answer of a listed place to an HTTP POST.

        Raises:
            AgentError: host.unreachable: no answer, another than 200, too long, or too late.
        """
        import aiohttp
        import yarl

        scheme = "https" if place.secure else "http"
        url = yarl.URL(f"{scheme}://{place.host}:{place.port}{place.path}", encoded=True)
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._gate,
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
                session.post(
                    url, data=body, headers={"Content-Type": media_type}, allow_redirects=False
                ) as response,
            ):
                if response.status != HTTP_OK:
                    raise AgentError(ErrorId.HOST_UNREACHABLE, detail=f"HTTP {response.status}")
                return await _bounded(response.content)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AgentError(ErrorId.HOST_UNREACHABLE) from error

    def _listed(self, place: Place, standard: int) -> Place:
        """A host without port in the list stands for the standard port of whatever is asked of it."""
        exact = f"{place.host}:{place.port}"
        if exact not in self._hosts and not (place.port == standard and place.host in self._hosts):
            raise AgentError(ErrorId.HOST_NOT_LISTED)
        return place


async def _bounded(content: StreamReader) -> bytes:
    answer = bytearray()
    async for chunk in content.iter_chunked(8192):
        answer += chunk
        if len(answer) > ANSWER_BYTES_MAX:
            raise AgentError(ErrorId.HOST_UNREACHABLE, detail="too long an answer")
    return bytes(answer)


def _place(text: str, standard: int) -> Place:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise AgentError(ErrorId.HOST_NOT_LISTED)
    return Place(found[1].lower(), _port(found[2], standard))


def _port(text: str | None, standard: int) -> int:
    number = int(text) if text else standard
    if number not in _PORTS:
        raise AgentError(ErrorId.HOST_NOT_LISTED)
    return number
