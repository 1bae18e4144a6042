"""The two things a login signs: the origin that asked, and the portal's nonce (web-eid:1.0)."""

from __future__ import annotations

import binascii
import ipaddress
import re
from functools import lru_cache
from typing import Final

from signing.errors import NonceInvalidError, OriginNotHttpsError

NONCE_CHARACTERS: Final = range(44, 128 + 1)
NONCE_BYTES: Final = 32

LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# What no origin has, and what to say of it.
_NEVER: Final = (
    ("@", "it has no user name and no password"),
    ("*?#", "it has no wildcard, no query and no fragment: each site is listed by itself"),
    ("/\\", "it has no path, and no slash at the end"),
    (" \t\r\n", "it has no spaces"),
)
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^:\[\]]+|\[[^\[\]]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)


# The same few pages ask all day; what is kept is bounded, whatever headers are sent.
@lru_cache(maxsize=256)
def is_origin(text: str) -> bool:
    """Return whether `text` is the origin of a web page: https with a canonical host, or http on loopback.

    It is exactly what a browser puts into the Origin header (RFC 6454 §6.2, WHATWG URL): no user information,
    path, trailing dot or slash, upper case, default port, wildcard or `null`; an internationalised name in
    its punycode form.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None or not _is_host(match["host"]):
        return False
    port = int(match["port"] or 0)
    if port > 65535 or port == DEFAULT_PORTS[match["scheme"]]:
        return False
    return match["scheme"] == "https" or match["host"] in LOOPBACK_HOSTS


def origin_fault(text: str) -> str:
    """Return the rule of `is_origin` that `text` breaks, for whoever wrote it; empty if it is one."""
    if is_origin(text):
        return ""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in DEFAULT_PORTS:
        return "it begins with https://"
    for signs, rule in _NEVER:
        if any(sign in rest for sign in signs):
            return rule
    if not text.isascii():
        return "a name with other letters is written in its punycode form (xn--…), as browsers send it"
    if text != text.lower():
        return "it is all lower case"
    host, _, port = (
        (rest, "", "") if rest.endswith("]") else rest.rpartition(":") if ":" in rest else (rest, "", "")
    )
    if scheme == "http" and host not in LOOPBACK_HOSTS:
        return (
            "http:// is for this computer alone (localhost, 127.0.0.1, [::1]); any other site needs https://"
        )
    if port == str(DEFAULT_PORTS[scheme]):
        return f"the usual port of {scheme} is left out, as browsers do"
    if (rest != host) and not (port.isdecimal() and port[0] != "0" and int(port[:6]) <= 65535):
        return "its port is a number from 1 to 65535"
    return "its host is a name or an address as browsers write it, without a dot at the end"


def check_origin(origin: str, *, allow_loopback_http: bool = False) -> None:
    """Return if `origin` is an https origin exactly as a browser reports it.

    Args:
        origin: `scheme://host[:port]`, no trailing slash.
        allow_loopback_http: take `http://localhost`, 127.0.0.1 and [::1] too, for a developer's own machine.

    Raises:
        OriginNotHttpsError: anything else.
    """
    if not is_origin(origin) or not (allow_loopback_http or origin.startswith("https://")):
        raise OriginNotHttpsError


def check_nonce(nonce: str) -> None:
    """Return if `nonce` can be a portal's: base64 (RFC 4648 §4) of at least 32 bytes, 44 to 128 characters.

    Raises:
        NonceInvalidError: it cannot.
    """
    if len(nonce) not in NONCE_CHARACTERS:
        raise NonceInvalidError
    try:
        octets = binascii.a2b_base64(nonce.encode("ascii"), strict_mode=True)
    except ValueError:
        raise NonceInvalidError from None
    if len(octets) < NONCE_BYTES:
        raise NonceInvalidError


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
