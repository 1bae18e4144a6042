"""What an origin is: exactly the text a browser puts into the Origin header (RFC 6454 §6.2, WHATWG URL).

Origins are compared as whole strings and never taken apart to match in part, so there is one spelling for
each: anything that a browser would have written differently is no origin here.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^:\[\]]+|\[[^\[\]]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))


# The same few pages ask all day; what is kept is bounded, whatever headers are sent.
@lru_cache(maxsize=256)
def is_origin(text: str) -> bool:
    """Return whether `text` is the origin of a web page: https with a canonical host, or http on loopback.

    No user information, path, trailing dot or slash, upper case, default port, wildcard or `null`; an
    internationalised name in its punycode form, as browsers send it.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None or not _is_host(match["host"]):
        return False
    port = int(match["port"] or 0)
    if port > 65535 or port == _DEFAULT_PORTS[match["scheme"]]:
        return False
    return match["scheme"] == "https" or match["host"] in _LOOPBACK_HOSTS


def is_plain_http(origin: str) -> bool:
    """Return whether the origin is not https (then it is on loopback, and must be listed to be admitted)."""
    return origin.startswith("http://")


def loopback_origins(port: int, *, tls: bool) -> frozenset[str]:
    """Return the origins of our own pages on one of our ports."""
    scheme = "https" if tls else "http"
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return frozenset(f"{scheme}://{host}{suffix}" for host in _LOOPBACK_HOSTS)


def is_loopback_host(host: str, port: int) -> bool:
    """Return whether a Host header names loopback and the port that it arrived at (against DNS rebinding)."""
    name, separator, number = host.rpartition(":")
    return separator == ":" and name in _LOOPBACK_HOSTS and number == str(port)


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]" == host and "%" not in host
        except ValueError:
            return False
    if len(host) > 253 or not _NAME.fullmatch(host):
        return False
    # A host whose last label is a number is an IPv4 address, written in one way only (WHATWG URL §3.5).
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host)) == host
        except ValueError:
            return False
    return True
