"""The few hosts that functions of this dialect may reach: `[servisign] hosts`.

A page names a host; whether anything is resolved or connected is decided before, by exact comparison with
the list. What comes back is handed to the page only as what it was asked for.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError, ErrorId
from agent.http_client import PORTS, HttpError, HttpPolicy, fetch, is_listed

if TYPE_CHECKING:
    from yarl import URL

    from agent.config import ServiSignSettings

SECONDS: Final = 10.0
ANSWER_BYTES_MAX: Final = 64 * 1024
AT_ONCE: Final = 4

_HOST: Final = r"([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?"
_HOST_AND_PORT: Final = re.compile(_HOST)
_URL: Final = re.compile(rf"(https?)://{_HOST}((?:/[!-~]{{0,1000}})?)", re.IGNORECASE)
_POSSIBLE_PORTS: Final = range(1, 65536)


class AllowedHosts:
    """The way out of this machine.

    Args:
        settings: whose `hosts` may be reached.

    Attributes:
        base: the directory's entry under which certificates are looked up.
    """

    def __init__(self, settings: ServiSignSettings) -> None:
        self._settings = settings
        self._policy = HttpPolicy(seconds=SECONDS, bytes_max=ANSWER_BYTES_MAX, hosts=settings.hosts)
        self.base = settings.ldap_base
        self._at_once = asyncio.Semaphore(AT_ONCE)

    @property
    def timestamps(self) -> URL:
        """Where time stamps come from when the page names no host.

        Raises:
            AgentError: host.not_listed.
        """
        return self._configured("http", self._settings.timestamp_host)

    @property
    def directory(self) -> URL:
        """Where certificates are looked up.

        Raises:
            AgentError: host.not_listed.
        """
        return self._configured("ldap", self._settings.ldap_host)

    def named(self, host: str, port: str) -> URL:
        """Return what a page names by host and port, for HTTP.

        Raises:
            AgentError: host.not_listed.
        """
        return self._configured("http", f"{host.strip()}:{port.strip() or PORTS['http']}")

    def at(self, url: str) -> URL:
        """Return what a page names by an http or https URL.

        Raises:
            AgentError: host.not_listed.
        """
        found = _URL.fullmatch(url.strip())
        if found is None:
            raise AgentError(ErrorId.HOST_NOT_LISTED)
        scheme, host, port, path = found.groups()
        return self._listed(scheme.lower(), host, port, path or "/")

    async def post(self, url: URL, body: bytes, media_type: str) -> bytes:
        """Return the answer of a listed host to an HTTP POST.

        Raises:
            AgentError: host.unreachable: no answer, another than 200, too long, or too late.
        """
        try:
            async with asyncio.timeout(SECONDS), self._at_once:
                return await fetch(str(url), self._policy, body, media_type)
        except (HttpError, TimeoutError) as error:
            raise AgentError(ErrorId.HOST_UNREACHABLE, detail=str(error)) from error

    def _configured(self, scheme: str, text: str) -> URL:
        found = _HOST_AND_PORT.fullmatch(text)
        if found is None:
            raise AgentError(ErrorId.HOST_NOT_LISTED)
        return self._listed(scheme, found[1], found[2])

    def _listed(self, scheme: str, host: str, port: str | None, path: str = "/") -> URL:
        from yarl import URL

        name, number = host.lower(), int(port) if port else PORTS[scheme]
        if number not in _POSSIBLE_PORTS or not is_listed(self._settings.hosts, name, number, PORTS[scheme]):
            raise AgentError(ErrorId.HOST_NOT_LISTED)
        return URL(f"{scheme}://{name}:{number}{path}", encoded=True)
