"""Certificates from the authority's directory (LDAP, RFC 4511; the page names no host)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.keys import encoded
from agent.dialects.servisign.network import SECONDS
from agent.errors import AgentError, ErrorId
from agent.vocabulary import Verb

if TYPE_CHECKING:
    from yarl import URL

CERTIFICATES_MAX: Final = 64
_VALUE_MAX: Final = 1000
# RFC 4523 §4.1: certificates are transferred with the option; some servers leave it out.
_CERTIFICATE: Final = ("userCertificate;binary", "userCertificate")
# Attributes by argument: RFC 4519, RFC 4524 for mail and uniqueIdentifier.
_ATTRIBUTES: Final = {
    "uniqueID": "uniqueIdentifier",
    "email": "mail",
    "cn": "cn",
    "ou": "ou",
    "serialNumber": "serialNumber",
}
_EVERYTHING: Final = "(objectClass=*)"
_LDAPS_PORT: Final = 636


async def certificates(call: FunctionCall) -> tuple[str, ...]:
    """ATL_GetCertFromLDAP: of all entries that have every value given, or of the one entry of that full name.

    Raises:
        LibraryError: 5005, nothing to look for; 5010, no certificate found.
        AgentError: host.not_listed, host.unreachable.
    """
    name, wanted = call.text("fullDN").strip(), {key: call.text(key).strip() for key in _ATTRIBUTES}
    given = {attribute: wanted[key] for key, attribute in _ATTRIBUTES.items() if wanted[key]}
    if not (name or given) or any(len(value) > _VALUE_MAX for value in (name, *given.values())):
        raise LibraryError(LibraryCode.PARAMETER)
    server = call.hosts.directory
    await call.operations.permit(call.caller, Verb.READ)
    found = await search(server, name or call.hosts.base, given, one=bool(name))
    if not found:
        raise LibraryError(LibraryCode.CERTIFICATE_NOT_FOUND)
    return tuple(encoded(der) for der in found)


async def search(server: URL, base: str, given: dict[str, str], *, one: bool) -> list[bytes]:
    """Return the certificates in a directory, DER.

    Args:
        server: a listed one.
        base: the entry to return, or the one above those to return.
        given: what an entry must say, by attribute.
        one: the entry `base` itself.

    Raises:
        AgentError: host.unreachable.
    """
    asked = _Search(server)
    try:
        async with asyncio.timeout(2 * SECONDS):
            return await asyncio.to_thread(asked.run, base, given, one=one)
    except TimeoutError as error:
        raise AgentError(ErrorId.HOST_UNREACHABLE) from error
    finally:
        asked.end()


class _Search:
    """One question to a directory, in a thread of its own."""

    def __init__(self, url: URL) -> None:
        import ldap3

        server = ldap3.Server(
            url.host,
            port=url.port,
            use_ssl=url.port == _LDAPS_PORT,
            get_info=ldap3.NONE,
            connect_timeout=SECONDS,
            allowed_referral_hosts=[],
        )
        # Whole seconds: ldap3 hands them to the operating system as they are.
        self._connection = ldap3.Connection(
            server, receive_timeout=int(SECONDS), auto_referrals=False, read_only=True, check_names=False
        )

    def run(self, base: str, given: dict[str, str], *, one: bool) -> list[bytes]:
        try:
            return self._ask(base, given, one=one)
        except AgentError:
            raise
        except Exception as error:
            # At a hostile answer ldap3 raises whatever its decoder happened to meet.
            raise AgentError(ErrorId.HOST_UNREACHABLE) from error
        finally:
            with suppress(Exception):
                self._connection.unbind()

    def end(self) -> None:
        """Whatever the thread still waits for, from a server that feeds it byte by byte, is over."""
        with suppress(Exception):
            self._connection.socket.shutdown(socket.SHUT_RDWR)

    def _ask(self, base: str, given: dict[str, str], *, one: bool) -> list[bytes]:
        import ldap3

        if not self._connection.bind():
            raise AgentError(ErrorId.HOST_UNREACHABLE, detail="the directory lets nobody in unnamed")
        self._connection.search(
            base,
            _filter(given),
            search_scope=ldap3.BASE if one else ldap3.SUBTREE,
            attributes=list(_CERTIFICATE),
            size_limit=CERTIFICATES_MAX,
            time_limit=int(SECONDS),
        )
        return list(_found(self._connection.response or ()))[:CERTIFICATES_MAX]


def _filter(given: dict[str, str]) -> str:
    from ldap3.utils.conv import escape_filter_chars

    if not given:
        return _EVERYTHING
    parts = (f"({attribute}={escape_filter_chars(value)})" for attribute, value in given.items())
    return "(&" + "".join(parts) + ")"


def _found(entries: Iterable[dict[str, object]]) -> Iterable[bytes]:
    for entry in entries:
        values = entry.get("raw_attributes")
        if isinstance(values, Mapping):
            for name in _CERTIFICATE:
                yield from values.get(name, ())
