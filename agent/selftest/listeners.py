"""Who listens on a loopback port, by its answers: nobody, an agent of ours, the vendor's, or another."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from agent.processes import holder_of, pid_at
from hca_card.big5 import printable

_SECONDS: Final = 2.0
_BODY_MAX: Final = 64 * 1024
_LOOPBACK: Final = ("127.0.0.1", "::1")
_NAMED, _SERVER = "Server", "hca-agent"
_VERSION: Final = "HCA-Agent-Version"
_NAME_MAX: Final = 32
_HIPKI: Final = b"version:"
"""What HiPKI's own program answers a GET of `/` with (docs/hipki.md)."""


class ListenerKind(StrEnum):
    """Who answers on a port."""

    CLOSED = "closed"
    OURS = "ours"
    """An agent that answers this user: this one, or one of another folder."""
    ANOTHER = "another"
    """An agent of ours that does not answer this user: it is another user's."""
    VENDOR = "vendor"
    """It answers the probe of portals' pages as the vendor's program does."""
    OTHER = "other"
    SILENT = "silent"
    """It takes connections and says nothing: a page waits for it without end."""


@dataclass(frozen=True, slots=True)
class FoundListener:
    """What was found on one port.

    Attributes:
        holder: name and process number, empty where it cannot be found out.
        certificate: DER of the certificate it showed, empty without TLS.
        version: which of ours it says it is, empty where it says nothing.
        pid: its process, 0 where it cannot be found out.
    """

    port: int
    answer: ListenerKind
    holder: str = ""
    certificate: bytes = b""
    version: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back.

    Attributes:
        content: the JSON, None where it is none.
        certificate: DER, empty without TLS.
    """

    content: Any
    certificate: bytes
    status: int
    server: str
    version: str
    text: bytes


def look(port: int, *, tls: bool = True) -> FoundListener:
    """Ask whoever listens on `port` who it is; blocking, a few seconds at most.

    Args:
        port: on 127.0.0.1, else ::1.
        tls: whether portals use TLS there.
    """
    address = next((each for each in _LOOPBACK if _is_open(each, port)), None)
    if address is None:
        return FoundListener(port, ListenerKind.CLOSED)
    certificate, version = b"", ""
    try:
        status = _ask((address, port), tls, "/status")
        certificate, version = status.certificate, status.version
        if _is_ours(status.content):
            answer = ListenerKind.OURS
        elif status.server == _SERVER and status.status == http.HTTPStatus.FORBIDDEN:
            answer = ListenerKind.ANOTHER
        elif tls:
            echo = _ask((address, port), tls, "/", _echo()).content
            answer = ListenerKind.VENDOR if _is_vendors(echo) else ListenerKind.OTHER
        else:
            first = _ask((address, port), tls, "/").text
            answer = ListenerKind.VENDOR if first.startswith(_HIPKI) else ListenerKind.OTHER
    except TimeoutError:
        answer = ListenerKind.SILENT
    except (OSError, http.client.HTTPException):
        answer = ListenerKind.OTHER
    pid = pid_at(port)
    return FoundListener(port, answer, holder_of(port, pid), certificate, version, pid)


def _is_open(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(_SECONDS)
            return probe.connect_ex((address, port)) == 0
    except OSError:  # no IPv6 here
        return False


def _ask(place: tuple[str, int], tls: bool, path: str, body: str = "") -> _Answer:
    """Return what answers a GET, or a POST of `body`.

    Raises:
        TimeoutError: it says nothing.
        OSError, http.client.HTTPException: it speaks something else.
    """
    connection: http.client.HTTPConnection
    if tls:
        # Whose certificate it is, is what we are here to find out; nothing secret is sent.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(*place, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(*place, timeout=_SECONDS)
    with closing(connection):
        headers = {"Host": f"localhost:{place[1]}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST" if body else "GET", path, body or None, headers)
        link = connection.sock
        shown = link.getpeercert(binary_form=True) if isinstance(link, ssl.SSLSocket) else b""
        response = connection.getresponse()
        text = response.read(_BODY_MAX)
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        server, version = (printable(response.getheader(name, ""))[:_NAME_MAX] for name in (_NAMED, _VERSION))
        return _Answer(content, shown or b"", response.status, server, version, text)


def _echo() -> str:
    """Return what portals' pages probe with (docs/servisign.md, "Finding the local program")."""
    members = {"functionname": "Echo", "sessionid": "", "AdapterJsonKeyCheck": True}
    return "Parameter=" + quote(base64.b64encode(json.dumps(members).encode()).decode(), safe="")


def _is_ours(status: Any) -> bool:
    return isinstance(status, dict) and status.get("agent") == "hca-agent"


def _is_vendors(echo: Any) -> bool:
    """Return whether a page would take the answer for the vendor's, refusals included."""
    if not isinstance(echo, dict) or not isinstance(echo.get("result"), str):
        return False
    try:
        result = base64.b64decode(echo["result"] + "==").decode("ascii")
    except (ValueError, UnicodeDecodeError):
        return False
    return "SessionID" in echo or result == "0" or (len(result) == 5 and result.startswith("61"))
